// Certificate: what an X.509 certificate says (RFC 5280), as text and times.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/compiler.hpp"

namespace coax::tls {

// The subject and the names in a certificate are chosen by its issuer: they are escaped as by printable()
// (base/text.hpp).
struct Certificate {
  using Time = std::chrono::sys_seconds;

  std::string subject;                 // "CN=localhost,O=Example" (RFC 4514)
  std::string issuer;                  // the same form
  std::string common_name;             // of the subject; empty when it has none, or several
  std::vector<std::string> names;      // the DNS names of the subjectAltName: "a.example", "*.example.org"
  std::vector<std::string> addresses;  // its IP addresses: "192.0.2.1", "2001:db8::1"
  std::string serial;                  // in hexadecimal
  std::string key;                     // "RSA 2048", "EC P-256", "Ed25519"
  std::string signature;               // "ecdsa-with-SHA256"
  std::string sha256;                  // of the DER form, in hexadecimal: the fingerprint that Trust::pinned() takes
  Time not_before;
  Time not_after;
  bool is_authority = false;   // it may issue certificates (basicConstraints)
  bool is_for_servers = true;  // extendedKeyUsage has serverAuth, or is not there
  bool is_for_clients = true;  // and clientAuth
  std::string der;             // as it was sent

  // "-----BEGIN CERTIFICATE-----...".
  [[nodiscard]] std::string pem() const;
  // The names and addresses in one list: "a.example, 192.0.2.1"; the common name when there are none.
  [[nodiscard]] std::string names_text() const;
  // The first of these.
  [[nodiscard]] std::string first_name() const;
  // A client that asks for this DNS name or IP address accepts it (RFC 6125); common names do not count.
  [[nodiscard]] bool is_for(const std::string& host) const;
  // The signature is of this issuer's key. Neither dates nor purposes are checked.
  [[nodiscard]] bool is_signed_by(const Certificate& authority) const;
};

// "expired 3 days ago (2026-11-24 10:00 UTC)", "expires in 5 days (...)", "is valid from ...".
std::string validity_text(const Certificate& certificate, Certificate::Time now);

// Reads all certificates of a PEM file, the first of which is that of the file's owner.
// Throws: Error(invalid) when there is none, or one is malformed; Error of the file when it cannot be read.
std::vector<Certificate> read_certificates(const std::string& file);

}  // namespace coax::tls
