// permessage-deflate between a WebSocket and literal bytes, and between two WebSockets (RFC 7692, section 7.2).
#include <gtest/gtest.h>

#include "coax/http/app.hpp"
#include "coax/http/deflate_private.hpp"
#include "coax/stream/memory.hpp"
#include "coax/task/scope.hpp"
#include "coax/test/random.hpp"
#include "tests/support/http.hpp"
#include "tests/support/run.hpp"

namespace coax::websocket_deflate_test {
namespace {

using test::run;
using namespace std::string_literals;
using ws::DeflateParameters;
using ws::Opcode;
using ws::Role;

constexpr DeflateParameters takeover{.server = {.context_takeover = true}, .client = {.context_takeover = true}};
constexpr DeflateParameters no_takeover{};

// What a client makes of these bytes of a server: its messages, and the code of its close frame.
std::string messages_of(std::string bytes, const DeflateParameters& agreed = takeover, std::size_t bytes_max = 1000) {
  std::string result;
  run([&]() -> Task<> {
    auto [far, near] = memory_stream_pair();
    ws::WebSocket socket(*near, Role::client, {.message_bytes_max = bytes_max}, {.deflate = agreed});
    bool has_failed = false;
    const auto recv = [&]() -> Task<> {
      try {
        while (const ws::Message message = co_await socket.recv()) result += message.data.string() + "|";
      } catch (const Error& error) {
        has_failed = error.kind() == ErrorKind::protocol;
      }
    };
    const auto send = [&]() -> Task<> {
      co_await far->send(bytes);
      co_await far->shutdown_send();
    };
    const auto send_all = [&]() -> Task<> {
      co_await send();
      co_await Event().wait();
    };
    co_await race(recv(), send_all());
    if (!has_failed) co_return;
    const std::string close = co_await far->recv_exactly(8);  // masked: two bytes of header, the mask, the code
    const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(close[at + 6] ^ close[at + 2]); };
    result += std::to_string(byte(0) << 8 | byte(1));
  });
  return result;
}

std::string deflated_frame(std::string_view payload) {
  std::string frame;
  ws::append_frame(frame, Opcode::text, payload, std::nullopt, true);
  return frame;
}

std::string compressed(std::string_view text, int level = 9) {
  std::string out;
  ws::shared_deflater(level, 15).append(out, text);
  return out;
}

struct Sockets {
  explicit Sockets(const DeflateParameters& agreed, const ws::Options& options = {})
      : pair(memory_stream_pair()),
        server(*pair.first, Role::server, options, {.deflate = agreed}),
        client(*pair.second, Role::client, options, {.deflate = agreed}) {}
  std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> pair;
  ws::WebSocket server;
  ws::WebSocket client;
};

class HttpDeflate : public test::QuietLog {};

}  // namespace

TEST(Deflate, messages_of_the_rfc) {
  const std::string hello = "\xf2\x48\xcd\xc9\xc9\x07\x00"s;
  EXPECT_EQ(messages_of("\xc1\x07" + hello), "Hello|");                                               // 7.2.3.1
  EXPECT_EQ(messages_of("\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00"s), "Hello|");                  // in two frames
  EXPECT_EQ(messages_of("\xc1\x07" + hello + "\xc1\x05\xf2\x00\x11\x00\x00"s), "Hello|Hello|");       // 7.2.3.2
  EXPECT_EQ(messages_of("\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"s), "Hello|");          // 7.2.3.3
  EXPECT_EQ(messages_of("\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00"s), "Hello|");                      // 7.2.3.4: BFINAL
  EXPECT_EQ(messages_of("\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"s), "Hello|");  // 7.2.3.5
  EXPECT_EQ(messages_of("\xc1\x01\x00"s), "|");                                                       // 7.2.3.6: empty
  EXPECT_EQ(messages_of("\xc1\x00"s), "|");
}

TEST(Deflate, a_context_outlives_a_final_block) {
  const std::string final_hello = "\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00"s;
  EXPECT_EQ(messages_of(final_hello + "\xc1\x05\xf2\x00\x11\x00\x00"s), "Hello|Hello|");
  EXPECT_EQ(messages_of("\xc1\x07\xf3\x48\xcd\xc9\xc9\x07\x00"s), "Hello|");  // nothing follows the final block
}

TEST(Deflate, a_message_without_context_takeover_refers_to_no_other) {
  const std::string twice = "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00"s;
  EXPECT_EQ(messages_of(twice, no_takeover), "Hello|1007");
}

