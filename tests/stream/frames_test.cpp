// Frames and JSON messages over streams: ends, errors, cancelling, sending. The codecs have their own tests.
#include "coax/stream/frames.hpp"

#include <gtest/gtest.h>

#include "coax/stream/json_messages.hpp"
#include "tests/support/stream_pairs.hpp"

namespace frames_test {

using namespace coax;
using namespace coax::test;
using namespace std::literals;

namespace {

Task<std::string> next_text(Frames& frames) {
  const auto frame = co_await frames.next();
  co_return frame ? frame->string() : "(end)";
}
Task<std::string> next_text(JsonMessages& messages) {
  const auto message = co_await messages.recv();
  co_return message ? message->string() : "(end)";
}
Task<> send_raw(Stream& stream, std::string bytes) {
  co_await stream.send(bytes);
  co_await stream.shutdown_send();
}

// Over a stream in memory.
template <class Body>
void on_pair(Body body) {
  run([&]() -> Task<> {
    auto pair = memory_stream_pair();
    co_await body(*pair.first, *pair.second);
  });
}

}  // namespace

TEST(Frames, of_all_kinds_cross_streams_of_all_kinds) {
  for (const StreamKind& kind : stream_kinds) {
    for (const Framing& framing : {Framing::fixed(5'000), Framing::delimited("\r\n"), Framing::length_prefixed(),
                                   Framing::length_prefixed(LengthPrefix::varint),
                                   Framing::length_prefixed(LengthPrefix::u16, ByteOrder::little)}) {
      run([&]() -> Task<> {
        const StreamPair pair = co_await kind.make();
        const std::string payload(5'000, 'x');
        const auto send = [&]() -> Task<> {
          Frames frames(*pair.near, framing);
          for (int count = 0; count < 20; ++count) co_await frames.send(payload);
          co_await pair.near->shutdown_send();
        };
        const auto receive = [&]() -> Task<> {
          Frames frames(*pair.far, framing);
          for (int count = 0; count < 20; ++count) EXPECT_EQ(co_await next_text(frames), payload) << kind.name;
          EXPECT_EQ(co_await next_text(frames), "(end)");
          EXPECT_EQ(co_await next_text(frames), "(end)");
        };
        co_await all(send(), receive());
      });
    }
  }
}

TEST(Frames, until_close_are_sent_with_the_end) {
  for (const StreamKind& kind : stream_kinds) {
    if (!kind.half_closes) continue;
    for (const std::string_view payload : {""sv, "all there is"sv}) {
      run([&]() -> Task<> {
        const StreamPair pair = co_await kind.make();
        Frames there(*pair.near, Framing::until_close());
        Frames here(*pair.far, Framing::until_close());
        co_await there.send(payload);
        EXPECT_EQ(co_await next_text(here), payload);
        EXPECT_EQ(co_await next_text(here), "(end)");
        co_await here.send("answer");
        EXPECT_EQ(co_await next_text(there), "answer");
      });
    }
  }
}

TEST(Frames, above_the_limit_throw_and_the_next_one_is_returned) {
  on_pair([](Stream& near, Stream& far) -> Task<> {
    co_await send_raw(near, "\0\4abcd\0\3efg"s);
    Frames frames(far, Framing::length_prefixed(LengthPrefix::u16), {.frame_bytes_max = 3});
    EXPECT_EQ(co_await text_of_error(frames.next()), "read a frame from memory: it is longer than 3B, the limit here");
    EXPECT_EQ(co_await next_text(frames), "efg");
    EXPECT_EQ(co_await next_text(frames), "(end)");
  });
}

TEST(Frames, with_an_invalid_length_throw_at_every_call) {
  on_pair([](Stream& near, Stream& far) -> Task<> {
    co_await send_raw(near, std::string(11, '\xff'));
    Frames frames(far, Framing::length_prefixed(LengthPrefix::varint));
    for (int times = 0; times < 2; ++times) {
      EXPECT_EQ(co_await text_of_error(frames.next()), "read a frame from memory: its length has more than 64 bits");
    }
  });
}

TEST(Frames, that_the_end_cuts_off_are_an_error_and_then_it_is_the_end) {
  on_pair([](Stream& near, Stream& far) -> Task<> {
    co_await send_raw(near, "abcd");
    Frames frames(far, Framing::fixed(3));
    EXPECT_EQ(co_await next_text(frames), "abc");
    EXPECT_EQ(co_await text_of_error(frames.next()), "read a frame from memory: the stream ended in the middle of it");
    EXPECT_EQ(co_await next_text(frames), "(end)");
  });
}

TEST(Frames, that_cannot_be_carried_are_not_sent) {
  on_pair([](Stream& near, Stream& far) -> Task<> {
    Frames there(near, Framing::delimited(";"));
    EXPECT_EQ(co_await text_of_error(there.send("a;b")), "send a frame to memory: it contains the delimiter");
    co_await there.send("c");
    co_await near.shutdown_send();
    Frames here(far, Framing::delimited(";"));
    EXPECT_EQ(co_await next_text(here), "c");
    EXPECT_EQ(co_await next_text(here), "(end)");
  });
}

TEST(Frames, lose_no_byte_when_the_waiting_task_is_cancelled) {
  on_pair([](Stream& near, Stream& far) -> Task<> {
    Frames frames(far, Framing::length_prefixed(LengthPrefix::u8));
    const std::string_view wire = "\3abc\2de";
    std::string got;
    for (const char& byte : wire) {
      co_await near.send(BytesView(&byte, 1));
      const auto wait = [&]() -> Task<> { got += co_await next_text(frames) + " "; };
      const auto give_up = [&]() -> Task<> {
        for (int turn = 0; turn < 5; ++turn) co_await next_turn();
      };
      co_await race(wait(), give_up());
    }
    EXPECT_EQ(got, "abc de ");
  });
}

// --- JSON ---

TEST(JsonMessages, arrive_one_on_each_line) {
  on_pair([](Stream& near, Stream& far) -> Task<> {
    co_await send_raw(near, "{\"a\":1}\n\n \r\n[2]\r\n\"last\"");
    JsonMessages messages(far);
    EXPECT_EQ(co_await next_text(messages), "{\"a\":1}");
    EXPECT_EQ(co_await next_text(messages), "[2]\r");
    EXPECT_EQ(co_await next_text(messages), "\"last\"");
    EXPECT_EQ(co_await next_text(messages), "(end)");
  });
}

TEST(JsonMessages, are_sent_on_one_line_each_however_they_were_written) {
  on_pair([](Stream& near, Stream& far) -> Task<> {
    JsonMessages there(near);
    JsonMessages here(far);
    co_await there.send("{\n  \"a\": 1\n}");
    co_await there.send("2");
    EXPECT_EQ(co_await next_text(here), "{   \"a\": 1 }");
    EXPECT_EQ(co_await next_text(here), "2");
  });
}

TEST(JsonMessages, arrive_in_frames_unchanged) {
  on_pair([](Stream& near, Stream& far) -> Task<> {
    JsonMessages there(near, Framing::length_prefixed());
    JsonMessages here(far, Framing::length_prefixed());
    co_await there.send("{\n  \"a\": 1\n}");
    co_await there.send("2");
    EXPECT_EQ(co_await next_text(here), "{\n  \"a\": 1\n}");
    EXPECT_EQ(co_await next_text(here), "2");
    co_await near.send("\0\0\0\0"s);
    EXPECT_EQ(co_await text_of_error(here.recv()), "read JSON from memory: it is cut off (byte 0)");
  });
}

TEST(JsonMessages, that_are_invalid_throw_and_the_next_one_is_returned) {
  on_pair([](Stream& near, Stream& far) -> Task<> {
    co_await send_raw(near, "{\"a\":1,}\n[[[]]]\n\"far too long\"\ntrue\n");
    JsonMessages messages(far, {.message_bytes_max = 10, .depth_max = 2});
    EXPECT_EQ(co_await text_of_error(messages.recv()),
              "read JSON from memory: a member of an object begins with its name, a string (byte 7)");
    EXPECT_EQ(co_await text_of_error(messages.recv()),
              "read JSON from memory: arrays and objects are nested too deeply (byte 2)");
    EXPECT_EQ(co_await outcome(messages.recv()), "protocol");
    EXPECT_EQ(co_await next_text(messages), "true");
  });
}

TEST(JsonMessages, that_are_invalid_are_not_sent) {
  on_pair([](Stream& near, Stream& far) -> Task<> {
    JsonMessages there(near);
    EXPECT_EQ(co_await text_of_error(there.send("{} {}")),
              "send JSON to memory: unexpected text after the value (byte 3)");
    co_await there.send("{}");
    JsonMessages here(far);
    EXPECT_EQ(co_await next_text(here), "{}");
  });
}

}  // namespace frames_test
