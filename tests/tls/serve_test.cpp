// TLS in front of a handler, and in the middle of a connection.
#include "coax/tls/serve.hpp"

#include <gtest/gtest.h>

#include "coax/base/log.hpp"
#include "tests/support/server.hpp"
#include "tests/support/tls.hpp"

namespace serve_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

TestTls& test_tls() { return TestTls::instance(); }

std::shared_ptr<const tls::ServerContext> context_with(
    tls::ClientCertificate mode = tls::ClientCertificate::not_requested, Duration handshake_limit = 10s) {
  const bool is_asked = mode != tls::ClientCertificate::not_requested;
  return std::make_shared<tls::ServerContext>(
      tls::ServerOptions{.identities = {test_tls().server},
                         .client_certificate = mode,
                         .client_ca_file = is_asked ? test_tls().files.ca() : "",
                         .handshake_limit = handshake_limit});
}

Task<> say_who(Connection& connection) {
  const Principal& principal = connection.principal();
  co_await connection.stream().send(principal.is_anonymous() ? "anonymous" : principal.name);
}

Task<std::unique_ptr<tls::Stream>> connect_secure(Server& server, const tls::ClientContext& context) {
  auto stream = std::make_unique<tls::Stream>(co_await server.connect(), context, "localhost");
  co_await stream->handshake();
  co_return stream;
}

Task<std::string> read_to_end(Stream& stream) {
  std::string all;
  while (const BytesView bytes = co_await stream.recv()) all += bytes.text();
  co_return all;
}

class TlsServe : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::off); }
  void TearDown() override { log::set_level(log::Level::info); }
};

}  // namespace

TEST_F(TlsServe, certificate_of_a_client_is_its_principal) {
  const tls::Identity alice =
      test_tls().files.issue({.names = {}, .common_name = "alice", .is_for_server = false, .is_for_client = true});
  const tls::ClientContext named({.trust = tls::Trust::only(test_tls().files.ca()), .identity = alice});
  run([&]() -> Task<> {
    Server server({}, tls::handler(context_with(tls::ClientCertificate::requested), say_who));
    EXPECT_EQ(co_await read_to_end(*co_await connect_secure(server, named)), "alice");
    EXPECT_EQ(co_await read_to_end(*co_await connect_secure(server, test_tls().client_context)), "anonymous");
    co_await server.stop();
  });
}

TEST_F(TlsServe, bad_clients_end_only_their_own_connections) {
  run([]() -> Task<> {
    Server server({}, tls::handler(context_with(), say_who));
    const auto garbage = co_await server.connect();
    co_await garbage->send(std::string("\x16\x03\x01\x00\x05zzzzz", 10));
    const auto http = co_await server.connect();
    co_await http->send("GET / HTTP/1.1\r\n\r\n");
    const auto silent = co_await server.connect();
    const auto cut = co_await server.connect();
    co_await cut->send(std::string("\x16\x03\x01\x02\x00\x01", 6));
    cut->close();
    const auto reset = co_await server.connect();
    reset->abort();
    EXPECT_EQ(co_await read_to_end(*co_await connect_secure(server, test_tls().client_context)), "anonymous");
    EXPECT_TRUE((co_await read_to_end(*http)).starts_with("HTTP/1.1 400 "));
    // A fatal alert (RFC 8446, section 6).
    EXPECT_TRUE((co_await read_to_end(*garbage)).starts_with("\x15\x03"));
    silent->close();
    co_await server.stop();
  });
}

TEST_F(TlsServe, silent_client_is_disconnected_at_the_time_limit) {
  run([]() -> Task<> {
    Server server({}, tls::handler(context_with(tls::ClientCertificate::not_requested, 30ms), say_who));
    const auto silent = co_await server.connect();
    EXPECT_EQ(co_await read_to_end(*silent), "");
    co_await server.stop();
  });
}

TEST_F(TlsServe, oldest_of_too_many_handshakes_makes_room) {
  run([]() -> Task<> {
    Server server({}, tls::handler(context_with(), say_who, {.at_once_max = 2}));
    std::vector<std::unique_ptr<Stream>> silent;
    for (int count = 0; count < 4; ++count) silent.push_back(co_await server.connect());
    for (int count = 0; count < 3; ++count) {  // a flood of silent clients keeps no client out
      EXPECT_EQ(co_await read_to_end(*co_await connect_secure(server, test_tls().client_context)), "anonymous");
    }
    for (const std::size_t displaced : {0, 1, 2}) {
      EXPECT_TRUE((co_await text_of_error(silent[displaced]->recv())).ends_with("Connection reset by peer"))
          << displaced;
    }
    EXPECT_EQ(co_await text_of_error(silent[3]->send("x")), "none");
    silent.clear();
    co_await server.stop();
  });
}

namespace {

// Answers STARTTLS, and then tells what it reads over TLS.
Task<> upgrade(Connection& connection, const tls::ServerContext& context, std::string& end) {
  Reader reader(connection.stream());
  const auto command = co_await reader.line();
  EXPECT_EQ(command.value_or("").text(), "STARTTLS");
  EXPECT_FALSE(connection.stream().is_encrypted());
  co_await connection.stream().send("go ahead\n");
  end = co_await text_of_error(tls::secure(connection, context, reader));
  if (end != "none") co_return;
  EXPECT_TRUE(connection.stream().is_encrypted());
  co_await connection.stream().send("secret");
}

}  // namespace

TEST_F(TlsServe, running_connection_begins_tls) {
  const auto context = context_with();
  run([&]() -> Task<> {
    std::string end;
    Server server({}, [&](Connection& connection) { return upgrade(connection, *context, end); });
    const auto plain = co_await server.connect();
    co_await plain->send("STARTTLS\n");
    EXPECT_EQ(co_await plain->recv_exactly(9), "go ahead\n");
    tls::Stream secure(*plain, test_tls().client_context, "localhost");
    co_await secure.handshake();
    EXPECT_EQ(co_await read_to_end(secure), "secret");
    EXPECT_EQ(end, "none");
    co_await server.stop();
  });
}

TEST_F(TlsServe, bytes_before_the_handshake_are_refused) {
  const auto context = context_with();
  run([&]() -> Task<> {
    std::string end;
    Server server({}, [&](Connection& connection) { return upgrade(connection, *context, end); });
    const auto plain = co_await server.connect();
    co_await plain->send("STARTTLS\nRSET\n");
    EXPECT_EQ(co_await read_to_end(*plain), "go ahead\n");
    EXPECT_TRUE(end.ends_with("it sent bytes between the command that begins TLS and the handshake")) << end;
    co_await server.stop();
  });
}

}  // namespace serve_test
