// Certificates and keys from files.
#include <fcntl.h>
#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "coax/base/error.hpp"
#include "coax/base/units.hpp"
#include "coax/net/file_descriptor.hpp"
#include "coax/tls/openssl_private.hpp"

namespace coax::tls {

namespace {

std::string read_file(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) throw Error(errno, "read", path);
  struct stat status{};
  if (::fstat(file.native(), &status) != 0) throw Error(errno, "read", path);
  if (S_ISDIR(status.st_mode)) throw Error(EISDIR, "read", path);
  if (!S_ISREG(status.st_mode)) throw Error(ErrorKind::invalid, "read", path, "it is not a regular file");
  constexpr std::size_t bytes_max = 16_MiB;
  std::string content;
  while (content.size() < bytes_max) {
    std::array<char, 16_KiB> buffer;
    const ssize_t count = ::read(file.native(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error(errno, "read", path);
    if (count == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(count));
  }
  throw Error(ErrorKind::invalid, "read", path, "it is longer than 16 MiB");
}

[[noreturn]] void refuse(const std::string& file, std::string_view reason) {
  throw Error(ErrorKind::invalid, "use the certificates of", file, reason);
}

BioPointer memory(const std::string& content) {
  return BioPointer(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
}

int use_passphrase(char* into, int size, int, void* passphrase) {
  const auto& text = *static_cast<const std::string*>(passphrase);
  if (text.empty() || text.size() > static_cast<std::size_t>(size)) return -1;  // never a prompt
  text.copy(into, text.size());
  return static_cast<int>(text.size());
}

int refuse_passphrase(char*, int, int, void*) { return -1; }

std::vector<X509Pointer> parse_certificates(const std::string& file, const std::string& content) {
  std::vector<X509Pointer> all;
  const BioPointer bio = memory(content);
  ERR_clear_error();
  while (X509* const next = PEM_read_bio_X509_AUX(bio.get(), nullptr, refuse_passphrase, nullptr))
    all.emplace_back(next);
  const unsigned long last = ERR_peek_last_error();
  if (ERR_GET_LIB(last) != ERR_LIB_PEM || ERR_GET_REASON(last) != PEM_R_NO_START_LINE) {
    refuse(file, fmt::format("certificate {} in it is malformed: {}", all.size() + 1, openssl_reason()));
  }
  ERR_clear_error();
  if (!all.empty()) return all;
  const auto* der = reinterpret_cast<const unsigned char*>(content.data());
  const X509Pointer in_der(d2i_X509(nullptr, &der, static_cast<long>(content.size())));
  ERR_clear_error();
  refuse(file, in_der ? "it is in DER form; make it PEM: openssl x509 -inform DER -in FILE -out FILE.pem"
                      : "it has no certificate in PEM form (\"-----BEGIN CERTIFICATE-----\")");
}

KeyPointer parse_key(const std::string& file, const std::string& content, const std::string& passphrase) {
  const BioPointer bio = memory(content);
  ERR_clear_error();
  KeyPointer key(PEM_read_bio_PrivateKey(bio.get(), nullptr, use_passphrase, const_cast<std::string*>(&passphrase)));
  if (key) return key;
  const bool is_encrypted = content.find("ENCRYPTED") != std::string::npos;
  if (is_encrypted && passphrase.empty()) refuse(file, "its private key is encrypted, and no passphrase was given");
  if (is_encrypted) refuse(file, "the passphrase does not open its private key");
  if (content.find("PRIVATE KEY-----") == std::string::npos) {
    refuse(file, "it has no private key in PEM form (\"-----BEGIN PRIVATE KEY-----\")");
  }
  refuse(file, "its private key is malformed: " + openssl_reason());
}

bool load_pkcs12(const Identity& identity, const std::string& content, LoadedIdentity& into) {
  const BioPointer bio = memory(content);
  PKCS12* const file = d2i_PKCS12_bio(bio.get(), nullptr);
  ERR_clear_error();
  if (file == nullptr) return false;
  const std::unique_ptr<PKCS12, Release<PKCS12_free>> owner(file);
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
  STACK_OF(X509)* chain = nullptr;
  if (PKCS12_parse(file, identity.passphrase.c_str(), &key, &certificate, &chain) != 1) {
    const bool is_locked = ERR_GET_REASON(ERR_peek_last_error()) == PKCS12_R_MAC_VERIFY_FAILURE;
    const bool is_old = ERR_GET_REASON(ERR_peek_error()) == ERR_R_UNSUPPORTED;
    if (is_old) refuse(identity.certificate_file, "its encryption is outdated (RC2, 3DES): export it again");
    refuse(identity.certificate_file, is_locked ? "the passphrase does not open it" : openssl_reason());
  }
  into.key.reset(key);
  into.certificate.reset(certificate);
  for (int at = 0; at < sk_X509_num(chain); ++at) into.chain.emplace_back(sk_X509_value(chain, at));
  sk_X509_free(chain);
  if (!into.certificate || !into.key) refuse(identity.certificate_file, "it lacks a certificate or its key");
  return true;
}

}  // namespace

std::vector<X509Pointer> load_certificates(const std::string& file) {
  return parse_certificates(file, read_file(file));
}

LoadedIdentity load(const Identity& identity) {
  LoadedIdentity loaded;
  if (!identity.ocsp_file.empty()) loaded.ocsp = read_file(identity.ocsp_file);
  const std::string content = read_file(identity.certificate_file);
  if (!load_pkcs12(identity, content, loaded)) {
    std::vector<X509Pointer> all = parse_certificates(identity.certificate_file, content);
    loaded.certificate = std::move(all.front());
    all.erase(all.begin());
    loaded.chain = std::move(all);
    const std::string& key_file = identity.key_file.empty() ? identity.certificate_file : identity.key_file;
    loaded.key = parse_key(key_file, identity.key_file.empty() ? content : read_file(key_file), identity.passphrase);
  }
  if (X509_check_private_key(loaded.certificate.get(), loaded.key.get()) != 1) {
    ERR_clear_error();
    const std::string& key_file = identity.key_file.empty() ? identity.certificate_file : identity.key_file;
    refuse(identity.certificate_file, fmt::format("the key in {} belongs to another certificate", key_file));
  }
  return loaded;
}

void use(SSL_CTX* context, const LoadedIdentity& identity) {
  STACK_OF(X509)* const chain = sk_X509_new_null();
  for (const X509Pointer& link : identity.chain) sk_X509_push(chain, link.get());
  const int done = SSL_CTX_use_cert_and_key(context, identity.certificate.get(), identity.key.get(), chain, 1);
  sk_X509_free(chain);
  if (done == 1) return;
  const Certificate facts = describe(identity.certificate.get());
  throw Error(ErrorKind::invalid, "use the certificate of", facts.names_text(),
              fmt::format("its key is {}: {}", facts.key, openssl_reason()));
}

}  // namespace coax::tls
