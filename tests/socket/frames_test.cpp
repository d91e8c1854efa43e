// Frames and JSON messages over blocking sockets: ends, errors, time limits, sending. The codecs have their own tests.
#include "coax/socket/frames.hpp"

#include <thread>

#include "coax/socket/json_messages.hpp"
#include "coax/socket/line_reader.hpp"
#include "tests/support/blocking.hpp"

namespace frames_test {

using namespace coax;
using namespace coax::test;
using namespace std::literals;

namespace {

std::string text(const std::optional<BytesView>& frame) { return frame ? frame->string() : "(end)"; }

// Two ends, the far one of which has sent these bytes and shut down its side.
SocketPair after(std::string_view bytes) {
  SocketPair pair;
  pair.near.send(bytes);
  pair.near.shutdown_send();
  return pair;
}

// Sends a byte whenever the other thread has probably received the last one, until it is destroyed.
class Drip {
 public:
  explicit Drip(Socket& to)
      : thread_([&to](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            to.send("x");
            wait_for(to, Events::peer_finished, 1ms);
          }
        }) {}

 private:
  std::jthread thread_;
};

}  // namespace

TEST(SocketFrames, of_all_kinds_cross_whole_joined_and_byte_by_byte) {
  for (const Framing& framing :
       {Framing::fixed(3), Framing::delimited("\r\n"), Framing::length_prefixed(LengthPrefix::u8),
        Framing::length_prefixed(), Framing::length_prefixed(LengthPrefix::varint),
        Framing::length_prefixed(LengthPrefix::u64, ByteOrder::little)}) {
    SocketPair wire;  // the bytes on the wire
    SocketFrames(wire.near, framing).send("abc");
    SocketFrames(wire.near, framing).send("def");
    wire.near.shutdown_send();
    SocketFrames joined(wire.far, framing);
    EXPECT_EQ(text(joined.next()), "abc");
    EXPECT_EQ(text(joined.next()), "def");
    EXPECT_EQ(text(joined.next()), "(end)");
    EXPECT_EQ(text(joined.next()), "(end)");

    SocketPair pair;
    SocketFrames(pair.near, framing).send("abc");
    const std::string bytes = pair.far.recv().string();
    SocketFrames frames(pair.far, framing);
    pair.far.set_timeout(0s);
    for (const char& byte : std::string_view(bytes).substr(0, bytes.size() - 1)) {
      pair.near.send(BytesView(&byte, 1));
      EXPECT_EQ(kind_thrown([&] { frames.next(); }), ErrorKind::would_block) << "and nothing is lost";
    }
    pair.near.send(BytesView(&bytes.back(), 1));
    EXPECT_EQ(text(frames.next()), "abc");
  }
}

TEST(SocketFrames, until_close_are_sent_with_the_end) {
  for (const std::string_view payload : {""sv, "all there is"sv}) {
    SocketPair pair;
    SocketFrames there(pair.near, Framing::until_close());
    SocketFrames here(pair.far, Framing::until_close());
    there.send(payload);
    EXPECT_EQ(text(here.next()), payload);
    EXPECT_EQ(text(here.next()), "(end)");
    here.send("answer");
    EXPECT_EQ(text(there.next()), "answer");
  }
}

TEST(SocketFrames, above_the_limit_throw_and_the_next_one_is_returned) {
  SocketPair pair = after("\0\4abcd\0\3efg"s);
  SocketFrames frames(pair.far, Framing::length_prefixed(LengthPrefix::u16), {.frame_bytes_max = 3});
  EXPECT_EQ(said([&] { frames.next(); }), "read a frame from unix:: it is longer than 3B, the limit here");
  EXPECT_EQ(text(frames.next()), "efg");
  EXPECT_EQ(text(frames.next()), "(end)");
}

TEST(SocketFrames, with_an_invalid_length_throw_at_every_call) {
  SocketPair pair = after(std::string(11, '\xff'));
  SocketFrames frames(pair.far, Framing::length_prefixed(LengthPrefix::varint));
  for (int times = 0; times < 2; ++times) {
    EXPECT_TRUE(said([&] { frames.next(); }).ends_with("its length has more than 64 bits"));
  }
}

