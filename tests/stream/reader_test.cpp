// Reader: a mixed session loses nothing however it is cut; its limits and ends.
#include "coax/stream/reader.hpp"

#include <gtest/gtest.h>

#include "coax/stream/memory.hpp"
#include "coax/test/random.hpp"
#include "tests/support/run.hpp"

using namespace coax;
using namespace coax::test;

namespace {

constexpr std::string_view session =
    "*2\r\n$5\r\nhe\nlo\r\n$0\r\n\r\nGET\nname: value\r\n\r\nbody--endtail without an end";

// What a protocol of lines and counted bytes makes of it.
Task<std::string> read_session(Stream& stream) {
  Reader reader(stream, {.refuse_foreign = false});
  std::string got;
  got += (co_await reader.line()).value().string() + "|";
  got += (co_await reader.line()).value().string() + "|";
  got += (co_await reader.exactly(5)).string() + "|";
  got += (co_await reader.exactly(2)).string() + "|";
  got += (co_await reader.line()).value().string() + "|";
  got += (co_await reader.exactly(2)).string() + "|";
  got += (co_await reader.line()).value().string() + "|";
  got += (co_await reader.until("\r\n\r\n")).value().string() + "|";
  got += (co_await reader.until("--end")).value().string() + "|";
  got += (co_await reader.exactly(0)).string() + "|";
  got += (co_await reader.line()).value().string() + "|";
  const auto end = co_await reader.line();
  got += end ? "more" : "end";
  got += (co_await reader.some()).empty() && reader.at_end() ? "" : "more";
  co_return got;
}
constexpr std::string_view expected = "*2|$5|he\nlo|\r\n|$0|\r\n|GET|name: value|body||tail without an end|end";

Task<> send_pieces(Stream& stream, std::vector<std::string> pieces) {
  for (const std::string& piece : pieces) {
    co_await stream.send(piece);
    for (int turn = 0; turn < 3; ++turn) co_await next_turn();
  }
  co_await stream.shutdown_send();
}

std::string read_in_pieces(std::vector<std::string> pieces) {
  std::string got;
  run([&]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    auto [sent, text] = co_await all(send_pieces(*near, std::move(pieces)), read_session(*far));
    got = text;
  });
  return got;
}

// With `pieces` sent by the peer, which then finishes.
template <class Body>
void with_reader(std::vector<std::string> pieces, ReaderOptions options, Body body) {
  run([&]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Reader reader(*far, options);
    co_await all(send_pieces(*near, std::move(pieces)), body(reader));
  });
}

Task<> some_turns() {
  for (int turn = 0; turn < 20; ++turn) co_await next_turn();
}

}  // namespace

TEST(Reader, loses_nothing_between_lines_and_counted_bytes_wherever_it_is_cut) {
  EXPECT_EQ(read_in_pieces({std::string(session)}), expected);
  for (std::size_t cut = 1; cut < session.size(); ++cut) {
    EXPECT_EQ(read_in_pieces({std::string(session.substr(0, cut)), std::string(session.substr(cut))}), expected) << cut;
  }
  std::vector<std::string> bytes;
  for (const char byte : session) bytes.emplace_back(1, byte);
  EXPECT_EQ(read_in_pieces(bytes), expected);
}

TEST(Reader, lends_what_comes_whole_and_holds_nothing_while_it_waits) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Reader reader(*far);
    const std::size_t before = Loop::current().backend().buffers().lent();
    co_await near->send("one\ntwo\n");
    EXPECT_EQ((co_await reader.line())->text(), "one");
    EXPECT_EQ(reader.buffered().text(), "two\n");
    EXPECT_EQ((co_await reader.line())->text(), "two");
    EXPECT_TRUE(reader.buffered().empty());
    const auto next = [&reader]() -> Task<> { co_await reader.line(); };
    EXPECT_EQ(co_await race(next(), some_turns()), 1U);
    EXPECT_EQ(Loop::current().backend().buffers().lent(), before);
    near->close();
  });
}

