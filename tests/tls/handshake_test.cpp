// Handshakes: whose certificates are accepted, what is agreed on, and what goes wrong, in words.
#include <gtest/gtest.h>

#include "coax/stream/memory.hpp"
#include "coax/tls/serve.hpp"
#include "tests/support/run.hpp"
#include "tests/support/tls.hpp"

namespace handshake_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;
using tls::Trust;

namespace {

tls::ClientContext client_trusting(Trust trust) { return tls::ClientContext({.trust = std::move(trust)}); }
tls::ServerContext server_with(const tls::Identity& identity) {
  return tls::ServerContext(tls::ServerOptions{.identities = {identity}});
}

std::string client_error(const tls::ClientContext& client, const tls::ServerContext& server,
                         std::string_view name = "localhost") {
  std::string text;
  run([&]() -> Task<> {
    Attempt attempt(client, server, name);
    text = (co_await attempt.run()).client;
  });
  return text;
}

constexpr std::string_view prefix = "TLS handshake with memory: ";

TestTls& test_tls() { return TestTls::instance(); }

}  // namespace

// --- names ---

TEST(TlsNames, certificate_is_for_the_name_or_address_that_was_asked_for) {
  const TestTls& test = test_tls();
  const std::string wrong = std::string(prefix) + "the certificate is for localhost, 127.0.0.1, ::1, you asked for ";
  const struct {
    const char* name;
    std::string error;
  } rows[] = {{"localhost", "none"},
              {"LOCALHOST", "none"},
              {"localhost.", "none"},
              {"127.0.0.1", "none"},
              {"::1", "none"},
              {"example.org", wrong + "example.org"},
              {"127.0.0.2", wrong + "127.0.0.2"},
              {"xlocalhost", wrong + "xlocalhost"},
              {"a.localhost", wrong + "a.localhost"}};
  for (const auto& row : rows) {
    EXPECT_EQ(client_error(test.client_context, test.server_context, row.name), row.error) << row.name;
  }
}

TEST(TlsNames, wildcard_stands_for_one_label) {
  Certificates files;
  const tls::ServerContext server = server_with(files.issue({.names = {"*.example.org"}}));
  const tls::ClientContext client = client_trusting(Trust::only(files.ca()));
  EXPECT_EQ(client_error(client, server, "a.example.org"), "none");
  for (const char* name : {"example.org", "a.b.example.org", "xexample.org"}) {
    EXPECT_NE(client_error(client, server, name), "none") << name;
  }
  EXPECT_EQ(client_error(client, server, "example.org"),
            std::string(prefix) +
                "the certificate is for *.example.org, you asked for example.org; a * stands for one "
                "label, with two behind it");
  for (const char* wide : {"*.org", "*.localhost"}) EXPECT_THROW(files.issue({.names = {wide}}), Error) << wide;
}

TEST(TlsNames, common_name_is_no_name) {
  Certificates files;
  const tls::ServerContext server = server_with(files.issue({.names = {"10.0.0.1"}, .common_name = "localhost"}));
  EXPECT_EQ(client_error(client_trusting(Trust::only(files.ca())), server),
            std::string(prefix) + "the certificate is for 10.0.0.1, you asked for localhost");
}

TEST(TlsNames, international_name_is_asked_for_in_ascii) {
  Certificates files;
  const tls::ServerContext server = server_with(files.issue({.names = {"bücher.example"}}));
  run([&]() -> Task<> {
    Attempt attempt(client_trusting(Trust::only(files.ca())), server, "bücher.example");
    co_await attempt.run_and_talk();
    EXPECT_EQ(attempt.server->server_name(), "xn--bcher-kva.example");
  });
}

TEST(TlsNames, address_is_matched_without_brackets_and_without_its_interface) {
  const TestTls& test = test_tls();
  Certificates files;
  const tls::ServerContext link(tls::ServerOptions{.identities = {files.issue({.names = {"fe80::1"}})}});
  EXPECT_EQ(client_error(test.client_context, test.server_context, "[::1]"), "none");
  EXPECT_EQ(client_error(client_trusting(Trust::only(files.ca())), link, "fe80::1%eth0"), "none");
  EXPECT_EQ(client_error(client_trusting(Trust::only(files.ca())), link, "[fe80::1%eth0]"), "none");
}

