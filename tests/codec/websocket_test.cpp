// WebSocket frames: literal frames in, messages out, however the bytes are split.
#include "coax/codec/websocket.hpp"

#include <gtest/gtest.h>

#include "tests/codec/pieces.hpp"

namespace websocket_test {

using coax::ws::Event;
using coax::ws::FrameHeader;
using coax::ws::Mask;
using coax::ws::MessageDecoder;
using coax::ws::Opcode;
using coax::ws::Role;
using Events = std::vector<std::string>;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

constexpr Mask mask{'\x37', '\xfa', '\x21', '\x3d'};  // of the examples in RFC 6455, section 5.7

std::string text_of(const Event& event) {
  constexpr std::array<std::string_view, 6> kinds{"text", "binary", "ping", "pong", "close", "failure"};
  std::string text(kinds.at(static_cast<std::size_t>(event.kind)));
  if (event.code != 0) text += " " + std::to_string(event.code);
  if (event.kind != Event::Kind::failure) text += ": " + event.payload.string();
  return text;
}

Events events_of(std::string_view input, Role role, std::size_t message_bytes_max = 1000) {
  return coax::test::however_it_is_cut(input, [&](coax::test::Pieces pieces) {
    MessageDecoder decoder(role, message_bytes_max);
    Events events;
    for (auto& piece : pieces) {
      decoder.feed(piece);
      while (const auto event = decoder.next()) events.push_back(text_of(*event));
      std::vector<char>().swap(piece);  // the fed bytes are released
    }
    return events;
  });
}

// As a client masks them: the first byte of each frame, and its payload.
std::string masked(unsigned first_byte, std::string_view payload) {
  std::string frame;
  coax::ws::append_frame(frame, Opcode::text, payload, mask);
  frame[0] = static_cast<char>(first_byte);
  return frame;
}

std::string masked(Opcode opcode, std::string_view payload) {
  return masked(0x80 | static_cast<unsigned>(opcode), payload);
}

// The events of a server for frames of a client.
Events server(std::string_view input, std::size_t message_bytes_max = 1000) {
  return events_of(input, Role::server, message_bytes_max);
}
Events client(std::string_view input, std::size_t message_bytes_max = 1000) {
  return events_of(input, Role::client, message_bytes_max);
}

}  // namespace

