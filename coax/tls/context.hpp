// Contexts: what the TLS connections of a server or of a client have in common: certificates, trust, protocols. As
// ssl.SSLContext in Python, but complete when it is constructed. docs/guide/tls.md has programs for both sides.
//
// TLS 1.2 and 1.3 only, with forward secrecy and authenticated encryption; OpenSSL's security level 2, which refuses
// RSA keys below 2,048 bits and signatures with SHA-1. Without compression, renegotiation, and early data. Thread: any;
// a context may be shared by all loops.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/units.hpp"
#include "coax/tls/certificate.hpp"

namespace coax::tls {

enum class Version : std::uint8_t { tls12, tls13 };
std::string_view to_string(Version version) noexcept;  // "TLS 1.3"

// A certificate, its chain, and its private key.
struct Identity {
  // PEM: the certificate first, then the intermediate ones. Or PKCS#12, which contains the key, too.
  std::string certificate_file;
  std::string key_file = {};    // PEM; empty: the key is in certificate_file
  std::string passphrase = {};  // of an encrypted key or PKCS#12 file
  std::string ocsp_file = {};   // a response of the issuer's OCSP server, in DER, sent along with the certificate
};

// Whose certificates are accepted.
class Trust {
 public:
  // The authorities that this system trusts (/etc/ssl/certs; SSL_CERT_FILE and SSL_CERT_DIR replace it).
  static Trust system() { return {Kind::system, {}}; }
  // Only the certificates in this PEM file, and those that they have issued.
  static Trust only(std::string_view ca_file) { return {Kind::only, ca_file}; }
  // The system's, and those in the file.
  static Trust system_and(std::string_view ca_file) { return {Kind::system_and, ca_file}; }
  // Only the certificate with this SHA-256 fingerprint, whatever its names, issuer and dates are. 64 hexadecimal
  // digits, which colons may separate.
  static Trust pinned(std::string_view sha256) { return {Kind::pinned, sha256}; }
  // Anyone. An attacker in the network can then read and change everything.
  static Trust insecure_anyone() { return {Kind::insecure_anyone, {}}; }

  enum class Kind : std::uint8_t { system, only, system_and, pinned, insecure_anyone };
  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] const std::string& value() const noexcept { return value_; }  // the file or the fingerprint

 private:
  Trust(Kind kind, std::string_view value) : kind_(kind), value_(value) {}
  Kind kind_;
  std::string value_;
};

struct ClientOptions {
  Trust trust = Trust::system();
  std::optional<Identity> identity = {};  // the client's own certificate, for servers that ask for one
  std::vector<std::string> alpn = {};     // application protocols, the preferred one first (RFC 7301)
  Version version_min = Version::tls12;
  Version version_max = Version::tls13;
  Duration handshake_limit = std::chrono::seconds(10);  // of the whole handshake
};

enum class ClientCertificate : std::uint8_t { not_requested, requested, required };

struct ServerOptions {
  // At least one. A client gets the first whose names contain the one that it asks for, otherwise the first; those with
  // the same name and different kinds of keys are offered together.
  std::vector<Identity> identities;
  std::vector<std::string> alpn = {};  // application protocols, the preferred one first; without a common one: none
  ClientCertificate client_certificate = ClientCertificate::not_requested;
  std::string client_ca_file = {};  // the authorities for client certificates; needed when these are requested
  Version version_min = Version::tls12;
  Version version_max = Version::tls13;
  Duration handshake_limit = std::chrono::seconds(10);  // of the whole handshake
  // The key that encrypts session tickets is replaced this often; a ticket is accepted for twice as long.
  Duration ticket_key_period = std::chrono::hours(6);
};

namespace detail {
struct ClientState;
struct ServerState;
}  // namespace detail

class ClientContext {
 public:
  // Throws: Error when a file cannot be read, or its content is of no use: it names the file and says why.
  explicit ClientContext(ClientOptions options = {});
  [[nodiscard]] const ClientOptions& options() const noexcept;

 private:
  friend class Engine;
  std::shared_ptr<detail::ClientState> state_;
};

class ServerContext {
 public:
  // Throws: Error when a file cannot be read, a key does not match its certificate, or an encrypted key lacks its
  // passphrase: it names the file and says why.
  explicit ServerContext(ServerOptions options);
  ServerContext(const ServerContext&) = delete;
  ServerContext& operator=(const ServerContext&) = delete;
  ~ServerContext();

  // Reads the files again, for new connections; those that are open keep theirs.
  // Throws: as the constructor; then everything stays as it was.
  void reload();
  // reload(), when one of the files has changed since they were read. Returns: whether it has.
  bool reload_if_changed();
  // What an operator should know: a certificate that expires within 30 days, has expired, is not valid yet, or has no
  // names. One sentence each.
  [[nodiscard]] std::vector<std::string> warnings() const;
  // The certificates in use, in the order of ServerOptions::identities.
  [[nodiscard]] std::vector<Certificate> certificates() const;
  [[nodiscard]] const ServerOptions& options() const noexcept { return options_; }

 private:
  friend class Engine;
  [[nodiscard]] std::shared_ptr<const detail::ServerState> state() const;

  const ServerOptions options_;
  struct Current;
  std::unique_ptr<Current> current_;
};

}  // namespace coax::tls