TEST(Reader, cancelled_loses_nothing) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Reader reader(*far);
    const auto exactly = [&reader](std::size_t count) -> Task<> { co_await reader.exactly(count); };
    co_await near->send("abc\nde");
    EXPECT_EQ(co_await race(exactly(10), some_turns()), 1U);
    EXPECT_EQ(co_await race(exactly(10), some_turns()), 1U);
    EXPECT_EQ((co_await reader.line())->text(), "abc");
    co_await near->send("f\n");
    EXPECT_EQ((co_await reader.line())->text(), "def");
    near->close();
  });
}

TEST(Reader, line_above_the_limit_is_told_once_and_passed_over) {
  for (const bool by_bytes : {false, true}) {
    std::vector<std::string> pieces{"12345678\r\n123456789\r\n" + std::string(5000, 'x') + "\nlast\n"};
    if (by_bytes) {
      const std::string text = pieces.front();
      pieces.clear();
      for (const char byte : text) pieces.emplace_back(1, byte);
    }
    with_reader(pieces, {.line_bytes_max = 8}, [](Reader& reader) -> Task<> {
      const auto line = [&reader]() -> Task<std::string> { co_return (co_await reader.line()).value().string(); };
      EXPECT_EQ(co_await line(), "12345678");
      EXPECT_EQ(co_await outcome(line()), "protocol");
      EXPECT_EQ(co_await outcome(line()), "protocol");
      EXPECT_EQ(co_await line(), "last");
      EXPECT_FALSE(co_await reader.line());
    });
  }
}

TEST(Reader, end_before_what_was_asked_for_carries_what_came) {
  with_reader({"abc"}, {}, [](Reader& reader) -> Task<> {
    std::string received;
    try {
      co_await reader.exactly(10);
    } catch (const IncompleteRead& error) {
      received = error.received();
    }
    EXPECT_EQ(received, "abc");
    EXPECT_TRUE((co_await reader.some()).empty());
    EXPECT_FALSE(co_await reader.until("x"));
    EXPECT_EQ(co_await outcome(reader.exactly(1)), "disconnected");
    EXPECT_EQ(co_await outcome(reader.until("")), "invalid");
  });
  with_reader({"abc"}, {}, [](Reader& reader) -> Task<> {
    EXPECT_EQ(co_await outcome(reader.until("\n")), "disconnected");
    EXPECT_TRUE(reader.at_end());
  });
}

TEST(Reader, asked_for_everything_takes_memory_for_what_comes) {
  with_reader({"abc"}, {},
              [](Reader& reader) -> Task<> { EXPECT_EQ(co_await outcome(reader.exactly(SIZE_MAX)), "disconnected"); });
}

TEST(Reader, another_protocol_is_refused) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Reader reader(*far);
    co_await near->send("GET / HTTP/1.1\r\n");
    EXPECT_EQ(co_await outcome(reader.line()), "protocol");
    EXPECT_TRUE((co_await near->recv()).text().starts_with("HTTP/1.1 400 "));
  });
}

TEST(Reader, large_mixed_sessions_of_random_pieces) {
  Random random;
  for (int round = 0; round < 20; ++round) {
    std::string text;
    std::vector<std::string> values;
    for (int count = 0; count < 100; ++count) {
      std::string value(random.below(random.one_in(10) ? 40'000 : 60), static_cast<char>('a' + count % 26));
      text += fmt::format("{}\r\n{}\n", value.size(), value);
      values.push_back(std::move(value));
    }
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = 1 + random.below(20'000);
      pieces.push_back(text.substr(at, size));
      at += size;
    }
    with_reader(pieces, {}, [&values](Reader& reader) -> Task<> {
      for (const std::string& value : values) {
        const std::size_t size = std::stoul((co_await reader.line()).value().string());
        EXPECT_TRUE((co_await reader.exactly(size)).text() == value);
        EXPECT_EQ((co_await reader.line())->text(), "");
      }
      EXPECT_FALSE(co_await reader.line());
    });
  }
}
