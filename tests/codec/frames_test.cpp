// Frames: bytes in, frames out, and the bytes around a payload.
#include "coax/codec/frames.hpp"

#include <gtest/gtest.h>

#include "coax/base/error.hpp"
#include "tests/codec/pieces.hpp"

namespace frames_test {

using coax::ByteOrder;
using coax::FrameDecoder;
using coax::FrameEvent;
using coax::Framing;
using coax::LengthPrefix;
using Events = std::vector<std::string>;
using namespace std::literals;

namespace {

std::string text_of(const FrameEvent& event) {
  switch (event.kind) {
    case FrameEvent::Kind::frame: return event.bytes.string();
    case FrameEvent::Kind::too_long: return "(too long)";
    case FrameEvent::Kind::bad_length: return "(bad length)";
    case FrameEvent::Kind::cut_off: return "(cut off) " + event.bytes.string();
  }
  return "?";
}

// Up to the first invalid length, which every later call reports.
Events frames_of(const Framing& framing, std::string_view input, std::size_t frame_bytes_max = 8) {
  return coax::test::however_it_is_cut(input, [&](coax::test::Pieces pieces) {
    FrameDecoder frames(framing, frame_bytes_max);
    Events events;
    bool is_bad = false;
    for (auto& piece : pieces) {
      frames.feed(std::span(piece));
      while (!is_bad) {
        const auto event = frames.next();
        if (!event) break;
        events.push_back(text_of(*event));
        is_bad = event->kind == FrameEvent::Kind::bad_length;
      }
      std::vector<char>().swap(piece);  // the fed bytes are released
    }
    if (const auto rest = frames.rest(); rest && !is_bad) events.push_back("rest: " + text_of(*rest));
    EXPECT_EQ(frames.rest().has_value(), is_bad);
    return events;
  });
}

std::string on_wire(const Framing& framing, std::string_view payload) {
  const auto envelope = framing.enclose(payload);
  if (!envelope) return "(" + std::string(envelope.error()) + ")";
  return envelope->head().string() + std::string(payload) + envelope->tail.string();
}

Framing prefixed(LengthPrefix prefix, ByteOrder order = ByteOrder::big) {
  return Framing::length_prefixed(prefix, order);
}

}  // namespace

// --- of a fixed length ---

TEST(FixedFrames, have_so_many_bytes_each) {
  EXPECT_EQ(frames_of(Framing::fixed(3), "abcdef"), (Events{"abc", "def"}));
  EXPECT_EQ(frames_of(Framing::fixed(1), "\0a"sv), (Events{"\0"s, "a"}));
  EXPECT_EQ(frames_of(Framing::fixed(3), ""), Events{});
  EXPECT_EQ(frames_of(Framing::fixed(3), "abcd"), (Events{"abc", "rest: (cut off) d"}));
}

TEST(FixedFrames, are_their_own_limit) {
  EXPECT_EQ(frames_of(Framing::fixed(10), "0123456789", 2), Events{"0123456789"});
}

TEST(FixedFrames, carry_payloads_of_their_length_only) {
  EXPECT_EQ(on_wire(Framing::fixed(3), "abc"), "abc");
  EXPECT_EQ(on_wire(Framing::fixed(3), "ab"), "(it does not have the fixed length of a frame)");
  EXPECT_EQ(on_wire(Framing::fixed(3), "abcd"), "(it does not have the fixed length of a frame)");
  EXPECT_THROW(Framing::fixed(0), coax::Error);
}

// --- delimited ---

TEST(DelimitedFrames, end_with_their_delimiter_which_is_not_theirs) {
  EXPECT_EQ(frames_of(Framing::delimited(";"), "a;;bc;"), (Events{"a", "", "bc"}));
  EXPECT_EQ(frames_of(Framing::delimited("\r\n"), "a\rb\n\r\r\n\r\n"), (Events{"a\rb\n\r", ""}));
  EXPECT_EQ(frames_of(Framing::delimited("\0"s), "a\0b\0"sv), (Events{"a", "b"}));
  EXPECT_EQ(frames_of(Framing::delimited("aab"), "aaab1aab"), (Events{"a", "1"}));
  EXPECT_EQ(frames_of(Framing::delimited("aa"), "aaaaa"), (Events{"", "", "rest: (cut off) a"}));
}

TEST(DelimitedFrames, are_cut_off_without_it_unless_the_end_is_as_good) {
  EXPECT_EQ(frames_of(Framing::delimited("--"), "a--b-"), (Events{"a", "rest: (cut off) b-"}));
  EXPECT_EQ(frames_of(Framing::delimited("--", Framing::AtEnd::whole), "a--b-"), (Events{"a", "rest: b-"}));
  EXPECT_EQ(frames_of(Framing::delimited("--", Framing::AtEnd::whole), "a--"), Events{"a"});
}

TEST(DelimitedFrames, above_the_limit_are_reported_once_and_skipped) {
  const Framing framing = Framing::delimited("<>");
  EXPECT_EQ(frames_of(framing, "12345678<>1<>"), (Events{"12345678", "1"}));
  EXPECT_EQ(frames_of(framing, "123456789<>1<>"), (Events{"(too long)", "1"}));
  EXPECT_EQ(frames_of(framing, "1234567890123456789012<<>1<>"), (Events{"(too long)", "1"}));
  EXPECT_EQ(frames_of(framing, "123456789012<1>2<>1<>"), (Events{"(too long)", "1"}));
  EXPECT_EQ(frames_of(framing, "1<>1234567890123"), (Events{"1", "(too long)"}));
  EXPECT_EQ(frames_of(framing, "12345678<"), Events{"rest: (too long)"});
  EXPECT_EQ(frames_of(framing, "1<><>", 0), (Events{"(too long)", ""}));
}

TEST(DelimitedFrames, of_random_bytes_do_not_depend_on_how_they_are_cut) {
  std::mt19937 random(coax::test::seed());
  for (int round = 0; round < 300; ++round) {
    std::string input(random() % 64, '\0');
    for (char& byte : input) byte = "aaab"[random() % 4];
    const std::string delimiter = std::string(random() % 4, 'a') + "b" + std::string(random() % 2, 'a');
    frames_of(Framing::delimited(delimiter), input, random() % 8);
  }
}

TEST(DelimitedFrames, do_not_carry_what_would_read_as_two) {
  EXPECT_EQ(on_wire(Framing::delimited("\r\n"), "a\r"), "a\r\r\n");
  EXPECT_EQ(on_wire(Framing::delimited("\r\n"), "\n"), "\n\r\n");
  EXPECT_EQ(on_wire(Framing::delimited("\r\n"), "a\r\nb"), "(it contains the delimiter)");
  EXPECT_EQ(on_wire(Framing::delimited("\r\n"), "a\r\n"), "(it contains the delimiter)");
  EXPECT_EQ(on_wire(Framing::delimited("aa"), "1a"), "(it contains the delimiter)");
  EXPECT_EQ(on_wire(Framing::delimited("aba"), "1ab"), "(it contains the delimiter)");
  EXPECT_EQ(on_wire(Framing::delimited("aa"), "1"), "1aa");
  EXPECT_THROW(Framing::delimited(""), coax::Error);
}

// --- length-prefixed ---

TEST(PrefixedFrames, are_decoded_with_either_byte_order) {
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u8), "\3abc\0\1d"sv), (Events{"abc", "", "d"}));
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u16), "\0\3abc"sv), Events{"abc"});
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u16, ByteOrder::little), "\3\0abc"sv), Events{"abc"});
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u32), "\0\0\0\3abc\0\0\0\0"sv), (Events{"abc", ""}));
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u32, ByteOrder::little), "\3\0\0\0abc"sv), Events{"abc"});
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u64), "\0\0\0\0\0\0\0\3abc"sv), Events{"abc"});
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u64, ByteOrder::little), "\3\0\0\0\0\0\0\0abc"sv), Events{"abc"});
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::varint), "\3abc\0\x81\0d"sv), (Events{"abc", "", "d"}));
}

