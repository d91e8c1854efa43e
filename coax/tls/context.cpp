// The contexts of servers and clients: OpenSSL's, with our rules.
#include "coax/tls/context.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/net/file_descriptor.hpp"
#include "coax/tls/engine_private.hpp"
#include "coax/tls/openssl_private.hpp"

namespace coax::tls {

namespace {

constexpr std::size_t certificate_message_bytes_max = 256 * 1024;

// AES-128 first: it is as secure for this purpose, and faster.
constexpr const char* cipher_suites_13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* cipher_suites_12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

void require(bool done, std::string_view what) {
  if (!done) throw Error(ErrorKind::invalid, "set up TLS with", what, openssl_reason());
}

int number_of(Version version) noexcept { return version == Version::tls13 ? TLS1_3_VERSION : TLS1_2_VERSION; }

// SSLKEYLOGFILE, for Wireshark; ignored by programs with raised privileges.
void log_key(const SSL*, const char* line) noexcept {
  const char* const path = ::secure_getenv("SSLKEYLOGFILE");
  if (path == nullptr || *path == '\0') return;
  constexpr int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK;  // it may be a pipe without a reader
  const FileDescriptor file(::open(path, flags, 0600));
  const std::string text = std::string(line) + '\n';
  const bool is_written = file && ::write(file.native(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  static std::atomic<bool> is_reported = false;
  if (is_written || is_reported.exchange(true)) return;
  log::warning("the secrets of connections cannot be written to {} (SSLKEYLOGFILE): {}", path,
               std::generic_category().message(errno));
}

// In the form of the wire: each with its length in front (RFC 7301, section 3.1).
std::vector<unsigned char> encode(const std::vector<std::string>& protocols) {
  std::vector<unsigned char> all;
  for (const std::string& protocol : protocols) {
    if (protocol.empty() || protocol.size() > 255) {
      throw Error(ErrorKind::invalid, "set up TLS with the protocol", protocol, "an ALPN name has 1 to 255 bytes");
    }
    all.push_back(static_cast<unsigned char>(protocol.size()));
    all.insert(all.end(), protocol.begin(), protocol.end());
  }
  return all;
}

ContextPointer make_context(const SSL_METHOD* method, Version lowest, Version highest) {
  ContextPointer context(SSL_CTX_new(method));
  require(context != nullptr, "OpenSSL");
  SSL_CTX* const ctx = context.get();
  if (lowest > highest) {
    throw Error(ErrorKind::invalid, "set up TLS with", "version_min and version_max", "no version is left");
  }
  SSL_CTX_set_min_proto_version(ctx, number_of(lowest));
  SSL_CTX_set_max_proto_version(ctx, number_of(highest));
  SSL_CTX_set_security_level(ctx, 2);
  require(SSL_CTX_set_ciphersuites(ctx, cipher_suites_13) == 1, "the cipher suites");
  require(SSL_CTX_set_cipher_list(ctx, cipher_suites_12) == 1, "the cipher suites");
  require(SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") == 1, "the groups");
  SSL_CTX_clear_options(
      ctx, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                               SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_ANTI_REPLAY);
  SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_max_cert_list(ctx, certificate_message_bytes_max);
  SSL_CTX_set_cert_verify_callback(ctx, Engine::verify, nullptr);
  SSL_CTX_set_msg_callback(ctx, Engine::observe);
  if (::secure_getenv("SSLKEYLOGFILE") != nullptr) SSL_CTX_set_keylog_callback(ctx, log_key);
  return context;
}

void add_to_store(SSL_CTX* context, const std::string& file) {
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  for (const X509Pointer& certificate : load_certificates(file)) X509_STORE_add_cert(store, certificate.get());
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);  // an intermediate certificate in it is an anchor, too
  ERR_clear_error();
}

std::string parse_pin(const std::string& text) {
  std::string digits;
  std::ranges::copy_if(text, std::back_inserter(digits), [](char c) { return c != ':'; });
  std::string bytes;
  for (std::size_t at = 0; at + 1 < digits.size(); at += 2) {
    char* end = nullptr;
    const std::string pair = digits.substr(at, 2);
    bytes.push_back(static_cast<char>(std::strtol(pair.c_str(), &end, 16)));
    if (end != pair.c_str() + 2) bytes.clear();
  }
  if (digits.size() != 64 || bytes.size() != 32) {
    throw Error(ErrorKind::invalid, "trust the certificate", text,
                "a SHA-256 fingerprint has 64 hexadecimal digits: openssl x509 -fingerprint -sha256");
  }
  return bytes;
}

int keep_session(SSL* ssl, SSL_SESSION* session) noexcept { return Engine::keep_session(ssl, session); }

}  // namespace

std::string_view to_string(Version version) noexcept { return version == Version::tls13 ? "TLS 1.3" : "TLS 1.2"; }

// --- clients ---

void detail::ClientState::keep(const std::string& server, KeptSession session) {
  const std::scoped_lock lock(mutex_);
  if (const auto old = by_server_.find(server); old != by_server_.end()) {
    sessions_.erase(old->second);
    by_server_.erase(old);
  }
  sessions_.emplace_front(server, std::move(session));
  by_server_[server] = sessions_.begin();
  if (sessions_.size() <= sessions_max) return;
  by_server_.erase(sessions_.back().first);
  sessions_.pop_back();
}

detail::KeptSession detail::ClientState::take(const std::string& server) {
  const std::scoped_lock lock(mutex_);
  const auto found = by_server_.find(server);
  if (found == by_server_.end()) return {};
  KeptSession& kept = found->second->second;
  if (SSL_SESSION_get_protocol_version(kept.session.get()) != TLS1_3_VERSION) {
    SSL_SESSION_up_ref(kept.session.get());
    return {SessionPointer(kept.session.get()), kept.verified};
  }
  KeptSession taken = std::move(kept);
  sessions_.erase(found->second);
  by_server_.erase(found);
  return taken;
}

ClientContext::ClientContext(ClientOptions options) : state_(std::make_shared<detail::ClientState>()) {
  state_->context = make_context(TLS_client_method(), options.version_min, options.version_max);
  SSL_CTX* const ctx = state_->context.get();
  const Trust& trust = options.trust;
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);  // Engine::verify decides
  if (trust.kind() == Trust::Kind::system || trust.kind() == Trust::Kind::system_and) {
    require(SSL_CTX_set_default_verify_paths(ctx) == 1, "the certificates that the system trusts");
  }
  if (trust.kind() == Trust::Kind::only || trust.kind() == Trust::Kind::system_and) add_to_store(ctx, trust.value());
  if (trust.kind() == Trust::Kind::pinned) state_->pin = parse_pin(trust.value());
  if (options.identity) use(ctx, load(*options.identity));
  if (const auto alpn = encode(options.alpn); !alpn.empty()) {
    SSL_CTX_set_alpn_protos(ctx, alpn.data(), static_cast<unsigned>(alpn.size()));
  }
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx, tls::keep_session);
  state_->options = std::move(options);
}

const ClientOptions& ClientContext::options() const noexcept { return state_->options; }

// --- servers ---

TicketKeys::TicketKeys(Duration period) : period_(period), keys_{make()} {}

TicketKeys::Key TicketKeys::make() {
  Key key{.name = {}, .aes = {}, .hmac = {}, .made = std::chrono::steady_clock::now()};
  for (const std::span<unsigned char> part :
       {std::span<unsigned char>(key.name), std::span<unsigned char>(key.aes), std::span<unsigned char>(key.hmac)}) {
    require(RAND_bytes(part.data(), static_cast<int>(part.size())) == 1, "random numbers");
  }
  return key;
}

void TicketKeys::rotate() {
  const auto age = std::chrono::steady_clock::now() - keys_.front().made;
  if (age < period_) return;
  if (age >= 2 * period_) keys_.clear();
  keys_.insert(keys_.begin(), make());
  if (keys_.size() > 2) keys_.pop_back();
}

// Found once: by its name it would be looked up for each ticket.
const EVP_CIPHER* ticket_cipher() noexcept {
  static const EVP_CIPHER* const found = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  return found;
}

int TicketKeys::prepare(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                        bool encrypts) noexcept {
  try {
    const std::scoped_lock lock(mutex_);
    rotate();
    const auto key = encrypts ? keys_.begin() : std::ranges::find_if(keys_, [&](const Key& one) {
      return std::memcmp(one.name.data(), name, one.name.size()) == 0;
    });
    if (key == keys_.end()) return 0;
    if (encrypts) {
      if (RAND_bytes(iv, 16) != 1) return -1;
      std::ranges::copy(key->name, name);
      if (EVP_EncryptInit_ex(cipher, ticket_cipher(), nullptr, key->aes.data(), iv) != 1) return -1;
    } else if (EVP_DecryptInit_ex(cipher, ticket_cipher(), nullptr, key->aes.data(), iv) != 1) {
      return -1;
    }
    std::array<char, 7> digest{"SHA256"};
    const std::array<OSSL_PARAM, 3> parameters{
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->hmac.data(), key->hmac.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0), OSSL_PARAM_construct_end()};
    if (EVP_MAC_CTX_set_params(mac, parameters.data()) != 1) return -1;
    return encrypts || key == keys_.begin() ? 1 : 2;  // 2: another ticket is sent, with the present key
  } catch (...) {
    return -1;
  }
}