TEST(WebSocket, reads_the_examples_of_the_rfc) {
  EXPECT_EQ(client("\x81\x05Hello"), (Events{"text: Hello"}));
  EXPECT_EQ(server("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), (Events{"text: Hello"}));
  EXPECT_EQ(client("\x01\x03Hel\x80\x02lo"), (Events{"text: Hello"}));
  EXPECT_EQ(client("\x89\x05Hello"), (Events{"ping: Hello"}));
  EXPECT_EQ(server("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), (Events{"pong: Hello"}));
  const std::string kilobyte(256, 'x');
  EXPECT_EQ(client("\x82\x7E\x01\x00"s + kilobyte), (Events{"binary: " + kilobyte}));
  const std::string large(65536, 'x');
  EXPECT_EQ(client("\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00"s + large, 65536), (Events{"binary: " + large}));
}

TEST(WebSocket, reads_messages_one_after_the_other) {
  EXPECT_EQ(server(masked(Opcode::text, "a") + masked(Opcode::binary, "\xFF") + masked(Opcode::text, "")),
            (Events{"text: a", "binary: \xFF", "text: "}));
}

TEST(WebSocket, unmasks_payloads_of_every_length) {
  for (std::size_t length = 0; length < 300; ++length) {
    std::string payload;
    while (payload.size() < length) payload += static_cast<char>('a' + payload.size() % 26);
    EXPECT_EQ(server(masked(Opcode::text, payload) + masked(Opcode::ping, "")), (Events{"text: " + payload, "ping: "}));
  }
}

TEST(WebSocket, puts_fragments_together) {
  EXPECT_EQ(server(masked(0x01, "a") + masked(0x00, "") + masked(0x00, "b") + masked(0x80, "c")),
            (Events{"text: abc"}));
  EXPECT_EQ(server(masked(0x02, "") + masked(0x00, "") + masked(0x80, "")), (Events{"binary: "}));
  EXPECT_EQ(server(masked(0x02, "") + masked(0x80, "a") + masked(Opcode::text, "b")), (Events{"binary: a", "text: b"}));
}

TEST(WebSocket, takes_control_frames_between_fragments) {
  EXPECT_EQ(server(masked(0x01, "ab") + masked(Opcode::ping, "ping") + masked(0x00, "cd") + masked(Opcode::pong, "") +
                   masked(Opcode::ping, "x") + masked(0x80, "ef")),
            (Events{"ping: ping", "pong: ", "ping: x", "text: abcdef"}));
  EXPECT_EQ(server(masked(0x01, "ab") + masked(Opcode::close, "\x03\xE8")), (Events{"close 1000: "}));
}

TEST(WebSocket, refuses_reserved_bits_and_opcodes) {
  for (const unsigned first : {0xC1U, 0xA1U, 0x91U, 0xF1U, 0x11U, 0xC9U})
    EXPECT_EQ(server(masked(first, "a")), (Events{"failure 1002"}));
  for (const unsigned opcode : {3U, 4U, 5U, 6U, 7U, 11U, 12U, 13U, 14U, 15U}) {
    EXPECT_EQ(server(masked(0x80 | opcode, "a")), (Events{"failure 1002"})) << opcode;
    EXPECT_EQ(server(masked(Opcode::text, "a") + masked(opcode, "a")), (Events{"text: a", "failure 1002"})) << opcode;
  }
}

TEST(WebSocket, wants_masks_of_clients_and_none_of_servers) {
  EXPECT_EQ(server("\x81\x01"
                   "a"),
            (Events{"failure 1002"}));
  EXPECT_EQ(server("\x89\x00"sv), (Events{"failure 1002"}));
  EXPECT_EQ(client(masked(Opcode::text, "a")), (Events{"failure 1002"}));
  EXPECT_EQ(client(masked(Opcode::ping, "")), (Events{"failure 1002"}));
}

TEST(WebSocket, wants_fragments_in_their_order) {
  EXPECT_EQ(server(masked(0x80, "a")), (Events{"failure 1002"}));
  EXPECT_EQ(server(masked(0x00, "a")), (Events{"failure 1002"}));
  EXPECT_EQ(server(masked(0x01, "a") + masked(0x81, "b")), (Events{"failure 1002"}));
  EXPECT_EQ(server(masked(0x01, "a") + masked(0x02, "b")), (Events{"failure 1002"}));
  EXPECT_EQ(server(masked(0x01, "a") + masked(0x80, "b") + masked(0x80, "c")), (Events{"text: ab", "failure 1002"}));
}

TEST(WebSocket, wants_control_frames_whole_and_short) {
  const std::string longest(125, 'x');
  EXPECT_EQ(server(masked(Opcode::ping, longest)), (Events{"ping: " + longest}));
  EXPECT_EQ(server(masked(Opcode::ping, longest + "x")), (Events{"failure 1002"}));
  EXPECT_EQ(server(masked(Opcode::close, "\x03\xE8" + longest)), (Events{"failure 1002"}));
  EXPECT_EQ(server(masked(0x09, "a")), (Events{"failure 1002"}));
  EXPECT_EQ(server(masked(0x08, "")), (Events{"failure 1002"}));
}

TEST(WebSocket, wants_the_shortest_form_of_a_length) {
  EXPECT_EQ(client("\x82\x7E\x00\x7D"sv), (Events{"failure 1002"}));
  EXPECT_EQ(client("\x82\x7E\x00\x7E"s + std::string(126, 'x')), (Events{"binary: " + std::string(126, 'x')}));
  EXPECT_EQ(client("\x82\x7F\x00\x00\x00\x00\x00\x00\xFF\xFF"sv), (Events{"failure 1002"}));
  EXPECT_EQ(client("\x82\x7F\x80\x00\x00\x00\x00\x01\x00\x00"sv), (Events{"failure 1002"}));
  EXPECT_EQ(client("\x82\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"sv), (Events{"failure 1002"}));
}

TEST(WebSocket, refuses_a_message_above_the_limit_by_its_header) {
  EXPECT_EQ(client("\x82\x0A"
                   "0123456789",
                   10),
            (Events{"binary: 0123456789"}));
  EXPECT_EQ(client("\x82\x0B", 10), (Events{"failure 1009"}));
  EXPECT_EQ(client("\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 10), (Events{"failure 1009"}));
  EXPECT_EQ(client("\x02\x06"
                   "012345\x80\x04"
                   "6789",
                   10),
            (Events{"binary: 0123456789"}));
  EXPECT_EQ(client("\x02\x06"
                   "012345\x80\x05",
                   10),
            (Events{"failure 1009"}));
  EXPECT_EQ(client("\x02\x06"
                   "012345\x89\x05"
                   "abcde\x80\x05",
                   10),
            (Events{"ping: abcde", "failure 1009"}));
  EXPECT_EQ(client("\x82\x01", 0), (Events{"failure 1009"}));
}

TEST(WebSocket, wants_texts_in_utf8) {
  EXPECT_EQ(server(masked(Opcode::text, "κόσμε 😀")), (Events{"text: κόσμε 😀"}));
  EXPECT_EQ(server(masked(0x01, "\xCE") + masked(Opcode::ping, "\xFF") + masked(0x80, "\xBA")),
            (Events{"ping: \xFF", "text: κ"}));
  EXPECT_EQ(server(masked(Opcode::text, "a\xFF")), (Events{"failure 1007"}));
  EXPECT_EQ(server(masked(Opcode::text, "\xCE")), (Events{"failure 1007"}));
  EXPECT_EQ(server(masked(0x01, "\xCE") + masked(0x80, "")), (Events{"failure 1007"}));
  EXPECT_EQ(server(masked(0x01, "\xCE") + masked(0x80, "a")), (Events{"failure 1007"}));
  EXPECT_EQ(server(masked(Opcode::text, "\xED\xA0\x80")), (Events{"failure 1007"}));
  EXPECT_EQ(server(masked(0x02, "\xCE") + masked(0x80, "\xFF")), (Events{"binary: \xCE\xFF"}));
  EXPECT_EQ(server(masked(Opcode::binary, "\xCE") + masked(Opcode::text, "a")), (Events{"binary: \xCE", "text: a"}));
}

TEST(WebSocket, refuses_a_text_at_its_first_wrong_byte) {
  EXPECT_EQ(client("\x81\x7D"
                   "a\xFF"),
            (Events{"failure 1007"}));
  EXPECT_EQ(client("\x01\x02\xF0\x9F\x00\x05("sv), (Events{"failure 1007"}));
}

TEST(WebSocket, reads_codes_and_reasons_of_a_close) {
  EXPECT_EQ(server(masked(Opcode::close, "")), (Events{"close 1005: "}));
  EXPECT_EQ(server(masked(Opcode::close, "\x03\xE9")), (Events{"close 1001: "}));
  EXPECT_EQ(server(masked(Opcode::close,
                          "\x03\xE8"
                          "bye é")),
            (Events{"close 1000: bye é"}));
  EXPECT_EQ(server(masked(Opcode::close, "\x03")), (Events{"failure 1002"}));
  EXPECT_EQ(server(masked(Opcode::close, "\x03\xE8\xFF")), (Events{"failure 1007"}));
  EXPECT_EQ(server(masked(Opcode::close, "\x03\xE8\xC3")), (Events{"failure 1007"}));
}

TEST(WebSocket, knows_which_close_codes_may_be_sent) {
  const auto is_taken = [](unsigned code) {
    const std::array payload{static_cast<char>(code >> 8), static_cast<char>(code)};
    return server(masked(Opcode::close, {payload.data(), 2})) == Events{"close " + std::to_string(code) + ": "};
  };
  for (const unsigned code : {1000U, 1001U, 1002U, 1003U, 1007U, 1008U, 1009U, 1010U, 1011U, 1012U, 1013U, 1014U, 3000U,
                              3999U, 4000U, 4999U}) {
    EXPECT_TRUE(is_taken(code)) << code;
  }
  for (const unsigned code : {0U, 1U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 1100U, 2000U, 2999U, 5000U, 65535U}) {
    EXPECT_FALSE(is_taken(code)) << code;
  }
}

TEST(WebSocket, ignores_what_follows_a_close_or_a_failure) {
  EXPECT_EQ(server(masked(Opcode::close, "") + masked(Opcode::text, "a")), (Events{"close 1005: "}));
  EXPECT_EQ(server(masked(Opcode::close, "") + "garbage"), (Events{"close 1005: "}));
  EXPECT_EQ(server(masked(0x83, "") + masked(Opcode::text, "a")), (Events{"failure 1002"}));
}

TEST(WebSocket, of_random_frames_does_not_depend_on_how_they_are_cut) {
  std::mt19937 random(coax::test::seed());
  static constexpr std::array<unsigned, 16> firsts{0x81, 0x81, 0x82, 0x01, 0x02, 0x00, 0x00, 0x80,
                                                   0x80, 0x89, 0x89, 0x8A, 0x88, 0xC1, 0x83, 0x09};
  for (int round = 0; round < 300; ++round) {
    std::string input;
    for (std::size_t count = random() % 8; count != 0; --count) {
      std::string payload(random() % 20 == 0 ? 126 + random() % 10 : random() % 12, 'a');
      if (random() % 4 == 0) payload += "\xC3\xA9";
      if (random() % 16 == 0) payload += "\xC3";
      input += masked(firsts[random() % firsts.size()], payload);
    }
    if (random() % 4 == 0) input.resize(random() % (input.size() + 1));
    server(input, 100);
    std::string noise(random() % 30, '\0');
    for (char& byte : noise) byte = static_cast<char>(random());
    server(noise, 100);
    client(noise, 100);
  }
}

TEST(MessageDecoder, lends_a_whole_message_from_the_fed_bytes) {
  std::string fed = masked(Opcode::text, "hello") + masked(0x01, "a") + masked(Opcode::ping, "p");
  MessageDecoder decoder(Role::server, 100);
  decoder.feed(fed);
  EXPECT_EQ(decoder.next()->payload.data(), fed.data() + 6);
  EXPECT_EQ(decoder.next()->payload.data(), fed.data() + 11 + 7 + 6);
}

TEST(MessageDecoder, holds_memory_only_for_what_is_not_complete) {
  std::string whole = masked(Opcode::text, "hello") + masked(Opcode::ping, "p");
  std::string cut = masked(Opcode::text, "hello world");
  std::string ping = masked(Opcode::ping, "hello");
  std::string wrong = masked(0x01, "hello") + masked(0x83, "");
  const std::size_t before = coax::test::allocated_bytes();
  MessageDecoder decoder(Role::server, 100);
  const auto feed = [&](std::span<char> bytes, int events) {
    decoder.feed(bytes);
    for (; events != 0; --events) EXPECT_TRUE(decoder.next());
    EXPECT_FALSE(decoder.next());
  };
  feed(whole, 2);
  EXPECT_EQ(coax::test::allocated_bytes(), before);
  feed(std::span(cut).first(3), 0);
  EXPECT_GT(coax::test::allocated_bytes(), before);
  feed(std::span(cut).subspan(3, 7), 0);
  EXPECT_GT(coax::test::allocated_bytes(), before);
  feed(std::span(cut).subspan(10), 1);
  EXPECT_EQ(coax::test::allocated_bytes(), before);
  feed(std::span(ping).first(8), 0);
  feed(std::span(ping).subspan(8), 1);
  EXPECT_EQ(coax::test::allocated_bytes(), before);
  feed(wrong, 1);
  EXPECT_EQ(coax::test::allocated_bytes(), before);
}

TEST(MessageDecoder, says_why_it_failed) {
  std::string fed =
      "\x81\x01"
      "a";
  MessageDecoder decoder(Role::server, 100);
  decoder.feed(fed);
  EXPECT_EQ(decoder.next()->payload.text(), "an unmasked frame of a client");
}

TEST(FrameHeader, is_as_short_as_it_can_be) {
  EXPECT_EQ(FrameHeader(Opcode::text, 0).bytes().text(), "\x81\x00"sv);
  EXPECT_EQ(FrameHeader(Opcode::binary, 125).bytes().text(), "\x82\x7D"sv);
  EXPECT_EQ(FrameHeader(Opcode::binary, 126).bytes().text(), "\x82\x7E\x00\x7E"sv);
  EXPECT_EQ(FrameHeader(Opcode::binary, 65535).bytes().text(), "\x82\x7E\xFF\xFF"sv);
  EXPECT_EQ(FrameHeader(Opcode::binary, 65536).bytes().text(), "\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00"sv);
  EXPECT_EQ(FrameHeader(Opcode::ping, 2, mask).bytes().text(), "\x89\x82\x37\xfa\x21\x3d"sv);
  EXPECT_EQ(FrameHeader(Opcode::text, 65536, mask).bytes().text(),
            "\x81\xFF\x00\x00\x00\x00\x00\x01\x00\x00\x37\xfa\x21\x3d"sv);
}

TEST(AppendFrame, writes_the_examples_of_the_rfc) {
  std::string out = "x";
  coax::ws::append_frame(out, Opcode::text, "Hello");
  coax::ws::append_frame(out, Opcode::text, "Hello", mask);
  EXPECT_EQ(out, "x\x81\x05Hello\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
}

TEST(ClosePayload, is_a_code_and_a_reason_that_fits) {
  EXPECT_EQ(coax::ws::close_payload(1000), "\x03\xE8");
  EXPECT_EQ(coax::ws::close_payload(1001, "bye"),
            "\x03\xE9"
            "bye");
  EXPECT_EQ(coax::ws::close_payload(coax::ws::close_code::none), "");
  EXPECT_EQ(coax::ws::close_payload(1000, std::string(123, 'x')).size(), 125);
  EXPECT_EQ(coax::ws::close_payload(1000, std::string(124, 'x')).size(), 125);
  EXPECT_EQ(coax::ws::close_payload(1000, std::string(122, 'x') + "é"), "\x03\xE8" + std::string(122, 'x'));
  EXPECT_EQ(coax::ws::close_payload(1000, std::string(121, 'x') + "é"), "\x03\xE8" + std::string(121, 'x') + "é");
}

}  // namespace websocket_test
