// Certificates of one's own: an authority, and certificates that it issues, for tests, a home network, or one company.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/units.hpp"
#include "coax/tls/certificate.hpp"

namespace coax::tls {

enum class KeyKind : std::uint8_t { ec_p256, ec_p384, rsa_2048, rsa_3072, ed25519 };

// Both as PEM.
struct Issued {
  std::string certificate;
  std::string key;  // PKCS#8, not encrypted
};

struct AuthorityOptions {
  std::string common_name = "Coax local authority";  // at most 64 bytes
  KeyKind key = KeyKind::ec_p256;
  std::chrono::days lifetime = std::chrono::days(3650);
};

struct IssueOptions {
  // DNS names, also "*.example.org", and IP addresses; the first becomes the common name. At least one for a server.
  std::vector<std::string> names;
  // Of a client's certificate, for instance a user name, of at most 64 bytes; empty: the first name.
  std::string common_name = {};
  bool is_for_server = true;
  bool is_for_client = false;
  KeyKind key = KeyKind::ec_p256;
  // What browsers accept at most. It ends no later than the authority.
  std::chrono::days lifetime = std::chrono::days(397);
  // Shifts both dates, for tests: an expired certificate.
  std::chrono::days begins_in = std::chrono::days(0);
};

// Throws: Error(invalid) for a malformed name or authority, or a lifetime below a day or beyond the year 9999.
Issued make_authority(const AuthorityOptions& options = {});
// Issues a certificate that is signed by the authority.
Issued issue(const Issued& authority, const IssueOptions& options);
// One that is signed with its own key. Clients accept it only as Trust::only() or Trust::pinned().
Issued issue_self_signed(const IssueOptions& options);

}  // namespace coax::tls
