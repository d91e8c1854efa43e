// TLS on a network that delays, cuts writes and reads short, resets and loses connections: no byte that arrives is
// wrong, an end that was cut is never taken for a clean one, and the server serves on.
#include "tests/support/tls.hpp"

#include <gtest/gtest.h>

#include "coax/base/log.hpp"
#include "coax/stream/lines.hpp"
#include "coax/test/sim.hpp"
#include "coax/tls/serve.hpp"
#include "services/chat/chat.hpp"
#include "tests/support/run.hpp"
#include "tests/support/server.hpp"

namespace tls_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view server_host = "10.0.0.1";
constexpr std::string_view client_host = "10.0.0.2";

TestTls& test_tls() { return TestTls::instance(); }

std::shared_ptr<const tls::ServerContext> server_context() {
  static const auto context =
      std::make_shared<tls::ServerContext>(tls::ServerOptions{.identities = {test_tls().server}});
  return context;
}

// Without the peer's errors, which these tests cause.
const SimulateOptions options{.has_failed = [] { return ::testing::Test::HasFailure(); }};

Task<> echo(Stream& client) {
  while (const BytesView bytes = co_await client.recv()) co_await client.send(bytes);
}

std::string pattern(std::size_t count) {
  std::string bytes(count, '\0');
  for (std::size_t at = 0; at < count; ++at) bytes[at] = static_cast<char>(at * 31 + at / 251);
  return bytes;
}

Task<std::unique_ptr<tls::Stream>> connect_secure(SimNetwork& network, Endpoint to) {
  auto stream = std::make_unique<tls::Stream>(co_await coax::test::connect(network, client_host, to),
                                              test_tls().client_context, "localhost");
  co_await stream->handshake();
  co_return stream;
}

Task<> send_and_end(Stream& stream, BytesView bytes) {
  co_await stream.send(bytes);
  co_await stream.shutdown_send();
}

Task<> recv_all(Stream& stream, std::string& to) {
  while (const BytesView part = co_await stream.recv()) to += part.text();
}

// Returns: the bytes that were returned, up to the clean end.
Task<std::string> exchange(SimNetwork& network, Endpoint to, std::string bytes) {
  const auto stream = co_await connect_secure(network, to);
  std::string back;
  co_await all(send_and_end(*stream, bytes), recv_all(*stream, back));
  co_return back;
}

}  // namespace

TEST(TlsOnNetwork, every_byte_comes_back_in_order_however_the_network_cuts) {
  for_each_seed(
      200,
      [](SimNetwork& network) -> Task<> {
        const bool is_narrow = network.random().below(2) == 0;
        network.set_conditions(
            {.latency_max = 20ms, .short_reads = 0.5, .short_writes = 0.5, .window_bytes = is_narrow ? 1_KiB : 64_KiB});
        Server server({.listen = fmt::format("{}:443", server_host)}, tls::handler(server_context(), echo));
        const Endpoint to = co_await server.address();
        const std::string bytes = pattern(network.random().below(60'000));
        EXPECT_TRUE(co_await exchange(network, to, bytes) == bytes);
        co_await server.stop();
      },
      options);
}

TEST(TlsOnNetwork, connection_that_is_reset_or_lost_is_an_error_and_no_end) {
  log::set_level(log::Level::off);
  for_each_seed(
      200,
      [](SimNetwork& network) -> Task<> {
        network.set_conditions({.latency_max = 5ms, .short_reads = 0.3, .resets = 0.05, .window_bytes = 4_KiB});
        Server server({.listen = fmt::format("{}:443", server_host)}, tls::handler(server_context(), echo));
        const Endpoint to = co_await server.address();
        const std::string bytes = pattern(20'000);
        for (int client = 0; client < 3; ++client) {
          try {
            EXPECT_TRUE(co_await exchange(network, to, bytes) == bytes);
          } catch (const Error& error) {
            const bool is_of_network = error.kind() == ErrorKind::disconnected ||
                                       error.kind() == ErrorKind::truncated || error.kind() == ErrorKind::refused;
            EXPECT_TRUE(is_of_network) << error.what();
          }
        }
        network.set_conditions({});
        EXPECT_TRUE(co_await exchange(network, to, bytes) == bytes);
        co_await server.stop();
      },
      options);
}

// The client is cancelled after one turn, after two turns, and so on, until it completes.
TEST(TlsOnNetwork, client_that_is_cancelled_at_any_await_harms_no_other) {
  log::set_level(log::Level::off);
  simulate(
      1,
      [](SimNetwork& network) -> Task<> {
        network.set_conditions({.latency_max = 1ms, .window_bytes = 4_KiB});
        Server server({.listen = fmt::format("{}:443", server_host)}, tls::handler(server_context(), echo));
        const Endpoint to = co_await server.address();
        const std::string bytes = pattern(10'000);
        const auto pass_turns = [](int turns) -> Task<> {
          for (int turn = 0; turn < turns; ++turn) co_await next_turn();
        };
        bool is_complete = false;
        int turns = 0;
        while (!is_complete && turns < 10'000) {
          const auto first = co_await race(exchange(network, to, bytes), pass_turns(++turns));
          is_complete = first.index() == 0;
        }
        EXPECT_TRUE(is_complete);
        EXPECT_GT(turns, 10);
        EXPECT_TRUE(co_await exchange(network, to, bytes) == bytes);
        co_await server.stop();
      },
      options);
}

TEST(TlsOnNetwork, chat_over_tls_delivers_every_line_in_order) {
  log::set_level(log::Level::off);
  for_each_seed(
      50,
      [](SimNetwork& network) -> Task<> {
        network.set_conditions({.latency_max = 20ms, .short_reads = 0.3, .short_writes = 0.3, .window_bytes = 2_KiB});
        chat::Rooms rooms{std::make_shared<MemoryBus>()};
        co_await rooms.open();
        const chat::ChatLimits limits;
        const auto talk = [&](Connection& connection) { return chat::talk_lines(connection, rooms, limits); };
        Server server({.listen = fmt::format("{}:443", server_host)}, tls::handler(server_context(), talk));
        const Endpoint to = co_await server.address();
        constexpr int lines = 30;
        const auto member = [&](std::string nick, bool writes) -> Task<> {
          const auto stream = co_await connect_secure(network, to);
          EXPECT_EQ(co_await stream->recv_exactly(4), "NICK");
          co_await stream->send(nick + "\n");
          Lines reader(*stream);
          for (int number = 0; number < lines;) {
            const auto line = co_await reader.next();
            EXPECT_TRUE(line);
            if (!line) co_return;
            const bool has_joined = line->text() == "writer joined the chat!";
            if (line->text() == fmt::format("writer: {}", number)) ++number;
            if (!writes || !has_joined) continue;
            for (int sent = 0; sent < lines; ++sent) co_await stream->send(fmt::format("{}\n", sent));
          }
        };
        const auto late_writer = [&]() -> Task<> {
          co_await sleep(1s);  // of virtual time: the readers have joined
          co_await member("writer", true);
        };
        co_await all(member("one", false), member("two", false), late_writer());
        co_await server.stop();
      },
      options);
}

}  // namespace tls_test
