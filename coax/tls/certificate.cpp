// What a certificate says, read with OpenSSL.
#include "coax/tls/certificate.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <ctime>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/net/idna.hpp"
#include "coax/tls/openssl_private.hpp"

namespace coax::tls {

namespace {

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

// Whole: the longest name of a host has 253 bytes, and a subject has several parts.
std::string visible(std::string_view text) { return printable(text, 4000); }

std::string text_of(const X509_NAME* name) {
  const BioPointer bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  return visible(text_of(bio.get()));
}

std::string common_name_of(const X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0) return {};
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (size < 0) return {};
  std::string text(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
  OPENSSL_free(utf8);
  return visible(text);
}

std::string text_of_address(const ASN1_OCTET_STRING* bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int size = ASN1_STRING_length(bytes);
  if (size != 4 && size != 16) return "(malformed)";
  ::inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(bytes), text.data(), text.size());
  return text.data();
}

void add_names(X509* from, Certificate& to) {
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(from, NID_subject_alt_name, nullptr, nullptr));
  for (int at = 0; at < sk_GENERAL_NAME_num(names); ++at) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names, at);
    if (name->type == GEN_DNS) {
      const auto* text = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
      to.names.push_back(visible({text, static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName))}));
    } else if (name->type == GEN_IPADD) {
      to.addresses.push_back(text_of_address(name->d.iPAddress));
    }
  }
  GENERAL_NAMES_free(names);
}

std::string describe_key(X509* certificate) {
  EVP_PKEY* const key = X509_get0_pubkey(certificate);
  if (key == nullptr) return "of an unknown kind";
  std::array<char, 80> group{};
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA: return fmt::format("RSA {}", EVP_PKEY_get_bits(key));
    case EVP_PKEY_ED25519: return "Ed25519";
    case EVP_PKEY_ED448: return "Ed448";
    case EVP_PKEY_EC: break;
    default: return fmt::format("{} {}", EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
  }
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) != 1) return "EC";
  const std::string_view name = group.data();
  if (name == "prime256v1") return "EC P-256";
  if (name == "secp384r1") return "EC P-384";
  if (name == "secp521r1") return "EC P-521";
  return "EC " + std::string(name);
}

Certificate::Time time_of(const ASN1_TIME* time) {
  std::tm fields{};
  if (ASN1_TIME_to_tm(time, &fields) != 1) return {};
  return Certificate::Time(std::chrono::seconds(::timegm(&fields)));
}

std::string serial_of(X509* certificate) {
  BIGNUM* const number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr);
  char* const digits = number == nullptr ? nullptr : BN_bn2hex(number);
  std::string text = digits == nullptr ? "" : digits;
  OPENSSL_free(digits);
  BN_free(number);
  return text;
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

X509Pointer parse(const std::string& der) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  return X509Pointer(d2i_X509(nullptr, &bytes, static_cast<long>(der.size())));
}

}  // namespace

namespace {
std::atomic<std::chrono::seconds> shift_of_clock{};
}  // namespace

std::chrono::sys_seconds wall_clock() noexcept {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()) + shift_of_clock.load();
}

void shift_wall_clock(std::chrono::seconds from_the_real_one) noexcept { shift_of_clock = from_the_real_one; }

std::string openssl_reason() {
  const unsigned long first = ERR_get_error();
  ERR_clear_error();
  if (first == 0) return "unknown reason";
  if (ERR_SYSTEM_ERROR(first)) return std::generic_category().message(ERR_GET_REASON(first));
  const char* const reason = ERR_reason_error_string(first);
  return reason != nullptr ? reason : fmt::format("OpenSSL error {:#x}", first);
}

std::string sha256_of(X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  X509_digest(certificate, EVP_sha256(), digest.data(), &size);
  return {reinterpret_cast<const char*>(digest.data()), size};
}

bool is_address(const std::string& host) {
  std::array<unsigned char, 16> bytes{};
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

bool matches(X509* certificate, const std::string& host) {
  if (is_address(host)) return X509_check_ip_asc(certificate, host.c_str(), 0) == 1;
  constexpr unsigned rules = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
  return X509_check_host(certificate, host.data(), host.size(), rules, nullptr) == 1;
}

Certificate describe(X509* certificate) {
  Certificate facts;
  facts.subject = text_of(X509_get_subject_name(certificate));
  facts.issuer = text_of(X509_get_issuer_name(certificate));
  facts.common_name = common_name_of(X509_get_subject_name(certificate));
  add_names(certificate, facts);
  facts.serial = serial_of(certificate);
  facts.key = describe_key(certificate);
  const char* const signature = OBJ_nid2ln(X509_get_signature_nid(certificate));
  facts.signature = signature != nullptr ? signature : "unknown";
  facts.sha256 = hex(sha256_of(certificate));
  facts.not_before = time_of(X509_get0_notBefore(certificate));
  facts.not_after = time_of(X509_get0_notAfter(certificate));
  facts.is_authority = X509_check_ca(certificate) == 1;
  const std::uint32_t purposes = X509_get_extended_key_usage(certificate);  // all bits when there is no such extension
  facts.is_for_servers = (purposes & XKU_SSL_SERVER) != 0;
  facts.is_for_clients = (purposes & XKU_SSL_CLIENT) != 0;
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size > 0) facts.der.assign(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return facts;
}

std::string Certificate::pem() const {
  const X509Pointer certificate = parse(der);
  if (!certificate) return {};
  const BioPointer bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate.get());
  return text_of(bio.get());
}

std::string Certificate::first_name() const {
  if (!names.empty()) return names.front();
  return addresses.empty() ? names_text() : addresses.front();
}

bool Certificate::is_for(const std::string& host) const {
  const X509Pointer certificate = parse(der);
  return certificate && matches(certificate.get(), host);
}

bool Certificate::is_signed_by(const Certificate& authority) const {
  const X509Pointer certificate = parse(der);
  const X509Pointer signer = parse(authority.der);
  const bool is_signed = certificate && signer && X509_verify(certificate.get(), X509_get0_pubkey(signer.get())) == 1;
  ERR_clear_error();
  return is_signed;
}

std::string Certificate::names_text() const {
  std::string text;
  for (const auto& list : {names, addresses}) {
    for (const std::string& name : list) text += (text.empty() ? "" : ", ") + name;
  }
  return text.empty() ? common_name : text;
}

std::vector<Certificate> read_certificates(const std::string& file) {
  std::vector<Certificate> all;
  for (const X509Pointer& certificate : load_certificates(file)) all.push_back(describe(certificate.get()));
  return all;
}

}  // namespace coax::tls
