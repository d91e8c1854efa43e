// Owners for OpenSSL's objects, its errors as text, and the state behind the contexts.
#pragma once

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "coax/tls/context.hpp"

namespace coax::tls {

template <auto release>
struct Release {
  template <class T>
  void operator()(T* object) const noexcept {
    release(object);
  }
};
using ContextPointer = std::unique_ptr<SSL_CTX, Release<SSL_CTX_free>>;
using SslPointer = std::unique_ptr<SSL, Release<SSL_free>>;
using SessionPointer = std::unique_ptr<SSL_SESSION, Release<SSL_SESSION_free>>;
using X509Pointer = std::unique_ptr<X509, Release<X509_free>>;
using KeyPointer = std::unique_ptr<EVP_PKEY, Release<EVP_PKEY_free>>;
using StorePointer = std::unique_ptr<X509_STORE, Release<X509_STORE_free>>;
inline void release_bio(BIO* bio) noexcept { BIO_free(bio); }
using BioPointer = std::unique_ptr<BIO, Release<release_bio>>;

// The time by which certificates are valid. Tests shift it.
std::chrono::sys_seconds wall_clock() noexcept;
void shift_wall_clock(std::chrono::seconds from_the_real_one) noexcept;

// The reason of OpenSSL's last error in words; the queue of errors is then empty.
std::string openssl_reason();
Certificate describe(X509* certificate);
// The names of the certificate include `host`: a DNS name by RFC 6125 without partial wildcards, or an IP address.
bool matches(X509* certificate, const std::string& host);
std::string sha256_of(X509* certificate);
// "192.0.2.1" and "::1", not "a.example".
bool is_address(const std::string& host);

// PEM or PKCS#12, with the key, of an Identity.
struct LoadedIdentity {
  X509Pointer certificate;
  KeyPointer key;
  std::vector<X509Pointer> chain;
  std::string ocsp;
};
// Throws: Error with the file and the reason.
LoadedIdentity load(const Identity& identity);
std::vector<X509Pointer> load_certificates(const std::string& file);
void use(SSL_CTX* context, const LoadedIdentity& identity);

// Keys that encrypt session tickets (RFC 5077, section 4). The present one encrypts; the one before decrypts, too.
// Thread: any.
class TicketKeys {
 public:
  explicit TicketKeys(Duration period);
  // For SSL_CTX_set_tlsext_ticket_key_evp_cb().
  int prepare(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, bool encrypts) noexcept;

 private:
  struct Key {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> aes;
    std::array<unsigned char, 32> hmac;
    std::chrono::steady_clock::time_point made;
  };
  static Key make();
  void rotate();

  std::mutex mutex_;
  Duration period_;
  std::vector<Key> keys_;  // the present one first
};

namespace detail {

struct KeptSession {
  SessionPointer session;
  std::chrono::sys_seconds verified;  // when its certificate was
};

struct ClientState {
  ClientOptions options;
  ContextPointer context;
  std::string pin;  // 32 bytes, of Trust::pinned()

  // The last session with each server, for resumption; of TLS 1.3 each is used once.
  void keep(const std::string& server, KeptSession session);
  KeptSession take(const std::string& server);

 private:
  // Each has some KB, with the server's certificate.
  static constexpr std::size_t sessions_max = 256;
  using Sessions = std::list<std::pair<std::string, KeptSession>>;
  std::mutex mutex_;
  std::map<std::string, Sessions::iterator, std::less<>> by_server_;
  Sessions sessions_;  // the newest first
};

struct ServerState {
  struct Loaded {
    ContextPointer context;
    X509Pointer certificate;
    std::string ocsp;
    std::vector<Certificate> issuers;  // of the chain that is sent
  };
  std::vector<Loaded> identities;
  std::vector<unsigned char> alpn;  // in the form of the wire
  std::shared_ptr<TicketKeys> keys;
  std::string stamps;  // of the files
};

}  // namespace detail

}  // namespace coax::tls
