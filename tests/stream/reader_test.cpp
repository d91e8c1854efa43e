// Reader: a mixed session loses no byte however it is split; decoders, limits and ends.
#include "coax/stream/reader.hpp"

#include <gtest/gtest.h>

#include "coax/stream/json_messages.hpp"
#include "coax/stream/lines.hpp"
#include "coax/stream/memory.hpp"
#include "coax/test/random.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/mixed_session.hpp"
#include "tests/support/run.hpp"

namespace reader_test {

using namespace coax;
using namespace coax::test;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

FrameDecoder u16_frames() { return {Framing::length_prefixed(LengthPrefix::u16), 64_KiB}; }

// Returns the value of each item. A decoder lives for one item: bytes after its event must be in the reader.
Task<std::string> read_item(Reader& reader, const SessionItem& item) {
  std::optional<BytesView> got;
  switch (item.kind) {
    case SessionItem::Kind::line: got = co_await reader.line(); break;
    case SessionItem::Kind::counted: got = co_await reader.exactly(item.value.size()); break;
    case SessionItem::Kind::until: got = co_await reader.until("--end"); break;
    case SessionItem::Kind::some: {
      std::string all;
      while (const BytesView bytes = co_await reader.some()) all += bytes.text();
      co_return all;
    }
    case SessionItem::Kind::frame: {
      FrameDecoder decoder = u16_frames();
      const auto event = co_await reader.next(decoder);
      co_return event.value().bytes.string();
    }
    case SessionItem::Kind::decoded_line: {
      LineDecoder decoder(64_KiB);
      const auto event = co_await reader.next(decoder);
      co_return event.value().bytes.string();
    }
    case SessionItem::Kind::own_frame: {
      Frames frames(reader, Framing::length_prefixed(LengthPrefix::u16));
      got = co_await frames.next();
      co_return got.value().string();
    }
    case SessionItem::Kind::own_line: {
      Lines lines(reader);
      got = co_await lines.next();
      co_return got.value().string();
    }
    case SessionItem::Kind::own_json: {
      JsonMessages messages(reader);
      got = co_await messages.recv();
      co_return got.value().string();
    }
  }
  co_return got.value().string();
}

Task<std::size_t> read_session(Stream& stream, const std::vector<SessionItem>& session) {
  Reader reader(stream, {.refuse_foreign = false});
  std::size_t right = 0;
  for (const SessionItem& item : session) {
    const std::string got = co_await read_item(reader, item);
    if (got != item.value) co_return right;
    ++right;
  }
  const auto end = co_await reader.line();
  EXPECT_FALSE(end);
  EXPECT_TRUE(reader.at_end());
  co_return right;
}

Task<> send_pieces(Stream& stream, std::vector<std::string> pieces) {
  for (const std::string& piece : pieces) {
    co_await stream.send(piece);
    for (int turn = 0; turn < 3; ++turn) co_await next_turn();
  }
  co_await stream.shutdown_send();
}

// How many items were read correctly.
std::size_t read_in_pieces(const std::vector<SessionItem>& session, std::vector<std::string> pieces) {
  std::size_t right = 0;
  run([&]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    const auto results = co_await all(send_pieces(*near, std::move(pieces)), read_session(*far, session));
    right = std::get<1>(results);
  });
  return right;
}

// With `pieces` sent by the peer, which then shuts down its side.
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

TEST(Reader, mixed_session_cut_at_every_place_loses_nothing) {
  const std::vector<SessionItem> session = short_session();
  const std::string text = encode(session);
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    EXPECT_EQ(read_in_pieces(session, cut_at(text, cut)), session.size()) << cut;
  }
  EXPECT_EQ(read_in_pieces(session, byte_by_byte(text)), session.size());
}

TEST(Reader, random_mixed_sessions_in_random_pieces_lose_nothing) {
  Random random;
  for (int round = 0; round < 100; ++round) {
    const std::vector<SessionItem> session = random_session(random);
    EXPECT_EQ(read_in_pieces(session, random_pieces(random, encode(session))), session.size()) << round;
  }
}

TEST(Reader, bytes_after_the_last_event_stay_in_the_reader) {
  with_reader({"\0\1a\0\1b"s + "rest\n"}, {}, [](Reader& reader) -> Task<> {
    FrameDecoder decoder = u16_frames();
    auto event = co_await reader.next(decoder);
    EXPECT_EQ(event->bytes.text(), "a");
    EXPECT_EQ(reader.buffered().text(), "\0\1brest\n"sv);
    event = co_await reader.next(decoder);
    EXPECT_EQ(event->bytes.text(), "b");
    const auto line = co_await reader.line();
    EXPECT_EQ(line->text(), "rest");
    event = co_await reader.next(decoder);
    EXPECT_FALSE(event);
    EXPECT_TRUE(reader.at_end());
  });
}