TEST(TlsNames, client_that_verifies_needs_a_name) {
  const auto error_for = [](const tls::ClientContext& context, std::string_view name) {
    std::string text = "none";
    run([&]() -> Task<> {
      try {
        const tls::Stream stream(memory_stream_pair().first, context, name);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::address);
        text = error.what();
      }
      co_return;
    });
    return text;
  };
  const tls::ClientContext& checks = test_tls().client_context;
  EXPECT_EQ(error_for(checks, ""), "begin TLS with: a certificate is verified for a name: give one");
  EXPECT_EQ(error_for(checks, "."), "begin TLS with .: a certificate is verified for a name: give one");
  EXPECT_EQ(error_for(checks, ".localhost"),
            "begin TLS with .localhost: a certificate is verified for a name: give one");
  for (const std::string name : {"localhost:443", "a b", "https://localhost", "user@localhost"}) {
    EXPECT_EQ(error_for(checks, name),
              "begin TLS with " + name + ": that is no host name; give it without a port or a path");
  }
  EXPECT_EQ(error_for(client_trusting(Trust::insecure_anyone()), ""), "none");
  EXPECT_EQ(error_for(client_trusting(Trust::pinned(std::string(64, 'a'))), ""), "none");
}

// --- trust ---

TEST(TlsTrust, every_refusal_of_a_certificate_is_of_that_kind_on_both_sides) {
  using std::chrono::days;
  Certificates files;
  Certificates others;
  const tls::Identity good = files.issue({.names = {"localhost"}});
  const struct {
    const char* what;
    tls::Identity identity;
    Trust trust;
    const char* name;
  } rows[] = {
      {"authority", good, Trust::only(others.ca()), "localhost"},
      {"name", good, Trust::only(files.ca()), "example.org"},
      {"pin", good, Trust::pinned(std::string(64, 'a')), "localhost"},
      {"self-signed", files.write(tls::issue_self_signed({.names = {"localhost"}})), Trust::only(files.ca()),
       "localhost"},
      {"expired", files.issue({.names = {"localhost"}, .lifetime = days(1), .begins_in = days(-2)}),
       Trust::only(files.ca()), "localhost"},
      {"future", files.issue({.names = {"localhost"}, .begins_in = days(2)}), Trust::only(files.ca()), "localhost"},
      {"purpose", files.issue({.names = {"localhost"}, .is_for_server = false, .is_for_client = true}),
       Trust::only(files.ca()), "localhost"}};
  for (const auto& row : rows) {
    run([&]() -> Task<> {
      Attempt attempt(client_trusting(row.trust), server_with(row.identity), row.name);
      const auto expect_kind = [&](tls::Stream& stream) -> Task<> {
        try {
          co_await stream.handshake();
          EXPECT_FALSE(&stream == attempt.client.get()) << row.what;
          co_await stream.recv();
          ADD_FAILURE() << row.what;
        } catch (const Error& error) {
          EXPECT_EQ(error.kind(), ErrorKind::certificate) << row.what << ": " << error.what();
        }
        stream.close();
      };
      co_await all(expect_kind(*attempt.client), expect_kind(*attempt.server));
    });
  }
}

TEST(TlsTrust, unknown_authority_is_refused_on_both_sides) {
  Certificates others;
  run([&]() -> Task<> {
    Attempt attempt(client_trusting(Trust::only(others.ca())), test_tls().server_context);
    const Sides sides = co_await attempt.run();
    EXPECT_EQ(
        sides.client,
        std::string(prefix) +
            "the certificate of localhost was issued by CN=Coax local authority, which is not trusted; if it is the "
            "right one, trust it with its file as the CA file; or the server does not send an intermediate "
            "certificate");
    EXPECT_EQ(sides.server, std::string(prefix) +
                                "the peer sent the alert unknown_ca: it does not trust the issuer of our certificate");
  });
}

TEST(TlsTrust, system_authorities_do_not_include_ours) {
  EXPECT_NE(client_error(tls::ClientContext(), test_tls().server_context), "none");
  EXPECT_EQ(client_error(client_trusting(Trust::system_and(test_tls().files.ca())), test_tls().server_context), "none");
}