TEST(PrefixedFrames, use_each_byte_of_their_length) {
  const std::string payload(0x102, 'x');
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u16), "\1\2" + payload, 0x102), Events{payload});
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u16, ByteOrder::little), "\2\1" + payload, 0x102), Events{payload});
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::varint), "\x82\2" + payload, 0x102), Events{payload});
}

TEST(PrefixedFrames, cut_off_by_the_end_carry_the_received_bytes) {
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u16), "\0"sv), Events{"rest: (cut off) "});
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u16), "\0\2"sv), Events{"rest: (cut off) "});
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u16), "\0\2a"sv), Events{"rest: (cut off) a"});
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u16), ""), Events{});
}

TEST(PrefixedFrames, above_the_limit_are_reported_once_and_skipped) {
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u8),
                      "\x08"
                      "12345678\1a"),
            (Events{"12345678", "a"}));
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u8),
                      "\x09"
                      "123456789\1a"),
            (Events{"(too long)", "a"}));
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u32), "GET / HTTP/1.1\r\n"), Events{"(too long)"});
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u64), std::string(8, '\xff') + "abc"), Events{"(too long)"});
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::u8), "\1a", 0), Events{"(too long)"});
}

TEST(PrefixedFrames, after_a_varint_of_more_than_64_bits_there_are_none) {
  const std::string nine(9, '\xff');
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::varint), nine + "\1abc"), Events{"(too long)"});
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::varint), "\1a" + nine + "\2abc"), (Events{"a", "(bad length)"}));
  EXPECT_EQ(frames_of(prefixed(LengthPrefix::varint), nine + "\x81\0"s), Events{"(bad length)"});
}

