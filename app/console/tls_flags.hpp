// The options of TLS that connect, listen, echo and chat share, and the connections that they mean.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coax/stream/socket_stream.hpp"
#include "coax/tls/context.hpp"
#include "coax/tls/stream.hpp"

namespace coax::app {

// What a client needs for its handshake.
struct TlsClient {
  tls::ClientContext context;
  std::string server_name;  // empty: the host that it connects to
};

class TlsFlags {
 public:
  enum class Side : std::uint8_t { client, server, both };
  TlsFlags(CLI::App& command, Side side);

  [[nodiscard]] bool given() const noexcept { return tls_; }
  // Nothing without --tls. `is_implied`: as with --tls. Throw: WrongUsage; Error when a file is of no use.
  [[nodiscard]] std::optional<TlsClient> client(bool is_implied = false) const;
  [[nodiscard]] std::shared_ptr<tls::ServerContext> server() const;

 private:
  void require_tls(bool is_implied = false) const;
  [[nodiscard]] tls::Identity identity() const;

  CLI::App& command_;
  bool tls_ = false;
  bool insecure_ = false;
  std::string ca_;
  std::string pin_;
  std::string cert_;
  std::string key_;
  std::string passphrase_file_;
  std::string alpn_;
  std::string server_name_;
};

// The identity of --tls auto: of the user's own authority, for the names and addresses of this machine. Its text says
// once how to trust a new authority.
tls::Identity own_identity(bool only_this_machine, const std::vector<std::string>& more_names = {});
// For a server with --tls TLS: "auto", or "CERT,KEY" with the passphrase of KEY in that file, if it has one.
tls::Identity identity_of(const std::string& tls, const std::string& passphrase_file, bool only_this_machine,
                          const std::vector<std::string>& more_names = {});
// Whether it is "CERT,KEY".
bool is_certificate_and_key(std::string_view tls) noexcept;
// The addresses by which other machines reach this one, without those of one link only.
std::vector<std::string> own_addresses();
// The first line of the file, without its end. Empty for an empty name. Throws: Error.
std::string read_passphrase(const std::string& file);
// "a,b" -> {"a", "b"}
std::vector<std::string> split_names(std::string_view text);

// Connects to "HOST:PORT" or "unix:PATH", and makes the handshake, if `tls` is there.
// Throws: as connect() and tls::Stream::handshake().
Task<std::unique_ptr<Stream>> connect_with_tls(std::string where, ConnectOptions options,
                                               const std::optional<TlsClient>& client);

// Prints what was agreed on, and the peer's certificates, on standard error.
void print_tls(std::string_view command, const tls::Stream& stream);

}  // namespace coax::app
