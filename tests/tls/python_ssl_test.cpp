// The behaviours of Python's ssl module that programs rely on, by their numbers in docs/guide/socket-behaviours.md.
#include <gtest/gtest.h>

#include <thread>

#include "coax/tls/socket.hpp"
#include "tests/support/tls.hpp"

namespace python_ssl_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;
using tls::Trust;

namespace {

TestTls& test_tls() { return TestTls::instance(); }

// The kind of error that the client gets; nothing when the handshake succeeds.
std::string client_outcome(const tls::ClientContext& client, const tls::ServerContext& server, std::string_view name) {
  std::string end;
  run([&]() -> Task<> {
    Attempt attempt(client, server, name);
    end = (co_await attempt.run()).client;
  });
  return end;
}

// A blocking client whose server, on a thread, runs `serve`.
void with_session(const std::function<void(tls::Socket&)>& serve, const std::function<void(tls::Socket&)>& use) {
  SocketPair pair;
  const std::jthread thread([&] {
    tls::Socket server(std::move(pair.far), test_tls().server_context);
    server.set_timeout(60s);
    server.handshake();
    serve(server);
  });
  pair.near.set_timeout(60s);
  tls::Socket client(std::move(pair.near), test_tls().client_context, "localhost");
  client.handshake();
  use(client);
}

std::string kind_thrown_by(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return std::string(to_string(error.kind()));
  }
  return "none";
}

std::string pattern(std::size_t count) {
  std::string bytes(count, '\0');
  for (std::size_t at = 0; at < count; ++at) bytes[at] = static_cast<char>(at * 31 + at / 251);
  return bytes;
}

}  // namespace

TEST(PythonSsl, tl01_default_client_refuses_an_unknown_certificate) {
  EXPECT_NE(client_outcome(tls::ClientContext(), test_tls().server_context, "localhost"), "none");
  EXPECT_EQ(client_outcome(test_tls().client_context, test_tls().server_context, "localhost"), "none");
}

TEST(PythonSsl, tl02_address_is_matched_against_the_addresses_of_the_certificate) {
  EXPECT_EQ(client_outcome(test_tls().client_context, test_tls().server_context, "127.0.0.1"), "none");
  EXPECT_NE(client_outcome(test_tls().client_context, test_tls().server_context, "127.0.0.3"), "none");
}

TEST(PythonSsl, tl03_another_host_name_is_a_verification_error) {
  EXPECT_EQ(client_outcome(test_tls().client_context, test_tls().server_context, "example.org"),
            "TLS handshake with memory: the certificate is for localhost, 127.0.0.1, ::1, you asked for example.org");
}

TEST(PythonSsl, tl04_lowest_version_of_default_contexts_is_1_2) {
  EXPECT_EQ(tls::ClientOptions().version_min, tls::Version::tls12);
  EXPECT_EQ(test_tls().server_context.options().version_min, tls::Version::tls12);
  EXPECT_EQ(client_outcome(test_tls().client_context_12, test_tls().server_context, "localhost"), "none");
}

TEST(PythonSsl, tl05_alpn_picks_the_servers_first_common_protocol) {
  const auto agreed = [&](std::vector<std::string> of_client) {
    const tls::ClientContext client({.trust = Trust::only(test_tls().files.ca()), .alpn = std::move(of_client)});
    const tls::ServerContext server({.identities = {test_tls().server}, .alpn = {"h2", "http/1.1"}});
    std::string protocol;
    run([&]() -> Task<> {
      Attempt attempt(client, server);
      co_await attempt.run_and_talk();
      protocol = attempt.client->alpn();
    });
    return protocol;
  };
  EXPECT_EQ(agreed({"http/1.1", "h2"}), "h2");
  EXPECT_EQ(agreed({"spdy/3"}), "");
}

TEST(PythonSsl, tl06_server_knows_the_name_that_was_asked_for) {
  run([]() -> Task<> {
    Attempt attempt(test_tls().client_context, test_tls().server_context);
    co_await attempt.run_and_talk();
    EXPECT_EQ(attempt.server->server_name(), "localhost");
    Attempt by_address(test_tls().client_context, test_tls().server_context, "127.0.0.1");
    co_await by_address.run_and_talk();
    EXPECT_EQ(by_address.server->server_name(), "") << "an address is no name (RFC 6066, section 3)";
  });
}

TEST(PythonSsl, tl07_nonblocking_recv_without_data_is_would_block) {
  with_session([](tls::Socket& server) { EXPECT_TRUE(server.recv().empty()); },
               [](tls::Socket& client) {
                 client.set_timeout(Duration::zero());
                 EXPECT_EQ(kind_thrown_by([&] { client.recv(); }), "would_block");
                 client.close();
               });
}

TEST(PythonSsl, tl08_pending_counts_bytes_that_select_does_not_see) {
  with_session(
      [](tls::Socket& server) {
        server.send("0123456789");
        EXPECT_TRUE(server.recv().empty());
      },
      [](tls::Socket& client) {
        EXPECT_EQ(client.recv(4).text(), "0123");
        EXPECT_EQ(client.pending(), 6U);
        client.close();
      });
}

TEST(PythonSsl, tl09_close_notify_is_the_end_and_a_dropped_connection_is_not) {
  with_session([](tls::Socket& server) { server.close(); },
               [](tls::Socket& client) { EXPECT_TRUE(client.recv().empty()); });
  with_session([](tls::Socket& server) { server.socket().close(); },
               [](tls::Socket& client) { EXPECT_EQ(kind_thrown_by([&] { client.recv(); }), "truncated"); });
}

TEST(PythonSsl, tl10_large_transfer_keeps_order_and_bytes) {
  const std::string sent = pattern(3'000'000);
  with_session(
      [&](tls::Socket& server) {
        EXPECT_TRUE(server.recv_exactly(sent.size()) == sent);
        server.send(sent);
        server.shutdown_send();
      },
      [&](tls::Socket& client) {
        client.send(sent);
        std::string got;
        while (const BytesView bytes = client.recv(10'000)) got += bytes.text();
        EXPECT_TRUE(got == sent);
      });
}

TEST(PythonSsl, tl11_client_without_a_required_certificate_is_refused) {
  const tls::ServerContext server({.identities = {test_tls().server},
                                   .client_certificate = tls::ClientCertificate::required,
                                   .client_ca_file = test_tls().files.ca()});
  run([&]() -> Task<> {
    Attempt attempt(test_tls().client_context, server);
    EXPECT_EQ((co_await attempt.run()).server, "TLS handshake with memory: it sent no client certificate");
  });
}

TEST(PythonSsl, tl12_cipher_version_and_certificates_can_be_read) {
  with_session(
      [](tls::Socket& server) {
        EXPECT_FALSE(server.peer_certificate());
        EXPECT_TRUE(server.recv().empty());
      },
      [](tls::Socket& client) {
        EXPECT_EQ(to_string(client.version()), "TLS 1.3");
        EXPECT_TRUE(client.cipher().starts_with("TLS_"));
        EXPECT_EQ(client.peer_certificate().value_or(tls::Certificate{}).common_name, "localhost");
        client.close();
      });
}

}  // namespace python_ssl_test
