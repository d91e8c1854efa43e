// Contexts from files: what is accepted, what is refused with which words, reload, and warnings.
#include "coax/tls/context.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "coax/base/error.hpp"
#include "tests/support/tls.hpp"

namespace context_test {

using namespace coax;
using namespace coax::test;

namespace {

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

std::string server_error(const tls::Identity& identity) {
  return error_of([&] { tls::ServerContext({.identities = {identity}}); });
}

}  // namespace

TEST(TlsContext, files_of_no_use_are_named_with_the_reason) {
  Certificates files;
  const tls::Identity good = files.issue({.names = {"localhost"}});
  const tls::Identity other = files.issue({.names = {"localhost"}});
  const auto file = [&](const std::string& name, std::string_view content) {
    write_file(files.path(name), content);
    return files.path(name);
  };
  const std::string empty = file("empty", "");
  const std::string pipe = files.path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const tls::Certificate certificate = tls::read_certificates(good.certificate_file).front();
  const std::string garbage = file("garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  const std::string use = "use the certificates of ";
  EXPECT_EQ(server_error({.certificate_file = files.path("none")}),
            "read " + files.path("none") + ": No such file or directory");
  EXPECT_EQ(server_error({.certificate_file = pipe}), "read " + pipe + ": it is not a regular file");
  EXPECT_EQ(server_error({.certificate_file = "/dev/zero"}), "read /dev/zero: it is not a regular file");
  EXPECT_EQ(server_error({.certificate_file = files.path("")}), "read " + files.path("") + ": Is a directory");
  EXPECT_EQ(
      server_error({.certificate_file = file("der", certificate.der)}),
      use + files.path("der") + ": it is in DER form; make it PEM: openssl x509 -inform DER -in FILE -out FILE.pem");
  EXPECT_EQ(server_error({.certificate_file = empty}),
            use + empty + ": it has no certificate in PEM form (\"-----BEGIN CERTIFICATE-----\")");
  EXPECT_TRUE(
      server_error({.certificate_file = garbage}).starts_with(use + garbage + ": certificate 1 in it is malformed: "));
  EXPECT_EQ(server_error({.certificate_file = good.certificate_file}),
            use + good.certificate_file + ": it has no private key in PEM form (\"-----BEGIN PRIVATE KEY-----\")");
  EXPECT_EQ(server_error({.certificate_file = good.certificate_file, .key_file = other.key_file}),
            use + good.certificate_file + ": the key in " + other.key_file + " belongs to another certificate");
  EXPECT_EQ(error_of([&] { tls::ClientContext({.trust = tls::Trust::only(empty)}); }),
            use + empty + ": it has no certificate in PEM form (\"-----BEGIN CERTIFICATE-----\")");
  EXPECT_EQ(error_of([&] { tls::ServerContext({.identities = {good}, .client_ca_file = files.ca()}); }),
            "set up TLS with client_ca_file: client_certificate must be requested or required: otherwise no client is "
            "asked for one");
  EXPECT_EQ(error_of([] { tls::ServerContext({.identities = {}}); }),
            "set up TLS with no certificate: a server needs at least one identity");
  EXPECT_EQ(
      error_of([] { tls::ClientContext({.trust = tls::Trust::pinned("abc")}); }),
      "trust the certificate abc: a SHA-256 fingerprint has 64 hexadecimal digits: openssl x509 -fingerprint -sha256");
}

TEST(TlsContext, certificate_and_key_may_be_in_one_file) {
  Certificates files;
  const tls::Issued issued = tls::issue(files.authority(), {.names = {"localhost"}});
  write_file(files.path("both"), issued.key + issued.certificate);
  EXPECT_EQ(server_error({.certificate_file = files.path("both")}), "none");
}

TEST(TlsContext, reload_takes_new_files_and_keeps_the_old_ones_when_they_are_broken) {
  Certificates files;
  const tls::Identity identity = files.issue({.names = {"first.example"}});
  tls::ServerContext server({.identities = {identity}});
  EXPECT_FALSE(server.reload_if_changed());
  const tls::Issued second = tls::issue(files.authority(), {.names = {"second.example"}});
  write_file(identity.certificate_file, second.certificate);
  EXPECT_THROW(server.reload_if_changed(), Error) << "the key belongs to another certificate";
  EXPECT_EQ(server.certificates().front().names_text(), "first.example");
  write_file(identity.key_file, second.key);
  EXPECT_TRUE(server.reload_if_changed());
  EXPECT_EQ(server.certificates().front().names_text(), "second.example");
}

TEST(TlsContext, warnings_tell_an_expired_issuer) {
  using std::chrono::days;
  Certificates files;
  const tls::Issued own = tls::issue(files.authority(), {.names = {"localhost"}});
  const tls::Issued old =
      tls::issue(files.authority(), {.names = {"old.example"}, .lifetime = days(2), .begins_in = days(-3)});
  const tls::Identity identity = files.write({.certificate = own.certificate + old.certificate, .key = own.key});
  const auto warnings = tls::ServerContext({.identities = {identity}}).warnings();
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_TRUE(warnings[0].starts_with("the issuer CN=old.example in the chain expired ")) << warnings[0];
}

TEST(TlsContext, reload_notices_a_file_with_the_old_time_and_size) {
  Certificates files;
  const tls::Identity identity = files.issue({.names = {"one.example"}});
  tls::ServerContext server({.identities = {identity}});
  const auto time = std::filesystem::last_write_time(identity.certificate_file);
  EXPECT_FALSE(server.reload_if_changed());
  // As a program does that copies a file with its times: the status has changed.
  std::filesystem::last_write_time(identity.certificate_file, time);
  EXPECT_TRUE(server.reload_if_changed());
}

TEST(TlsContext, warnings_name_what_an_operator_should_know) {
  using std::chrono::days;
  Certificates files;
  const auto warnings = [&](const tls::IssueOptions& options) {
    return tls::ServerContext({.identities = {files.issue(options)}}).warnings();
  };
  EXPECT_TRUE(warnings({.names = {"localhost"}}).empty());
  const auto soon = warnings({.names = {"localhost"}, .lifetime = days(6)});
  ASSERT_EQ(soon.size(), 1U);
  EXPECT_TRUE(soon[0].starts_with("the certificate for localhost expires in ")) << soon[0];
  const auto past = warnings({.names = {"localhost"}, .lifetime = days(2), .begins_in = days(-3)});
  ASSERT_EQ(past.size(), 1U);
  EXPECT_TRUE(past[0].starts_with("the certificate for localhost expired 24 hours ago (") ||
              past[0].starts_with("the certificate for localhost expired 1 day ago ("))
      << past[0];
  const auto nameless = warnings({.names = {}, .common_name = "alice", .is_for_server = false, .is_for_client = true});
  ASSERT_EQ(nameless.size(), 2U);
  EXPECT_EQ(nameless[0], "the certificate CN=alice has no names (subjectAltName): clients will refuse it");
  EXPECT_EQ(nameless[1],
            "the certificate for alice is not made for servers (extendedKeyUsage): clients will refuse it");
}

TEST(TlsCertificate, says_what_it_is) {
  Certificates files;
  const tls::Identity identity = files.issue({.names = {"a.example", "192.0.2.1", "2001:db8::1"}});
  const tls::Certificate certificate = tls::read_certificates(identity.certificate_file).at(0);
  EXPECT_EQ(certificate.subject, "CN=a.example");
  EXPECT_EQ(certificate.issuer, "CN=Coax local authority");
  EXPECT_EQ(certificate.names, std::vector<std::string>{"a.example"});
  EXPECT_EQ(certificate.addresses, (std::vector<std::string>{"192.0.2.1", "2001:db8::1"}));
  EXPECT_EQ(certificate.key, "EC P-256");
  EXPECT_EQ(certificate.signature, "ecdsa-with-SHA256");
  EXPECT_EQ(certificate.sha256.size(), 64U);
  EXPECT_FALSE(certificate.is_authority);
  EXPECT_TRUE(tls::read_certificates(files.ca()).at(0).is_authority);
  std::ifstream file(identity.certificate_file);
  EXPECT_EQ(certificate.pem(), std::string(std::istreambuf_iterator<char>(file), {}));
}

TEST(TlsIssue, malformed_names_are_refused) {
  Certificates files;
  for (const char* name : {"", "a b", "a,IP:1.2.3.4", "a\nb", "DNS:x", "*", "*.", ".a.example", "a..example", "a.*.b",
                           "127.1", "256.1.1.1", "1.2.3.4.5", "0x7f.1", "a.0x1", "fe80::1%lo"}) {
    EXPECT_THROW(files.issue({.names = {name}}), Error) << name;
  }
  EXPECT_THROW(files.issue({.names = {}}), Error);
  const std::string long_name(65, 'a');
  EXPECT_EQ(error_of([&] {
              files.issue({.names = {}, .common_name = long_name, .is_for_server = false, .is_for_client = true});
            }),
            "issue a certificate for " + long_name + ": a common name has at most 64 bytes");
  EXPECT_THROW(Certificates({.common_name = long_name}), Error);
  for (const char* name : {"a\x01b", "a\nb", "\xff", "\u202e"}) {
    EXPECT_THROW(files.issue({.names = {}, .common_name = name, .is_for_server = false, .is_for_client = true}), Error);
  }
}

TEST(TlsIssue, names_are_written_as_clients_ask_for_them) {
  Certificates files;
  const std::string label(40, 'b');
  const std::string longest = label + ".bücher-" + label + ".example";
  const auto issued = [&](const std::string& name) {
    return tls::read_certificates(files.issue({.names = {name}}).certificate_file).front();
  };
  EXPECT_EQ(issued("localhost.").names.front(), "localhost");
  EXPECT_EQ(issued("*.bücher.example").names.front(), "*.xn--bcher-kva.example");
  EXPECT_EQ(issued(longest).common_name, longest.substr(0, 64));
  EXPECT_EQ(issued(std::string(31, 'a') + "." + std::string(31, 'a') + "ü.example").common_name,
            std::string(31, 'a') + "." + std::string(31, 'a'))
      << "not a part of a character";
  EXPECT_TRUE(issued("localhost").is_for("LOCALHOST"));
  EXPECT_FALSE(issued("localhost").is_for("127.0.0.1"));
}

TEST(TlsIssue, dates_are_possible_and_not_after_those_of_the_authority) {
  using std::chrono::days;
  const Certificates files({.lifetime = days(30)});
  const tls::Certificate authority = tls::read_certificates(files.ca()).front();
  Certificates others;
  write_file(files.path("leaf"), tls::issue(files.authority(), {.names = {"localhost"}}).certificate);
  const tls::Certificate leaf = tls::read_certificates(files.path("leaf")).front();
  EXPECT_EQ(leaf.not_after, authority.not_after);
  EXPECT_TRUE(leaf.is_signed_by(authority));
  EXPECT_FALSE(leaf.is_signed_by(tls::read_certificates(others.ca()).front())) << "of the same name";
  for (const days lifetime : {days(0), days(-1), days(3'000'000), days(2'000'000'000)}) {
    EXPECT_THROW(others.issue({.names = {"localhost"}, .lifetime = lifetime}), Error) << lifetime.count();
    EXPECT_THROW(Certificates({.lifetime = lifetime}), Error) << lifetime.count();
  }
}

TEST(TlsIssue, authority_of_no_use_is_refused_without_a_prompt) {
  const Certificates files;
  const std::string prefix = "issue a certificate with the authority: ";
  const auto error_with = [&](const std::string& certificate, const std::string& key) {
    return error_of([&] { tls::issue({.certificate = certificate, .key = key}, {.names = {"localhost"}}); });
  };
  const auto& [certificate, key] = files.authority();
  EXPECT_EQ(error_with("x", key), prefix + "its certificate is not PEM (\"-----BEGIN CERTIFICATE-----\")");
  EXPECT_EQ(error_with(certificate, "x"), prefix + "its private key is not PEM (\"-----BEGIN PRIVATE KEY-----\")");
  EXPECT_EQ(error_with(certificate, tls::make_authority().key),
            prefix + "its private key belongs to another certificate");
  constexpr const char* encrypted =
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
      "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiKPBYnY6rWYAICCAAw\n"
      "-----END ENCRYPTED PRIVATE KEY-----\n";
  EXPECT_EQ(error_with(certificate, encrypted), prefix + "its private key is encrypted");
}

}  // namespace context_test