TEST(TlsTrust, self_signed_certificate_is_refused_unless_it_is_the_trusted_one) {
  Certificates files;
  const tls::Identity own = files.write(tls::issue_self_signed({.names = {"localhost"}}));
  const tls::ServerContext server = server_with(own);
  const std::string sha256 = server.certificates().front().sha256;
  EXPECT_EQ(client_error(client_trusting(Trust::only(files.ca())), server),
            std::string(prefix) +
                "the certificate of localhost is self-signed; if it is the right one, trust it: its file as "
                "the CA file, or its SHA-256 " +
                sha256);
  EXPECT_EQ(client_error(client_trusting(Trust::only(own.certificate_file)), server), "none");
  EXPECT_EQ(client_error(client_trusting(Trust::pinned(sha256)), server, "any.name"), "none");
  EXPECT_EQ(client_error(client_trusting(Trust::pinned(sha256)), test_tls().server_context),
            std::string(prefix) + "its certificate is not the pinned one: its SHA-256 is " +
                test_tls().server_context.certificates().front().sha256);
  EXPECT_EQ(client_error(client_trusting(Trust::insecure_anyone()), server, "any.name"), "none");
}

TEST(TlsTrust, dates_and_purpose_are_checked) {
  Certificates files;
  const tls::ClientContext client = client_trusting(Trust::only(files.ca()));
  const auto error = [&](const tls::IssueOptions& options) {
    return client_error(client, server_with(files.issue(options)));
  };
  using std::chrono::days;
  const std::string expired = error({.names = {"localhost"}, .lifetime = days(10), .begins_in = days(-13)});
  EXPECT_TRUE(expired.starts_with(std::string(prefix) + "the certificate of localhost expired 3 days ago ("))
      << expired;
  const std::string early = error({.names = {"localhost"}, .begins_in = days(2)});
  EXPECT_TRUE(early.starts_with(std::string(prefix) + "the certificate of localhost is not valid before ")) << early;
  EXPECT_EQ(error({.names = {"localhost"}, .is_for_server = false, .is_for_client = true}),
            std::string(prefix) + "the certificate of localhost is not made for servers (extendedKeyUsage)");
}

// --- what is agreed on ---

TEST(TlsVersion, newest_common_one_is_chosen) {
  const TestTls& test = test_tls();
  run([&]() -> Task<> {
    Attempt newest(test.client_context, test.server_context);
    co_await newest.run_and_talk();
    EXPECT_EQ(newest.client->version(), tls::Version::tls13);
    EXPECT_EQ(newest.server->version(), tls::Version::tls13);
    EXPECT_TRUE(newest.client->cipher().starts_with("TLS_")) << newest.client->cipher();
    EXPECT_EQ(newest.client->cipher(), newest.server->cipher());
    EXPECT_EQ(newest.client->group(), "x25519");
    Attempt older(test.client_context_12, test.server_context);
    co_await older.run_and_talk();
    EXPECT_EQ(older.client->version(), tls::Version::tls12);
    EXPECT_TRUE(older.client->cipher().starts_with("TLS_ECDHE_")) << older.client->cipher();
  });
}

TEST(TlsVersion, without_a_common_one_both_sides_say_so) {
  const TestTls& test = test_tls();
  const tls::ServerContext new_only(
      tls::ServerOptions{.identities = {test.server}, .version_min = tls::Version::tls13});
  run([&]() -> Task<> {
    Attempt attempt(test.client_context_12, new_only);
    const Sides sides = co_await attempt.run();
    EXPECT_EQ(sides.client,
              std::string(prefix) + "the peer sent the alert protocol_version: no version of TLS in common");
    EXPECT_EQ(sides.server, std::string(prefix) + "no version of TLS in common");
  });
}

TEST(TlsAlpn, servers_first_common_protocol_is_chosen) {
  const TestTls& test = test_tls();
  const auto agreed = [&](std::vector<std::string> of_client, std::vector<std::string> of_server) {
    const tls::ClientContext client({.trust = Trust::only(test.files.ca()), .alpn = std::move(of_client)});
    const tls::ServerContext server(tls::ServerOptions{.identities = {test.server}, .alpn = std::move(of_server)});
    std::string protocol;
    run([&]() -> Task<> {
      Attempt attempt(client, server);
      co_await attempt.run_and_talk();
      EXPECT_EQ(attempt.client->alpn(), attempt.server->alpn());
      protocol = attempt.server->alpn();
    });
    return protocol;
  };
  EXPECT_EQ(agreed({"http/1.1", "h2"}, {"h2", "http/1.1"}), "h2");
  EXPECT_EQ(agreed({"http/1.1"}, {"h2", "http/1.1"}), "http/1.1");
  EXPECT_EQ(agreed({"spdy/3"}, {"h2"}), "");
  EXPECT_EQ(agreed({}, {"h2"}), "");
  EXPECT_THROW(tls::ClientContext({.alpn = {""}}), Error);
}