namespace {

int choose_identity(SSL* ssl, int*, void*) noexcept {
  const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  const detail::ServerState& state = Engine::server_of(ssl);
  for (const auto& identity : state.identities) {
    if (!matches(identity.certificate.get(), name)) continue;
    SSL_set_SSL_CTX(ssl, identity.context.get());
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;  // the first one: the client decides
}

int choose_protocol(SSL* ssl, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned in_size,
                    void*) noexcept {
  const std::vector<unsigned char>& ours = Engine::server_of(ssl).alpn;
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, ours.data(), static_cast<unsigned>(ours.size()), in, in_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;  // the handler may refuse a connection without a protocol
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

int staple(SSL* ssl, void*) noexcept {
  const X509* const sent = SSL_get_certificate(ssl);  // of several kinds of keys, the one that was chosen
  for (const auto& identity : Engine::server_of(ssl).identities) {
    if (identity.ocsp.empty() || X509_cmp(identity.certificate.get(), sent) != 0) continue;
    auto* const copy = static_cast<unsigned char*>(OPENSSL_memdup(identity.ocsp.data(), identity.ocsp.size()));
    if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(identity.ocsp.size()));
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

void request_client_certificate(SSL_CTX* ctx, const ServerOptions& options) {
  if (options.client_certificate == ClientCertificate::not_requested) {
    if (options.client_ca_file.empty()) return;
    throw Error(ErrorKind::invalid, "set up TLS with", "client_ca_file",
                "client_certificate must be requested or required: otherwise no client is asked for one");
  }
  if (options.client_ca_file.empty()) {
    throw Error(ErrorKind::invalid, "set up TLS with", "client certificates", "client_ca_file is empty");
  }
  add_to_store(ctx, options.client_ca_file);
  STACK_OF(X509_NAME)* const names = sk_X509_NAME_new_null();
  for (const X509Pointer& authority : load_certificates(options.client_ca_file)) {
    sk_X509_NAME_push(names, X509_NAME_dup(X509_get_subject_name(authority.get())));
  }
  SSL_CTX_set_client_CA_list(ctx, names);
  const bool is_required = options.client_certificate == ClientCertificate::required;
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (is_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
}

// Sessions of one set of authorities must not be resumed under another.
void set_session_context(SSL_CTX* ctx, const ServerOptions& options) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  std::string what = "coax";
  if (!options.client_ca_file.empty()) {
    for (const X509Pointer& authority : load_certificates(options.client_ca_file)) what += sha256_of(authority.get());
  }
  EVP_Digest(what.data(), what.size(), digest.data(), &size, EVP_sha256(), nullptr);
  SSL_CTX_set_session_id_context(ctx, digest.data(), std::min(size, 32U));
}

ContextPointer make_server_context(const ServerOptions& options) {
  ContextPointer context = make_context(TLS_server_method(), options.version_min, options.version_max);
  SSL_CTX* const ctx = context.get();
  request_client_certificate(ctx, options);
  set_session_context(ctx, options);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);  // tickets only: the state is with the client
  SSL_CTX_set_timeout(ctx, std::chrono::duration_cast<std::chrono::seconds>(2 * options.ticket_key_period).count());
  SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, Engine::prepare_ticket);
  SSL_CTX_set_session_ticket_cb(ctx, Engine::date_ticket, Engine::accept_ticket, nullptr);
  SSL_CTX_set_num_tickets(ctx, 0);  // of TLS 1.3: Engine::write() sends them
  SSL_CTX_set_tlsext_servername_callback(ctx, choose_identity);
  if (!options.alpn.empty()) SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, nullptr);
  SSL_CTX_set_tlsext_status_cb(ctx, staple);
  return context;
}

// Whether all names of `first` are in `other`, too: then their keys may be offered together.
bool covers(X509* other, X509* first) {
  const Certificate facts = describe(first);
  const auto is_in_other = [&](std::string name) {
    if (name.starts_with("*.")) name.replace(0, 1, "any");
    return matches(other, name);
  };
  const bool has_name = !facts.names.empty() || !facts.addresses.empty();
  return has_name && std::ranges::all_of(facts.names, is_in_other) && std::ranges::all_of(facts.addresses, is_in_other);
}

// Changes when a file does, or when a link of that name gets another target.
std::string stamps_of(const ServerOptions& options) {
  std::string text;
  const auto add = [&](const std::string& path) {
    struct stat status{};
    if (path.empty() || ::stat(path.c_str(), &status) != 0) return;
    // Its status, too: a program that copies files may set the time of the content back.
    text += fmt::format("{} {} {} {}.{} {}.{}\n", status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec,
                        status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
  };
  for (const Identity& identity : options.identities) {
    add(identity.certificate_file);
    add(identity.key_file);
    add(identity.ocsp_file);
  }
  add(options.client_ca_file);
  return text;
}

std::shared_ptr<const detail::ServerState> load_state(const ServerOptions& options, std::shared_ptr<TicketKeys> keys) {
  if (options.identities.empty()) {
    throw Error(ErrorKind::invalid, "set up TLS with", "no certificate", "a server needs at least one identity");
  }
  auto state = std::make_shared<detail::ServerState>();
  state->stamps = stamps_of(options);
  state->alpn = encode(options.alpn);
  state->keys = std::move(keys);
  std::vector<LoadedIdentity> loaded;
  for (const Identity& identity : options.identities) loaded.push_back(load(identity));
  for (std::size_t at = 0; at < loaded.size(); ++at) {
    ContextPointer context = make_server_context(options);
    std::vector<int> kinds;
    for (std::size_t other = at; other < loaded.size(); ++other) {
      const int kind = EVP_PKEY_get_base_id(loaded[other].key.get());
      if (std::ranges::count(kinds, kind) != 0) continue;
      if (other != at && !covers(loaded[other].certificate.get(), loaded[at].certificate.get())) continue;
      use(context.get(), loaded[other]);
      kinds.push_back(kind);
    }
    X509_up_ref(loaded[at].certificate.get());
    state->identities.push_back({.context = std::move(context),
                                 .certificate = X509Pointer(loaded[at].certificate.get()),
                                 .ocsp = loaded[at].ocsp,
                                 .issuers = {}});
    for (const X509Pointer& link : loaded[at].chain) {
      state->identities.back().issuers.push_back(describe(link.get()));
    }
  }
  return state;
}

}  // namespace

struct ServerContext::Current {
  std::mutex mutex;
  std::shared_ptr<const detail::ServerState> state;
};

ServerContext::ServerContext(ServerOptions options)
    : options_(std::move(options)), current_(std::make_unique<Current>()) {
  current_->state = load_state(options_, std::make_shared<TicketKeys>(options_.ticket_key_period));
}

ServerContext::~ServerContext() = default;

std::shared_ptr<const detail::ServerState> ServerContext::state() const {
  const std::scoped_lock lock(current_->mutex);
  return current_->state;
}

void ServerContext::reload() {
  auto fresh = load_state(options_, state()->keys);
  const std::scoped_lock lock(current_->mutex);
  current_->state = std::move(fresh);
}

bool ServerContext::reload_if_changed() {
  if (stamps_of(options_) == state()->stamps) return false;
  reload();
  return true;
}

std::vector<Certificate> ServerContext::certificates() const {
  std::vector<Certificate> all;
  for (const auto& identity : state()->identities) all.push_back(describe(identity.certificate.get()));
  return all;
}

namespace {

void warn_of(const Certificate& certificate, std::vector<std::string>& all) {
  using std::chrono::days;
  const auto now = wall_clock();
  const std::string name = certificate.names_text();
  if (certificate.not_before > now || certificate.not_after < now + days(30)) {
    all.push_back(fmt::format("the certificate for {} {}", name, validity_text(certificate, now)));
  }
  if (certificate.names.empty() && certificate.addresses.empty()) {
    all.push_back(
        fmt::format("the certificate {} has no names (subjectAltName): clients will refuse it", certificate.subject));
  }
  if (!certificate.is_for_servers) {
    all.push_back(
        fmt::format("the certificate for {} is not made for servers (extendedKeyUsage): clients will refuse it", name));
  }
  for (const std::string& each : certificate.names) {
    if (!each.starts_with("*.") || std::ranges::count(each, '.') > 1) continue;
    all.push_back(
        fmt::format("the certificate for {} is of no use for {}: clients accept a wildcard only with two "
                    "labels behind it",
                    name, each));
  }
}

void warn_of_issuer(const Certificate& issuer, std::vector<std::string>& all) {
  const auto now = wall_clock();
  if (issuer.not_before <= now && issuer.not_after >= now + std::chrono::days(30)) return;
  all.push_back(fmt::format("the issuer {} in the chain {}", issuer.subject, validity_text(issuer, now)));
}

}  // namespace

std::vector<std::string> ServerContext::warnings() const {
  std::vector<std::string> all;
  for (const auto& identity : state()->identities) {
    warn_of(describe(identity.certificate.get()), all);
    for (const Certificate& issuer : identity.issuers) warn_of_issuer(issuer, all);
  }
  return all;
}

}  // namespace coax::tls
