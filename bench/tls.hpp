// OpenSSL for the load generator and the raw servers: directly on sockets (SSL_set_fd), without the library. All speak
// TLS 1.3 with the same cipher suite, group and kind of key, so that each server does the same cryptography.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <csignal>
#include <memory>

#include "bench/raw.hpp"

namespace bench {

struct SslFree {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  void operator()(SSL_SESSION* session) const noexcept { SSL_SESSION_free(session); }
};
using Ssl = std::unique_ptr<SSL, SslFree>;
using SslContext = std::unique_ptr<SSL_CTX, SslFree>;
using SslSession = std::unique_ptr<SSL_SESSION, SslFree>;

[[noreturn]] inline void fail_with_openssl(const std::string& what) {
  std::array<char, 256> reason{};
  ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
  throw std::runtime_error(what + ": " + reason.data());
}

// Buffers are released between records, and a read takes what the socket has, not only the head of a record.
inline SslContext ssl_context(const SSL_METHOD* method) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  SslContext context(SSL_CTX_new(method));
  if (!context) fail_with_openssl("SSL_CTX_new");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context.get(), 1);
  return context;
}

inline SslContext ssl_server_context(const std::string& certificate, const std::string& key) {
  SslContext context = ssl_context(TLS_server_method());
  SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);  // tickets only
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1) {
    fail_with_openssl(certificate);
  }
  return context;
}

// It accepts any certificate: what that costs is no part of the server's work.
inline SslContext ssl_client_context() {
  SslContext context = ssl_context(TLS_client_method());
  SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_128_GCM_SHA256");
  SSL_CTX_set1_groups_list(context.get(), "X25519");
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  return context;
}

inline Ssl ssl_on(const SslContext& context, int fd, bool is_server) {
  Ssl ssl(SSL_new(context.get()));
  if (!ssl || SSL_set_fd(ssl.get(), fd) != 1) fail_with_openssl("SSL_new");
  is_server ? SSL_set_accept_state(ssl.get()) : SSL_set_connect_state(ssl.get());
  if (!is_server) SSL_set_tlsext_host_name(ssl.get(), "localhost");
  return ssl;
}

}  // namespace bench