TEST(TlsNames, server_chooses_the_certificate_by_the_name) {
  Certificates files;
  const tls::ServerContext server(tls::ServerOptions{.identities = {files.issue({.names = {"first.example"}}),
                                                                    files.issue({.names = {"second.example"}}),
                                                                    files.issue({.names = {"*.third.example"}})}});
  const tls::ClientContext client = client_trusting(Trust::insecure_anyone());
  const auto certificate_for = [&](std::string_view name) {
    std::string names;
    run([&]() -> Task<> {
      Attempt attempt(client, server, name);
      co_await attempt.run_and_talk();
      names = attempt.client->peer_certificate().value_or(tls::Certificate{}).names_text();
    });
    return names;
  };
  EXPECT_EQ(certificate_for("first.example"), "first.example");
  EXPECT_EQ(certificate_for("second.example"), "second.example");
  EXPECT_EQ(certificate_for("SECOND.example"), "second.example");
  EXPECT_EQ(certificate_for("a.third.example"), "*.third.example");
  EXPECT_EQ(certificate_for("unknown.example"), "first.example");
  EXPECT_EQ(certificate_for("192.0.2.1"), "first.example");
}

TEST(TlsKeys, every_kind_of_key_works) {
  Certificates files;
  const tls::ClientContext client = client_trusting(Trust::only(files.ca()));
  for (const tls::KeyKind kind :
       {tls::KeyKind::ec_p256, tls::KeyKind::ec_p384, tls::KeyKind::rsa_2048, tls::KeyKind::ed25519}) {
    EXPECT_EQ(client_error(client, server_with(files.issue({.names = {"localhost"}, .key = kind}))), "none");
  }
}

// --- certificates of clients ---

namespace {

tls::ServerContext asking_server(tls::ClientCertificate mode) {
  const TestTls& test = test_tls();
  return tls::ServerContext(
      tls::ServerOptions{.identities = {test.server}, .client_certificate = mode, .client_ca_file = test.files.ca()});
}
tls::ClientContext client_with(const tls::Identity& identity) {
  return tls::ClientContext({.trust = Trust::only(test_tls().files.ca()), .identity = identity});
}

// Of TLS 1.3 the client learns of a refusal with its first receive.
Task<Sides> talk(Attempt& attempt) {
  Sides sides = co_await attempt.run();
  if (sides.client == "none") sides.client = co_await text_of_error(attempt.client->recv());
  co_return sides;
}

}  // namespace

TEST(TlsClientCertificate, required_one_that_is_missing_is_an_error_on_both_sides) {
  run([&]() -> Task<> {
    Attempt attempt(test_tls().client_context, asking_server(tls::ClientCertificate::required));
    const Sides sides = co_await talk(attempt);
    EXPECT_EQ(sides.server, std::string(prefix) + "it sent no client certificate");
    EXPECT_EQ(sides.client,
              "recv from memory: the peer sent the alert certificate_required: it requires a client certificate");
  });
}

TEST(TlsClientCertificate, is_verified_and_known_to_the_server) {
  const tls::Identity alice =
      test_tls().files.issue({.names = {}, .common_name = "alice", .is_for_server = false, .is_for_client = true});
  for (const auto mode : {tls::ClientCertificate::required, tls::ClientCertificate::requested}) {
    run([&]() -> Task<> {
      Attempt attempt(client_with(alice), asking_server(mode));
      co_await attempt.run_and_talk();
      EXPECT_EQ(attempt.server->peer_certificate().value_or(tls::Certificate{}).common_name, "alice");
    });
  }
}

TEST(TlsClientCertificate, requested_one_may_be_missing) {
  run([&]() -> Task<> {
    Attempt attempt(test_tls().client_context, asking_server(tls::ClientCertificate::requested));
    co_await attempt.run_and_talk();
    EXPECT_FALSE(attempt.server->peer_certificate());
  });
}

TEST(TlsClientCertificate, of_another_authority_or_for_servers_is_refused) {
  Certificates others;
  const tls::Identity stranger =
      others.issue({.names = {}, .common_name = "mallory", .is_for_server = false, .is_for_client = true});
  const tls::Identity of_server = test_tls().files.issue({.names = {"localhost"}});
  run([&]() -> Task<> {
    Attempt strange(client_with(stranger), asking_server(tls::ClientCertificate::requested));
    EXPECT_EQ((co_await talk(strange)).client,
              "recv from memory: the peer sent the alert unknown_ca: it does not trust the issuer of our certificate");
    Attempt wrong_purpose(client_with(of_server), asking_server(tls::ClientCertificate::required));
    EXPECT_EQ((co_await wrong_purpose.run()).server,
              std::string(prefix) + "the certificate of localhost is not made for clients (extendedKeyUsage)");
  });
}