TEST(Reader, decoder_gets_its_rest_at_the_end_once) {
  with_reader({"\0\5ab"s}, {}, [](Reader& reader) -> Task<> {
    FrameDecoder decoder = u16_frames();
    auto event = co_await reader.next(decoder);
    EXPECT_EQ(event->kind, FrameEvent::Kind::cut_off);
    EXPECT_EQ(event->bytes.text(), "ab");
    event = co_await reader.next(decoder);
    EXPECT_FALSE(event);
  });
}

TEST(Reader, cancelled_next_continues_with_its_decoder) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Reader reader(*far);
    FrameDecoder decoder = u16_frames();
    const auto next = [&]() -> Task<> { co_await reader.next(decoder); };
    co_await near->send("\0\4ab"s);
    EXPECT_EQ(co_await race(next(), some_turns()), 1U);
    co_await near->send("cdline\n");
    const auto event = co_await reader.next(decoder);
    EXPECT_EQ(event->bytes.text(), "abcd");
    const auto line = co_await reader.line();
    EXPECT_EQ(line->text(), "line");
    near->close();
  });
}

namespace {

// Copies nothing: an incomplete pair stays unread.
struct PairDecoder {
  void feed(BytesView bytes) { bytes_ = bytes; }
  std::optional<BytesView> next() {
    if (bytes_.size() < 2) return std::nullopt;
    const BytesView pair = bytes_.first(2);
    bytes_ = bytes_.from(2);
    return pair;
  }
  static std::optional<BytesView> rest() { return std::nullopt; }
  [[nodiscard]] BytesView unread() const { return bytes_; }
  BytesView bytes_;
};

}  // namespace

TEST(Reader, decoder_that_leaves_bytes_unread_gets_them_again) {
  with_reader(byte_by_byte("aabbc"), {}, [](Reader& reader) -> Task<> {
    PairDecoder decoder;
    auto pair = co_await reader.next(decoder);
    EXPECT_EQ(pair->text(), "aa");
    pair = co_await reader.next(decoder);
    EXPECT_EQ(pair->text(), "bb");
    pair = co_await reader.next(decoder);
    EXPECT_FALSE(pair);
    EXPECT_EQ(reader.buffered().text(), "c");
    EXPECT_FALSE(reader.at_end());
  });
}

TEST(Reader, refused_protocol_leaves_no_event_of_its_beginning) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Reader reader(*far);
    LineDecoder decoder(64_KiB);
    const auto next = [&]() -> Task<> { co_await reader.next(decoder); };
    co_await near->send("GET / HTTP");
    EXPECT_EQ(co_await race(next(), some_turns()), 1U);
    co_await near->send("/1.1\r\n");
    EXPECT_EQ(co_await outcome(next()), "protocol");
    const auto event = co_await reader.next(decoder);
    EXPECT_FALSE(event);
    EXPECT_TRUE(reader.at_end());
    near->close();
  });
}

TEST(Reader, returns_views_and_holds_no_memory_while_it_waits) {
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

TEST(Reader, line_above_the_limit_throws_once_and_is_skipped) {
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

TEST(Reader, early_end_carries_the_received_bytes) {
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

TEST(Reader, exactly_allocates_memory_for_received_bytes_only) {
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

TEST(Lines, end_at_a_pause_once_something_was_received) {
  using namespace std::chrono_literals;
  const auto body = [](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair();
    co_await far->send("1ab");
    Reader reader(*near);
    EXPECT_EQ((co_await reader.exactly(1)).text(), "1");
    Lines lines(reader, {.pause = 50ms});
    EXPECT_EQ(co_await outcome(timeout(1s, lines.next())), "timed_out") << "these bytes were there before";
    co_await far->send("c");
    EXPECT_EQ((co_await lines.next())->text(), "abc");
    co_await far->send("d");
    EXPECT_TRUE(lines.is_idle());
    co_await lines.fill();
    EXPECT_FALSE(lines.is_idle());
    EXPECT_EQ((co_await lines.next())->text(), "d");
    co_await far->send("e\nf");
    EXPECT_EQ((co_await lines.next())->text(), "e");
    EXPECT_EQ(co_await outcome(timeout(1s, lines.next())), "timed_out") << "it has line ends";
  };
  simulate(1, body, {.has_failed = [] { return ::testing::Test::HasFailure(); }});
}

}  // namespace reader_test