TEST(PrefixedFrames, have_the_shortest_length_in_front) {
  EXPECT_EQ(on_wire(prefixed(LengthPrefix::u8), "abc"), "\3abc");
  EXPECT_EQ(on_wire(prefixed(LengthPrefix::u16), "abc"), "\0\3abc"sv);
  EXPECT_EQ(on_wire(prefixed(LengthPrefix::u32, ByteOrder::little), "abc"), "\3\0\0\0abc"sv);
  EXPECT_EQ(on_wire(prefixed(LengthPrefix::u64), "abc"), "\0\0\0\0\0\0\0\3abc"sv);
  EXPECT_EQ(on_wire(prefixed(LengthPrefix::varint), "abc"), "\3abc");
  const std::string longer(0x80, 'x');
  EXPECT_EQ(on_wire(prefixed(LengthPrefix::varint), longer), "\x80\1" + longer);
  EXPECT_EQ(on_wire(prefixed(LengthPrefix::varint), longer.substr(1)), "\x7f" + longer.substr(1));
}

TEST(PrefixedFrames, are_as_long_as_the_length_can_tell) {
  const std::string most(255, 'x');
  EXPECT_EQ(on_wire(prefixed(LengthPrefix::u8), most), "\xff" + most);
  EXPECT_EQ(on_wire(prefixed(LengthPrefix::u8), most + "x"), "(its length does not fit in the prefix)");
  EXPECT_EQ(on_wire(prefixed(LengthPrefix::u16), std::string(65'536, 'x')), "(its length does not fit in the prefix)");
}

// --- until close ---

TEST(FramesUntilClose, are_one_even_without_bytes) {
  EXPECT_EQ(frames_of(Framing::until_close(), "abcdefgh"), Events{"rest: abcdefgh"});
  EXPECT_EQ(frames_of(Framing::until_close(), ""), Events{"rest: "});
  EXPECT_EQ(frames_of(Framing::until_close(), "abcdefghi"), Events{"(too long)"});
  EXPECT_EQ(on_wire(Framing::until_close(), "abc"), "abc");
}

// --- all ---

TEST(Frames, are_received_as_they_were_sent) {
  std::mt19937 random(coax::test::seed());
  for (const LengthPrefix prefix :
       {LengthPrefix::u8, LengthPrefix::u16, LengthPrefix::u32, LengthPrefix::u64, LengthPrefix::varint}) {
    for (const ByteOrder order : {ByteOrder::big, ByteOrder::little}) {
      const Framing framing = prefixed(prefix, order);
      Events payloads;
      std::string wire;
      for (int count = 0; count < 20; ++count) {
        std::string payload(random() % 200, '\0');
        for (char& byte : payload) byte = static_cast<char>(random());
        wire += on_wire(framing, payload);
        payloads.push_back(std::move(payload));
      }
      EXPECT_EQ(frames_of(framing, wire, 200), payloads) << "--gtest_random_seed=" << coax::test::seed();
    }
  }
}

TEST(FrameDecoder, reports_a_frame_that_is_too_long_before_its_end) {
  FrameDecoder prefixed_frames(Framing::length_prefixed(), 3);
  prefixed_frames.feed("\0\0\0\4"sv);
  EXPECT_EQ(prefixed_frames.next()->kind, FrameEvent::Kind::too_long);
  FrameDecoder delimited(Framing::delimited(";"), 3);
  delimited.feed("1234");
  EXPECT_EQ(delimited.next()->kind, FrameEvent::Kind::too_long);
}

TEST(FrameDecoder, lends_a_whole_frame_from_the_fed_bytes) {
  const std::string_view fed = "\2ab\2cd";
  FrameDecoder frames(Framing::length_prefixed(LengthPrefix::u8), 8);
  frames.feed(fed);
  EXPECT_EQ(frames.next()->bytes.data(), fed.data() + 1);
  EXPECT_EQ(frames.next()->bytes.data(), fed.data() + 4);
}

TEST(FrameDecoder, holds_memory_for_received_not_for_announced_bytes) {
  const std::size_t before = coax::test::allocated_bytes();
  FrameDecoder frames(Framing::length_prefixed(), 1 << 30);
  frames.feed("\x3f\0\0\0ab"sv);
  EXPECT_FALSE(frames.next());
  EXPECT_LT(coax::test::allocated_bytes(), before + 100);

  FrameDecoder dropping(Framing::delimited("<end>"), 10);
  const std::size_t idle = coax::test::allocated_bytes();
  dropping.feed("more than the limit");
  EXPECT_TRUE(dropping.next());
  for (int times = 0; times < 1000; ++times) {
    dropping.feed("more of the same <e");
    EXPECT_FALSE(dropping.next());
  }
  EXPECT_LT(coax::test::allocated_bytes(), idle + 100);
  dropping.feed("nd>ab<end>");
  EXPECT_EQ(dropping.next()->bytes.text(), "ab");
  EXPECT_FALSE(dropping.next());
  EXPECT_EQ(coax::test::allocated_bytes(), idle);
}

}  // namespace frames_test
