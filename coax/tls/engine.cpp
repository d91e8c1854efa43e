// OpenSSL behind Engine. Each record is copied once from the caller's buffer into OpenSSL's, decrypted there, and
// copied to its receiver; a record to be sent is encrypted in OpenSSL's buffer and copied into the caller's. OpenSSL's
// are freed when the connection becomes idle, not after each record (SSL_MODE_RELEASE_BUFFERS).
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "coax/base/units.hpp"
#include "coax/net/idna.hpp"
#include "coax/tls/engine_private.hpp"

namespace coax::tls {

namespace {

// A peer that sends nothing but these keeps a server busy. OpenSSL bounds empty records itself.
constexpr int key_updates_max = 64;
constexpr int unread_tickets_max = 32;
// More than these of one connection are not kept.
constexpr int tickets_max = 8;
// A certificate may end, or be revoked, while sessions that rest on it are resumed again and again: after this time the
// handshake is a full one, which verifies it.
constexpr std::chrono::hours verification_age_max(12);
// A ticket contains the client's certificate, and has less than 64 KB (RFC 5077, RFC 8446). In the middle of a
// handshake of TLS 1.2 OpenSSL cannot do without one any more.
constexpr int certificate_in_ticket_bytes_max = 8 * 1024;
constexpr int certificate_with_tls12_bytes_max = 60 * 1024;

constexpr int handshake_record = 22;
constexpr unsigned char key_update_message = 24;
constexpr unsigned char ticket_message = 4;

// "[fe80::1%eth0]" -> "fe80::1": a certificate knows nothing of interfaces (RFC 6874).
std::string verified_name(std::string_view server) {
  if (server.starts_with('[') && server.ends_with(']')) server = server.substr(1, server.size() - 2);
  if (const std::string address(server.substr(0, server.find('%'))); is_address(address)) return address;
  std::string name = ascii_name(server);
  if (name.ends_with('.')) name.pop_back();  // "a.example." is the absolute form of "a.example" (RFC 6066, section 3)
  return name;
}

// Before each call that may fail. ERR_clear_error() visits all 16 entries of the queue, which is nearly always empty.
void clear_errors() noexcept {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

}  // namespace

// --- the BIO: OpenSSL's reads and writes in the caller's buffers ---

int Engine::take(BIO* bio, char* into, int size) noexcept {
  Engine& engine = *static_cast<Engine*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::size_t count = std::min(static_cast<std::size_t>(size), engine.input_.size());
  if (count == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(into, engine.input_.data(), count);
  engine.input_ = engine.input_.from(count);
  return static_cast<int>(count);
}

int Engine::put(BIO* bio, const char* from, int size) noexcept {
  Engine& engine = *static_cast<Engine*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::size_t count = std::min(static_cast<std::size_t>(size), engine.room_.size() - engine.used_);
  if (count == 0) {
    BIO_set_retry_write(bio);
    return -1;
  }
  std::memcpy(engine.room_.data() + engine.used_, from, count);
  engine.used_ += count;
  return static_cast<int>(count);
}

BIO_METHOD* Engine::method() {
  static BIO_METHOD* const made = [] {
    BIO_METHOD* const fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "coax");
    BIO_meth_set_read(fresh, take);
    BIO_meth_set_write(fresh, put);
    BIO_meth_set_ctrl(fresh, [](BIO*, int command, long, void*) -> long { return command == BIO_CTRL_FLUSH ? 1 : 0; });
    BIO_meth_set_create(fresh, [](BIO* bio) {
      BIO_set_init(bio, 1);
      return 1;
    });
    return fresh;
  }();
  return made;
}

// --- life ---

void Engine::attach(SSL_CTX* context) {
  ssl_.reset(SSL_new(context));
  BIO* const bio = BIO_new(method());
  if (!ssl_ || bio == nullptr) {
    BIO_free(bio);
    throw Error(ErrorKind::overloaded, "begin TLS with", {}, openssl_reason());
  }
  BIO_set_data(bio, this);
  SSL_set_bio(ssl_.get(), bio, bio);
}

Engine::Engine(const ServerContext& context)
    : server_(context.state()), handshake_limit_(milliseconds(context.options().handshake_limit)) {
  attach(server_->identities.front().context.get());
  SSL_set_accept_state(ssl_.get());
}

namespace {

bool is_valid_now(const X509* certificate) noexcept {
  std::time_t now = wall_clock().time_since_epoch().count();
  return X509_cmp_time(X509_get0_notBefore(certificate), &now) < 0 &&
         X509_cmp_time(X509_get0_notAfter(certificate), &now) > 0;
}

bool is_fresh(const detail::KeptSession& kept, bool is_checked) noexcept {
  if (!kept.session) return false;
  if (!is_checked) return true;
  const X509* const certificate = SSL_SESSION_get0_peer(kept.session.get());
  const auto age = wall_clock() - kept.verified;
  return certificate != nullptr && is_valid_now(certificate) && age >= std::chrono::seconds(0) &&
         age < verification_age_max;
}

}  // namespace

Engine::Engine(const ClientContext& context, std::string_view server, std::string_view resume_as)
    : client_(std::make_unique<Client>(context.state_, verified_name(server), std::string(resume_as), wall_clock())),
      handshake_limit_(milliseconds(context.options().handshake_limit)) {
  const std::string& host = client_->host;
  const Trust::Kind trust = client_->state->options.trust.kind();
  const bool is_checked = trust != Trust::Kind::pinned && trust != Trust::Kind::insecure_anyone;
  if (host.starts_with('.') || (host.empty() && is_checked)) {
    throw Error(ErrorKind::address, "begin TLS with", server, "a certificate is verified for a name: give one");
  }
  if (!is_address(host) && host.find_first_of(" :/@\t\r\n") != std::string::npos) {
    throw Error(ErrorKind::address, "begin TLS with", server, "that is no host name; give it without a port or a path");
  }
  attach(client_->state->context.get());
  SSL_set_connect_state(ssl_.get());
  if (!host.empty() && !is_address(host)) SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
  client_->session += ' ' + host;
  if (const detail::KeptSession kept = client_->state->take(client_->session); is_fresh(kept, is_checked)) {
    SSL_set_session(ssl_.get(), kept.session.get());
    client_->verified = kept.verified;
  }
}

// An SSL that is freed without a shutdown makes its session useless for resumption, although nothing is wrong with it.
Engine::~Engine() {
  if (is_open_ && failure_.empty()) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

// Not by SSL_get_app_data(), which allocates.
Engine& Engine::of(const SSL* ssl) noexcept { return *static_cast<Engine*>(BIO_get_data(SSL_get_rbio(ssl))); }

const detail::ServerState& Engine::server_of(SSL* ssl) noexcept { return *of(ssl).server_; }

int Engine::keep_session(SSL* ssl, SSL_SESSION* session) noexcept {
  const Engine& engine = of(ssl);
  if (!engine.client_ || SSL_SESSION_is_resumable(session) == 0 || engine.tickets_ > tickets_max) return 0;
  const auto verified = SSL_session_reused(ssl) != 0 ? engine.client_->verified : wall_clock();
  SSL_SESSION_up_ref(session);
  try {
    engine.client_->state->keep(engine.client_->session, {SessionPointer(session), verified});
  } catch (...) {  // out of memory; SessionPointer has released it
  }
  return 0;
}

int Engine::prepare_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                           int encrypts) noexcept {
  const Engine& engine = of(ssl);
  if (encrypts != 0 && engine.has_large_certificate_) return 0;  // an empty ticket
  return engine.server_->keys->prepare(name, iv, cipher, mac, encrypts != 0);
}

// The tickets of a server say when the client's certificate was verified; those of a resumed session say the same.
int Engine::date_ticket(SSL* ssl, void*) noexcept {
  SSL_SESSION* const session = SSL_get_session(ssl);
  if (SSL_SESSION_get0_peer(session) == nullptr) return 1;
  void* data = nullptr;
  std::size_t size = 0;
  if (SSL_SESSION_get0_ticket_appdata(session, &data, &size) == 1 && size != 0) return 1;
  const std::int64_t seconds = wall_clock().time_since_epoch().count();
  return SSL_SESSION_set1_ticket_appdata(session, &seconds, sizeof seconds);
}

SSL_TICKET_RETURN Engine::accept_ticket(SSL* ssl, SSL_SESSION* session, const unsigned char*, std::size_t,
                                        SSL_TICKET_STATUS status, void*) noexcept {
  if (status == SSL_TICKET_EMPTY || status == SSL_TICKET_NO_DECRYPT) return SSL_TICKET_RETURN_IGNORE_RENEW;
  if (const X509* const client = SSL_SESSION_get0_peer(session)) {
    void* data = nullptr;
    std::size_t size = 0;
    std::int64_t seconds = 0;
    SSL_SESSION_get0_ticket_appdata(session, &data, &size);
    if (size != sizeof seconds) return SSL_TICKET_RETURN_IGNORE_RENEW;
    std::memcpy(&seconds, data, sizeof seconds);
    const auto age = wall_clock().time_since_epoch() - std::chrono::seconds(seconds);
    const bool is_fresh = age >= std::chrono::seconds(0) && age < verification_age_max;
    if (!is_fresh || !is_valid_now(client)) return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
  // Of TLS 1.3 clients use a ticket once (RFC 8446, appendix C.4), and need another one each time.
  const bool renews = status == SSL_TICKET_SUCCESS_RENEW || SSL_version(ssl) == TLS1_3_VERSION;
  return renews ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

void Engine::observe(int is_sent, int, int content, const void* data, std::size_t size, SSL* ssl, void*) noexcept {
  if (is_sent != 0 || content != handshake_record || size == 0) return;
  Engine& engine = of(ssl);
  const unsigned char type = *static_cast<const unsigned char*>(data);
  if (type == key_update_message && ++engine.key_updates_ > key_updates_max) engine.is_flooded_ = true;
  if (type == ticket_message && engine.client_) {
    if (engine.tickets_ <= tickets_max) ++engine.tickets_;
    if (++engine.unread_tickets_ > unread_tickets_max) engine.is_flooded_ = true;
  }
}

bool Engine::fits_into_ticket(X509* certificate) {
  const int bytes = certificate != nullptr ? i2d_X509(certificate, nullptr) : 0;
  has_large_certificate_ = bytes > certificate_in_ticket_bytes_max;
  if (bytes <= certificate_with_tls12_bytes_max || version() == Version::tls13) return true;
  failure_kind_ = ErrorKind::certificate;
  failure_ = "its certificate has more than 60 KB, which is too much for TLS 1.2";
  return false;
}

// --- steps ---

Engine::Status Engine::status_of(int result) noexcept {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ: return Status::wants_input;
    case SSL_ERROR_WANT_WRITE: return Status::wants_output;
    case SSL_ERROR_ZERO_RETURN: return Status::ended;
    default: break;
  }
  try {
    if (failure_.empty()) describe_failure(result);
  } catch (...) {  // out of memory
  }
  ERR_clear_error();
  return Status::failed;
}

Engine::Status Engine::handshake() noexcept {
  clear_errors();
  const int result = SSL_do_handshake(ssl_.get());
  if (result != 1) return status_of(result);
  is_open_ = true;
  return Status::done;
}

Engine::Status Engine::read(std::span<char> into, std::size_t& count) noexcept {
  clear_errors();
  count = 0;
  const int result = SSL_read_ex(ssl_.get(), into.data(), into.size(), &count);
  if (result == 1) {
    key_updates_ = 0;
    unread_tickets_ = 0;
    return Status::done;
  }
  if (is_flooded_ && failure_.empty()) {
    try {
      failure_ = "it sends key updates or tickets without an end";
    } catch (...) {  // out of memory
    }
    return Status::failed;
  }
  return status_of(result);
}

// Between the head of a record and its body OpenSSL before 3.0.14 frees a buffer that it still uses (CVE-2024-4741).
void Engine::release_buffers() noexcept {
  constexpr std::string_view at_head = "RH";
  if (SSL_has_pending(ssl_.get()) == 0 && SSL_rstate_string(ssl_.get()) == at_head) SSL_free_buffers(ssl_.get());
}

// The tickets of TLS 1.3 leave with the first data. A client that closes without having read them would reset the
// connection, and so may destroy what it has sent itself.
void Engine::issue_tickets() noexcept {
  constexpr int tickets = 2;
  if (!server_ || std::exchange(has_issued_tickets_, true) || version() != Version::tls13) return;
  if (has_large_certificate_) return;
  const int count = is_resumed() ? 1 : tickets;
  for (int issued = 0; issued < count; ++issued) SSL_new_session_ticket(ssl_.get());
}

Engine::Status Engine::write(BytesView bytes) noexcept {
  clear_errors();
  issue_tickets();
  std::size_t count = 0;
  const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count);
  return result == 1 ? Status::done : status_of(result);
}

Engine::Status Engine::shut_down() noexcept {
  if (std::exchange(is_shut_down_, true) || !is_open_ || !failure_.empty()) return Status::done;
  clear_errors();
  const int result = SSL_shutdown(ssl_.get());
  return result >= 0 ? Status::done : status_of(result);
}

Duration Engine::handshake_limit() const noexcept { return handshake_limit_; }

// --- what was agreed ---

Version Engine::version() const noexcept {
  return SSL_version(ssl_.get()) == TLS1_3_VERSION ? Version::tls13 : Version::tls12;
}

std::string Engine::cipher() const {
  const SSL_CIPHER* const cipher = SSL_get_current_cipher(ssl_.get());
  return cipher != nullptr ? SSL_CIPHER_standard_name(cipher) : "";
}

std::string Engine::group() const {
  const char* const name = SSL_group_to_name(ssl_.get(), static_cast<int>(SSL_get_negotiated_group(ssl_.get())));
  return name != nullptr ? name : "";
}

std::string Engine::alpn() const {
  const unsigned char* data = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &data, &size);
  return {reinterpret_cast<const char*>(data), size};
}

std::string Engine::server_name() const {
  if (client_) return client_->host;
  const char* const name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
  return name != nullptr ? name : "";
}

bool Engine::is_resumed() const noexcept { return SSL_session_reused(ssl_.get()) != 0; }
std::size_t Engine::pending() const noexcept { return static_cast<std::size_t>(SSL_pending(ssl_.get())); }
bool Engine::has_peer_certificate() const noexcept { return SSL_get0_peer_certificate(ssl_.get()) != nullptr; }

std::vector<Certificate> Engine::peer_chain() const {
  std::vector<Certificate> all;
  X509* const own = SSL_get0_peer_certificate(ssl_.get());
  if (own == nullptr) return all;
  all.push_back(describe(own));
  const STACK_OF(X509)* const chain = SSL_get_peer_cert_chain(ssl_.get());
  for (int at = 0; at < sk_X509_num(chain); ++at) {
    X509* const link = sk_X509_value(chain, at);
    if (X509_cmp(link, own) != 0) all.push_back(describe(link));
  }
  return all;
}

}  // namespace coax::tls