TEST(SocketFrames, that_the_end_cuts_off_are_an_error_and_then_it_is_the_end) {
  SocketPair pair = after("abcd");
  SocketFrames frames(pair.far, Framing::fixed(3));
  EXPECT_EQ(text(frames.next()), "abc");
  EXPECT_EQ(kind_thrown([&] { frames.next(); }), ErrorKind::disconnected);
  EXPECT_EQ(text(frames.next()), "(end)");
}

TEST(SocketFrames, that_cannot_be_carried_are_not_sent) {
  SocketPair pair;
  SocketFrames there(pair.near, Framing::delimited(";"));
  EXPECT_TRUE(said([&] { there.send("a;b"); }).ends_with("it contains the delimiter"));
  there.send("c");
  pair.near.shutdown_send();
  SocketFrames here(pair.far, Framing::delimited(";"));
  EXPECT_EQ(text(here.next()), "c");
  EXPECT_EQ(text(here.next()), "(end)");
}

TEST(SocketFrames, have_a_time_limit_each_and_lose_nothing_after_it) {
  SocketPair pair;
  pair.far.set_timeout(20ms);
  SocketFrames frames(pair.far, Framing::delimited("\n"), {.frame_bytes_max = 1000});
  pair.near.send("a");
  EXPECT_EQ(kind_thrown([&] { frames.next(); }), ErrorKind::timed_out);
  {
    const Drip drip(pair.near);
    EXPECT_EQ(kind_thrown([&] { frames.next(); }), ErrorKind::timed_out);
  }
  pair.near.send("b\n");
  const std::string frame = text(frames.next());
  EXPECT_TRUE(frame.starts_with("ax") && frame.ends_with("xb")) << frame;
}

TEST(SocketLines, have_the_sockets_time_limit_for_the_whole_of_each) {
  SocketPair pair;
  pair.far.set_timeout(20ms);
  LineReader lines(pair.far, 1000);
  const Drip drip(pair.near);
  EXPECT_EQ(kind_thrown([&] { lines.next(); }), ErrorKind::timed_out);
}

// --- JSON ---

TEST(SocketJsonMessages, arrive_one_on_each_line) {
  SocketPair pair = after("{\"a\":1}\n\n \r\n[2]\r\n\"last\"");
  SocketJsonMessages messages(pair.far);
  EXPECT_EQ(text(messages.recv()), "{\"a\":1}");
  EXPECT_EQ(text(messages.recv()), "[2]\r");
  EXPECT_EQ(text(messages.recv()), "\"last\"");
  EXPECT_EQ(text(messages.recv()), "(end)");
}

TEST(SocketJsonMessages, are_sent_on_one_line_each_or_in_frames_as_they_were_written) {
  SocketPair pair;
  SocketJsonMessages there(pair.near);
  SocketJsonMessages here(pair.far);
  there.send("{\n  \"a\": 1\n}");
  EXPECT_EQ(text(here.recv()), "{   \"a\": 1 }");
  SocketJsonMessages framed_there(pair.near, Framing::length_prefixed());
  SocketJsonMessages framed_here(pair.far, Framing::length_prefixed());
  framed_there.send("{\n  \"a\": 1\n}");
  EXPECT_EQ(text(framed_here.recv()), "{\n  \"a\": 1\n}");
}

TEST(SocketJsonMessages, that_are_invalid_throw_and_the_next_one_is_returned) {
  SocketPair pair = after("{\"a\":1,}\n[[[]]]\n\"far too long\"\ntrue\n");
  SocketJsonMessages messages(pair.far, {.message_bytes_max = 10, .depth_max = 2});
  EXPECT_TRUE(
      said([&] { messages.recv(); }).ends_with("a member of an object begins with its name, a string (byte 7)"));
  EXPECT_TRUE(said([&] { messages.recv(); }).ends_with("arrays and objects are nested too deeply (byte 2)"));
  EXPECT_EQ(kind_thrown([&] { messages.recv(); }), ErrorKind::protocol);
  EXPECT_EQ(text(messages.recv()), "true");
}

TEST(SocketJsonMessages, that_are_invalid_are_not_sent) {
  SocketPair pair;
  SocketJsonMessages there(pair.near);
  EXPECT_TRUE(said([&] { there.send("{} {}"); }).ends_with("unexpected text after the value (byte 3)"));
  there.send("{}");
  SocketJsonMessages here(pair.far);
  EXPECT_EQ(text(here.recv()), "{}");
}

}  // namespace frames_test