TEST(Deflate, plain_and_compressed_messages_alternate) {
  EXPECT_EQ(messages_of("\x81\x01x\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x89\x00\x81\x01y"s), "x|Hello|y|");
}

TEST(Deflate, malformed_data_closes_with_1007) {
  EXPECT_EQ(messages_of("\xc1\x02\xff\xff"s), "1007");                              // a reserved type of block
  EXPECT_EQ(messages_of("\xc1\x04\xf2\x48\xcd\xc9"s), "1007");                      // cut
  EXPECT_EQ(messages_of("\xc1\x06\xf2\x48\xcd\xc9\xc9\x07"s), "1007");              // without the end of its last block
  EXPECT_EQ(messages_of(deflated_frame(compressed("\xff\xfe"))), "1007");           // no UTF-8
  EXPECT_EQ(messages_of("\xc1\x09\xf3\x48\xcd\xc9\xc9\x07\x00\xff\xff"s), "1007");  // after a final block
}

TEST(Deflate, a_message_that_inflates_above_the_limit_closes_with_1009) {
  EXPECT_EQ(messages_of(deflated_frame(compressed(std::string(1000, 'x')))), std::string(1000, 'x') + "|");
  EXPECT_EQ(messages_of(deflated_frame(compressed(std::string(1001, 'x')))), "1009");
  const std::string bomb = compressed(std::string(100'000'000, 'x'));
  EXPECT_LT(bomb.size(), 500'000U);
  for (const DeflateParameters& agreed : {takeover, no_takeover}) {
    EXPECT_EQ(messages_of(deflated_frame(bomb), agreed, 1'000'000), "1009");
  }
  std::string finals;  // half a million final blocks, each of which is empty
  for (int count = 0; count < 500'000; ++count) finals += "\x03\x00"s;
  EXPECT_EQ(messages_of(deflated_frame(finals), takeover, 1'000'000), "|");
}

TEST(Deflate, all_windows_and_levels_in_both_directions) {
  test::Random random;
  for (std::uint8_t bits = 8; bits <= 15; ++bits) {
    for (const bool context_takeover : {false, true}) {
      const ws::DeflateSide side{.context_takeover = context_takeover, .window_bits = bits};
      ws::Options options{.message_bytes_max = 300'000};
      options.deflate.level = bits - 6 > 9 ? 9 : std::max(1, bits - 6);
      options.deflate.message_bytes_min = random.below(200);
      run([&]() -> Task<> {
        Sockets sockets({.server = side, .client = side}, options);
        for (int round = 0; round < 30; ++round) {
          std::string text = random.bytes(random.below(300));
          const std::size_t size = random.below(random.one_in(5) ? 200'000 : 3000);
          while (text.size() < size) text += text.substr(0, random.below(400) + 1) + random.bytes(random.below(9) + 1);
          ws::WebSocket& from = random.one_in(2) ? sockets.server : sockets.client;
          ws::WebSocket& to = &from == &sockets.server ? sockets.client : sockets.server;
          const auto check = [&]() -> Task<> {
            const ws::Message message = co_await to.recv();
            EXPECT_TRUE(message.data.text() == text) << int{bits};
          };
          co_await all(from.send_binary(text), check());
        }
      });
    }
  }
}

TEST(Deflate, short_and_incompressible_messages_are_sent_as_they_are) {
  test::Random random;
  run([&]() -> Task<> {
    Sockets sockets(no_takeover);
    const std::string short_one(1023, 'x');
    co_await sockets.server.send_text(short_one);
    EXPECT_EQ((co_await sockets.pair.second->recv_exactly(1027)).substr(0, 4), "\x81\x7e\x03\xff");
    const std::string random_bytes = random.bytes(1024);
    co_await sockets.server.send_binary(random_bytes);
    EXPECT_EQ((co_await sockets.pair.second->recv_exactly(1028)).substr(0, 4), "\x82\x7e\x04\x00"s);
    const std::string long_one(1024, 'x');
    co_await sockets.server.send_text(long_one);
    const std::string header = co_await sockets.pair.second->recv_exactly(2);
    EXPECT_EQ(header[0], '\xc1');
    EXPECT_LT(header[1], 30);
  });
}

TEST(Deflate, with_context_takeover_the_second_message_is_shorter) {
  test::Random random;
  const std::string text = random.bytes(2000);
  run([&]() -> Task<> {
    Sockets sockets(takeover);
    co_await sockets.server.send_binary(text);
    co_await sockets.server.send_binary(text);
    for (const std::size_t bytes_max : {2100UZ, 100UZ}) {
      const std::string header = co_await sockets.pair.second->recv_exactly(2);
      EXPECT_EQ(header[0], '\xc2');
      std::size_t size = static_cast<std::uint8_t>(header[1]);
      if (size == 126) {
        const std::string length = co_await sockets.pair.second->recv_exactly(2);
        size =
            static_cast<std::size_t>(static_cast<std::uint8_t>(length[0])) << 8 | static_cast<std::uint8_t>(length[1]);
      }
      EXPECT_LE(size, bytes_max);
      co_await sockets.pair.second->recv_exactly(size);
    }
  });
}

// A message that is sent while another one waits, and one whose send was cancelled before its first byte.
TEST(Deflate, contexts_stay_alike_when_sends_wait_and_are_cancelled) {
  test::Random random;
  ws::Options options;
  options.deflate.message_bytes_min = 0;
  run([&]() -> Task<> {
    auto [near, far] = memory_stream_pair(500);
    ws::WebSocket server(*near, Role::server, options, {.deflate = takeover});
    ws::WebSocket client(*far, Role::client, options, {.deflate = takeover});
    const std::string base = random.bytes(3000);
    const auto push = [&](const std::string& text) -> Task<> { co_await server.send_binary(text); };
    const auto expect = [&](const std::string& text) -> Task<> {
      const ws::Message message = co_await client.recv();
      EXPECT_TRUE(message.data.text() == text);
    };
    for (int round = 0; round < 100; ++round) {
      const std::string fresh = random.bytes(2000);
      const std::string other = base.substr(random.below(1000));
      const std::string dropped = base.substr(random.below(1000));
      TaskGroup group;
      group.spawn(push(fresh));
      group.spawn(push(other));
      co_await test::next_turn();
      co_await race(push(dropped), test::next_turn());  // it waits behind the others
      co_await expect(fresh);
      co_await expect(other);
      co_await group.join();
      // Alone, so that it is compressed; cancelled before its first byte, since the pipe is full.
      TaskGroup filler;
      const std::string fill(500, '\0');
      co_await near->send("\x82\x7e\x03\x20");  // a frame of 800 bytes
      filler.spawn([](Stream& stream, std::string_view bytes) -> Task<> { co_await stream.send(bytes); }(*near, fill));
      co_await race(push(dropped), test::next_turn());
      filler.spawn([](Stream& stream, std::string_view bytes) -> Task<> { co_await stream.send(bytes); }(
                                                                  *near, std::string_view(fill).substr(200)));
      co_await expect(std::string(800, '\0'));
      co_await filler.join();
    }
  });
}

// --- the handshake ---

TEST_F(HttpDeflate, a_server_accepts_without_context_takeover) {
  const std::string request =
      "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate; "
      "client_max_window_bits\r\n\r\n";
  const auto extension = [&](const ws::DeflateOptions& options) {
    http::AppOptions of_app;
    of_app.websocket.deflate = options;
    http::App app = test::bare(std::move(of_app));
    app.websocket("/", [](ws::WebSocket&) -> Task<> { co_return; });
    return test::header_of(test::answer(std::move(app), request), "Sec-WebSocket-Extensions");
  };
  EXPECT_EQ(extension({}), "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  EXPECT_EQ(extension({.enabled = false}), "none");
  EXPECT_EQ(extension({.parameters = takeover}), "permessage-deflate");
  EXPECT_EQ(extension({.parameters = takeover, .contexts_bytes_max = 300'000}),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
}

TEST_F(HttpDeflate, above_the_budget_new_websockets_keep_no_contexts) {
  const ws::DeflateOptions options{.parameters = takeover, .contexts_bytes_max = 700'000};
  EXPECT_EQ(ws::within_budget(options), takeover);
  ws::Compression first(takeover, Role::server, options);
  EXPECT_EQ(ws::within_budget(options), takeover);
  {
    ws::Compression second(takeover, Role::client, options);
    ws::Compression without(no_takeover, Role::client, options);
    EXPECT_EQ(ws::within_budget(options), no_takeover);
  }
  EXPECT_EQ(ws::within_budget(options), takeover);
}

TEST_F(HttpDeflate, options_are_checked) {
  http::AppOptions options;
  options.websocket.deflate.parameters.server.window_bits = 7;
  EXPECT_THROW(http::App app(options), Error);
  options.websocket.deflate = {.level = 10};
  EXPECT_THROW(http::App app(options), Error);
}

}  // namespace coax::websocket_deflate_test
