// Making keys and certificates (RFC 5280) with OpenSSL.
#include "coax/tls/issue.hpp"

#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/net/idna.hpp"
#include "coax/tls/openssl_private.hpp"

namespace coax::tls {

namespace {

[[noreturn]] void fail(std::string_view what) {
  throw Error(ErrorKind::invalid, "issue a certificate for", what, openssl_reason());
}

KeyPointer make_key(KeyKind kind) {
  switch (kind) {
    case KeyKind::ec_p256: return KeyPointer(EVP_EC_gen("P-256"));
    case KeyKind::ec_p384: return KeyPointer(EVP_EC_gen("P-384"));
    case KeyKind::rsa_2048: return KeyPointer(EVP_RSA_gen(2048));
    case KeyKind::rsa_3072: return KeyPointer(EVP_RSA_gen(3072));
    case KeyKind::ed25519: return KeyPointer(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  }
  return {};
}

std::string pem_of(X509* certificate) {
  const BioPointer bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string pem_of(const EVP_PKEY* key) {
  const BioPointer bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

struct Signer {
  X509Pointer certificate;
  KeyPointer key;
};

Signer parse(const Issued& authority) {
  const BioPointer certificate(
      BIO_new_mem_buf(authority.certificate.data(), static_cast<int>(authority.certificate.size())));
  const BioPointer key(BIO_new_mem_buf(authority.key.data(), static_cast<int>(authority.key.size())));
  const auto refuse_passphrase = [](char*, int, int, void*) { return -1; };  // never a prompt
  ERR_clear_error();
  Signer signer{.certificate = X509Pointer(PEM_read_bio_X509(certificate.get(), nullptr, refuse_passphrase, nullptr)),
                .key = KeyPointer(PEM_read_bio_PrivateKey(key.get(), nullptr, refuse_passphrase, nullptr))};
  const auto refuse = [](std::string_view reason) {
    ERR_clear_error();
    throw Error(ErrorKind::invalid, "issue a certificate with", "the authority", reason);
  };
  if (!signer.certificate) refuse("its certificate is not PEM (\"-----BEGIN CERTIFICATE-----\")");
  if (!signer.key && authority.key.contains("ENCRYPTED")) refuse("its private key is encrypted");
  if (!signer.key) refuse("its private key is not PEM (\"-----BEGIN PRIVATE KEY-----\")");
  if (X509_check_private_key(signer.certificate.get(), signer.key.get()) != 1) {
    refuse("its private key belongs to another certificate");
  }
  return signer;
}

void add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  if (extension == nullptr) fail(value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

void set_name(X509_NAME* name, const std::string& common_name) {
  if (common_name.empty() || !is_utf8(common_name) || has_control(common_name)) {
    throw Error(ErrorKind::invalid, "issue a certificate for", common_name, "it is no text of visible characters");
  }
  if (common_name.size() > ub_common_name) {
    throw Error(ErrorKind::invalid, "issue a certificate for", common_name, "a common name has at most 64 bytes");
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(common_name.data());
  const int size = static_cast<int>(common_name.size());
  if (X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, bytes, size, -1, 0) != 1) fail(common_name);
}

void set_serial(X509* certificate) {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) fail("a new serial number");
  bytes[0] &= 0x7F;  // it must be positive, with at most 20 bytes (RFC 5280, section 4.1.2.2)
  bytes[0] |= 0x40;
  BIGNUM* const number = BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
  BN_free(number);
}

// `count` days and `seconds` from now.
void set_time(ASN1_TIME* time, std::chrono::days count, long seconds) {
  constexpr std::chrono::days most(2'900'000);  // the year 9999 is the last (RFC 5280, section 4.1.2.5)
  const bool is_in_range = count > -most && count < most;
  if (!is_in_range || X509_time_adj_ex(time, static_cast<int>(count.count()), seconds, nullptr) == nullptr) {
    ERR_clear_error();
    throw Error(ErrorKind::invalid, "issue a certificate for", fmt::format("{} days from now", count.count()),
                "its dates must lie before the year 10000");
  }
}

// Valid an hour earlier than now: clocks differ.
X509Pointer begin(EVP_PKEY* key, const std::string& common_name, std::chrono::days begins_in,
                  std::chrono::days lifetime) {
  if (lifetime < std::chrono::days(1)) {
    throw Error(ErrorKind::invalid, "issue a certificate for", common_name, "its lifetime is less than a day");
  }
  X509Pointer certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  set_serial(certificate.get());
  set_time(X509_getm_notBefore(certificate.get()), begins_in, -3600);
  set_time(X509_getm_notAfter(certificate.get()), begins_in + lifetime, 0);
  X509_set_pubkey(certificate.get(), key);
  set_name(X509_get_subject_name(certificate.get()), common_name);
  return certificate;
}

void sign(X509* certificate, EVP_PKEY* key) {
  const int kind = EVP_PKEY_get_base_id(key);
  const EVP_MD* const digest = kind == EVP_PKEY_ED25519 || kind == EVP_PKEY_ED448 ? nullptr : EVP_sha256();
  if (X509_sign(certificate, key, digest) == 0) fail("its subject");
}

// The form of the wire of a name, for subjectAltName.
std::string alternative(const std::string& name) {
  if (is_address(name)) return "IP:" + name;
  const bool is_wildcard = name.starts_with("*.");
  std::string ascii = ascii_name(is_wildcard ? name.substr(2) : name);
  if (ascii.ends_with('.')) ascii.pop_back();  // clients ask without it
  const std::string_view last = std::string_view(ascii).substr(ascii.rfind('.') + 1);
  const bool ends_in_number = !last.empty() && last.find_first_not_of("0123456789") == std::string_view::npos;
  if (ends_in_number || last.starts_with("0x")) {
    throw Error(ErrorKind::invalid, "issue a certificate for", name,
                "clients take it for an IP address, and it is no valid one");
  }
  if (name.contains('%') && is_address(name.substr(0, name.find('%')))) {
    throw Error(ErrorKind::invalid, "issue a certificate for", name, "give the address without its interface");
  }
  const bool has_empty_label = ascii.empty() || ascii.starts_with('.') || ascii.ends_with('.') || ascii.contains("..");
  const bool is_name = !has_empty_label && std::ranges::all_of(ascii, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
  });
  if (!is_name) throw Error(ErrorKind::invalid, "issue a certificate for", name, "it is neither a name nor an address");
  if (is_wildcard && !ascii.contains('.')) {
    throw Error(ErrorKind::invalid, "issue a certificate for", name,
                "clients accept a wildcard only with two labels behind it: *.example.org");
  }
  return (is_wildcard ? "DNS:*." : "DNS:") + ascii;
}

std::string purposes(const IssueOptions& options) {
  if (options.is_for_server && options.is_for_client) return "serverAuth,clientAuth";
  return options.is_for_client ? "clientAuth" : "serverAuth";
}

Issued issue_by(const Signer* signer, const IssueOptions& options) {
  if (options.names.empty() && (options.is_for_server || options.common_name.empty())) {
    throw Error(ErrorKind::invalid, "issue a certificate for", "no name", "it needs at least one name or address");
  }
  std::string alternatives;
  for (const std::string& name : options.names) alternatives += (alternatives.empty() ? "" : ",") + alternative(name);
  const KeyPointer key = make_key(options.key);
  if (!key) fail("a new key");
  std::string common_name = options.common_name;
  if (common_name.empty()) common_name = first_characters(options.names.front(), ub_common_name);
  const X509Pointer certificate = begin(key.get(), common_name, options.begins_in, options.lifetime);
  X509* const issuer = signer != nullptr ? signer->certificate.get() : certificate.get();
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer));
  if (ASN1_TIME_compare(X509_get0_notAfter(certificate.get()), X509_get0_notAfter(issuer)) > 0) {
    X509_set1_notAfter(certificate.get(), X509_get0_notAfter(issuer));
  }
  const bool is_rsa = options.key == KeyKind::rsa_2048 || options.key == KeyKind::rsa_3072;
  add_extension(certificate.get(), issuer, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(certificate.get(), issuer, NID_key_usage,
                is_rsa ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature");
  add_extension(certificate.get(), issuer, NID_ext_key_usage, purposes(options));
  if (!alternatives.empty()) add_extension(certificate.get(), issuer, NID_subject_alt_name, alternatives);
  add_extension(certificate.get(), issuer, NID_subject_key_identifier, "hash");
  if (signer != nullptr) add_extension(certificate.get(), issuer, NID_authority_key_identifier, "keyid:always");
  sign(certificate.get(), signer != nullptr ? signer->key.get() : key.get());
  return {.certificate = pem_of(certificate.get()), .key = pem_of(key.get())};
}

}  // namespace

Issued make_authority(const AuthorityOptions& options) {
  const KeyPointer key = make_key(options.key);
  if (!key) fail("a new key");
  const X509Pointer certificate = begin(key.get(), options.common_name, std::chrono::days(0), options.lifetime);
  X509* const self = certificate.get();
  X509_set_issuer_name(self, X509_get_subject_name(self));
  add_extension(self, self, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(self, self, NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(self, self, NID_subject_key_identifier, "hash");
  sign(self, key.get());
  return {.certificate = pem_of(self), .key = pem_of(key.get())};
}

Issued issue(const Issued& authority, const IssueOptions& options) {
  const Signer signer = parse(authority);
  return issue_by(&signer, options);
}

Issued issue_self_signed(const IssueOptions& options) { return issue_by(nullptr, options); }

}  // namespace coax::tls
