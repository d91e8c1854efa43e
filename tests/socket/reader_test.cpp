// SocketReader: a mixed session loses no byte however it is split; limits, ends and timeouts.
#include "coax/socket/reader.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "coax/socket/json_messages.hpp"
#include "coax/socket/line_reader.hpp"
#include "tests/support/blocking.hpp"
#include "tests/support/mixed_session.hpp"

namespace reader_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

FrameDecoder u16_frames() { return {Framing::length_prefixed(LengthPrefix::u16), 64_KiB}; }

// Returns the value of the item. A decoder lives for one item: bytes after its event must be in the reader.
std::string read_item(SocketReader& reader, const SessionItem& item) {
  switch (item.kind) {
    case SessionItem::Kind::line: return reader.line().value().string();
    case SessionItem::Kind::counted: return reader.exactly(item.value.size()).string();
    case SessionItem::Kind::until: return reader.until("--end").value().string();
    case SessionItem::Kind::some: {
      std::string all;
      while (const BytesView bytes = reader.some()) all += bytes.text();
      return all;
    }
    case SessionItem::Kind::frame: {
      FrameDecoder decoder = u16_frames();
      return reader.next(decoder).value().bytes.string();
    }
    case SessionItem::Kind::decoded_line: {
      LineDecoder decoder(64_KiB);
      return reader.next(decoder).value().bytes.string();
    }
    case SessionItem::Kind::own_frame:
      return SocketFrames(reader, Framing::length_prefixed(LengthPrefix::u16)).next().value().string();
    case SessionItem::Kind::own_line: return LineReader(reader).next().value().string();
    case SessionItem::Kind::own_json: return SocketJsonMessages(reader).recv().value().string();
  }
  return "?";
}

// How many items were read correctly. The socket keeps the boundaries of packets: each piece is one recv().
std::size_t read_in_pieces(const std::vector<SessionItem>& session, const std::vector<std::string>& pieces) {
  SocketPair pair(SocketType::seqpacket);
  pair.far.set_timeout(patience);
  const std::jthread peer([&] {
    for (const std::string& piece : pieces) {
      if (!piece.empty()) pair.near.send(piece);
    }
    pair.near.shutdown_send();
  });
  SocketReader reader(pair.far, {.refuse_foreign = false});
  std::size_t right = 0;
  for (const SessionItem& item : session) {
    const std::string got = read_item(reader, item);
    if (got != item.value) {
      pair.far.close();
      return right;
    }
    ++right;
  }
  EXPECT_FALSE(reader.line());
  EXPECT_TRUE(reader.at_end());
  return right;
}

}  // namespace

TEST(SocketReader, mixed_session_cut_at_every_place_loses_nothing) {
  const std::vector<SessionItem> session = short_session();
  const std::string text = encode(session);
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    EXPECT_EQ(read_in_pieces(session, cut_at(text, cut)), session.size()) << cut;
  }
  EXPECT_EQ(read_in_pieces(session, byte_by_byte(text)), session.size());
}

TEST(SocketReader, random_mixed_sessions_in_random_pieces_lose_nothing) {
  Random random;
  for (int round = 0; round < 100; ++round) {
    const std::vector<SessionItem> session = random_session(random);
    EXPECT_EQ(read_in_pieces(session, random_pieces(random, encode(session))), session.size()) << round;
  }
}

TEST(SocketReader, timeout_is_for_the_whole_call_and_loses_nothing) {
  SocketPair pair;
  pair.far.set_timeout(20ms);
  SocketReader reader(pair.far);
  FrameDecoder decoder = u16_frames();
  pair.near.send("\0\4ab"s);
  EXPECT_EQ(kind_thrown([&] { reader.next(decoder); }), ErrorKind::timed_out);
  pair.near.send("cdhalf ");
  EXPECT_EQ(reader.next(decoder)->bytes.text(), "abcd");
  EXPECT_EQ(kind_thrown([&] { reader.line(); }), ErrorKind::timed_out);
  EXPECT_EQ(reader.buffered().text(), "half ");
  pair.near.send("a line\nend");
  EXPECT_EQ(reader.line()->text(), "half a line");
  EXPECT_EQ(kind_thrown([&] { reader.exactly(4); }), ErrorKind::timed_out);
  EXPECT_EQ(reader.some().text(), "end");
}

TEST(SocketReader, line_above_the_limit_is_passed_over) {
  SocketPair pair;
  pair.near.send("12345678\r\n123456789\nlast\n");
  SocketReader reader(pair.far, {.line_bytes_max = 8});
  EXPECT_EQ(reader.line()->text(), "12345678");
  EXPECT_EQ(kind_thrown([&] { reader.line(); }), ErrorKind::protocol);
  EXPECT_EQ(reader.line()->text(), "last");
}

TEST(SocketReader, end_before_the_bytes_asked_for_carries_the_received_ones) {
  SocketPair pair;
  pair.near.send("abc");
  pair.near.shutdown_send();
  SocketReader reader(pair.far);
  try {
    reader.exactly(SIZE_MAX);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const IncompleteRead& error) {
    EXPECT_EQ(error.received(), "abc");
  }
  EXPECT_FALSE(reader.until("x"));
  EXPECT_EQ(kind_thrown([&] { reader.until(""); }), ErrorKind::invalid);
  EXPECT_TRUE(reader.some().empty());
}

TEST(SocketReader, another_protocol_is_refused) {
  SocketPair pair;
  pair.near.send("GET / HTTP/1.1\r\n");
  SocketReader reader(pair.far);
  EXPECT_EQ(kind_thrown([&] { reader.line(); }), ErrorKind::protocol);
  EXPECT_FALSE(reader.line());
  EXPECT_TRUE(pair.near.recv().text().starts_with("HTTP/1.1 400 "));
}

}  // namespace reader_test