// --- what is no handshake ---

TEST(TlsHandshake, has_one_time_limit_in_all) {
  const TestTls& test = test_tls();
  const tls::ClientContext client({.trust = Trust::only(test.files.ca()), .handshake_limit = 20ms});
  run([&]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    tls::Stream stream(std::move(near), client, "localhost");
    EXPECT_EQ(co_await text_of_error(stream.handshake()), std::string(prefix) + "not complete after 20ms");
  });
}

TEST(TlsHandshake, end_of_the_connection_is_truncation) {
  run([&]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    tls::Stream stream(std::move(near), test_tls().client_context, "localhost");
    co_await far->shutdown_send();
    EXPECT_EQ(co_await outcome(stream.handshake()), "truncated");
  });
}

TEST(TlsHandshake, calls_before_it_say_what_is_missing) {
  run([&]() -> Task<> {
    Attempt attempt(test_tls().client_context, test_tls().server_context);
    EXPECT_EQ(co_await text_of_error(attempt.client->recv()), "recv from memory: await handshake() first");
    EXPECT_EQ(co_await text_of_error(attempt.client->send("x")), "send to memory: await handshake() first");
    EXPECT_FALSE(attempt.client->queue("x"));
    co_await attempt.run_and_talk();  // nothing was broken by it
  });
}

TEST(TlsHandshake, http_request_gets_an_answer_in_plain_text) {
  for (const std::string_view request : {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "DELETE /x HTTP/1.0\r\n\r\n"}) {
    run([&]() -> Task<> {
      auto [near, far] = memory_stream_pair();
      tls::Stream server(std::move(far), test_tls().server_context);
      co_await near->send(request);
      EXPECT_EQ(co_await text_of_error(server.handshake()), std::string(prefix) + "it speaks HTTP, not TLS");
      const std::string answer = (co_await near->recv()).string();
      EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 Bad Request\r\n")) << answer;
      const std::size_t head = answer.find("\r\n\r\n") + 4;
      EXPECT_NE(answer.find("Content-Length: " + std::to_string(answer.size() - head)), std::string::npos) << answer;
    });
  }
}

TEST(TlsHandshake, plain_text_server_is_named_as_such) {
  run([&]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    tls::Stream client(std::move(near), test_tls().client_context, "localhost");
    co_await far->send("220 mail.example ESMTP\r\n");
    EXPECT_EQ(co_await text_of_error(client.handshake()),
              std::string(prefix) + "it does not speak TLS; perhaps another port does");
  });
}

TEST(TlsStream, idle_one_holds_no_buffers) {
  run([&]() -> Task<> {
    Attempt attempt(test_tls().client_context, test_tls().server_context);
    co_await attempt.run_and_talk();
    TaskGroup group;
    const auto wait = [](Stream& stream) -> Task<> { co_await stream.recv(); };
    group.spawn(wait(*attempt.client));
    group.spawn(wait(*attempt.server));
    co_await next_turn();
    EXPECT_EQ(Loop::current().backend().buffers().lent(), 0U);
    group.cancel();
    co_await group.join();
  });
}

TEST(TlsHandshake, that_is_interrupted_returns_its_buffers) {
  run([&]() -> Task<> {
    auto [near, far] = memory_stream_pair(100);  // less than a ClientHello
    {
      tls::Stream client(std::move(near), test_tls().client_context, "localhost");
      EXPECT_EQ(co_await outcome(timeout(5ms, client.handshake())), "timed_out");
    }
    EXPECT_EQ(Loop::current().backend().buffers().lent(), 0U);
  });
}

// A server that has answered and closed has no use for the client's end.
TEST(TlsStream, shutdown_after_the_peer_has_closed_is_no_failure) {
  run([&]() -> Task<> {
    Attempt attempt(test_tls().client_context, test_tls().server_context);
    co_await attempt.run_and_talk();
    co_await attempt.server->send("answer");
    attempt.server->close();
    EXPECT_EQ(co_await outcome(attempt.client->shutdown_send()), "done");
    EXPECT_EQ((co_await attempt.client->recv()).text(), "answer");
    EXPECT_TRUE((co_await attempt.client->recv()).empty());
    EXPECT_EQ(co_await outcome(attempt.client->send("x")), "disconnected");
  });
}

}  // namespace handshake_test
