// The wires: an event in, the literal bytes of each wire out; and the messages of a JSON client.
#include "services/chat/wire.hpp"

#include <gtest/gtest.h>

#include <string>

#include "services/chat/json_wire.hpp"
#include "services/chat/line_wire.hpp"

namespace coax::chat {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

constexpr std::chrono::system_clock::time_point at_ten{1'795'255'200'123ms};  // 2026-11-21T10:00:00.123Z

const Event alice_joined{.sequence = 18, .time = at_ten, .kind = EventKind::joined, .nick = "alice", .text = {}};
const Event zoe_said{
    .sequence = 19, .time = at_ten, .kind = EventKind::said, .nick = "Ζωή \"z\"", .text = "say \"hi\" \\ 日本"};
const Event bob_left{.sequence = 20, .time = at_ten, .kind = EventKind::left, .nick = "bob", .text = {}};

std::string encode(Form form, const Event& event) {
  std::string bytes;
  wires[form].append_event(bytes, lobby, event);
  return bytes;
}

std::string welcome(Form form, const Welcome& welcome) {
  std::string bytes;
  wires[form].append_welcome(bytes, welcome);
  return bytes;
}

// "join alice", "message hello", or the text of the refusal.
std::string parsed(BytesView json) {
  const auto message = parse_client_message(json);
  if (!message) return std::string(message.error().code) + ": " + message.error().text;
  return (message->type == ClientMessage::Type::join ? "join " : "message ") + message->argument;
}

TEST(LineWire, event_is_one_line) {
  EXPECT_EQ(encode(line, alice_joined), "alice joined the chat!\n");
  EXPECT_EQ(encode(line, zoe_said), "Ζωή \"z\": say \"hi\" \\ 日本\n");
  EXPECT_EQ(encode(line, bob_left), "bob left the chat!\n");
}

TEST(LineWire, has_no_welcome) {
  const RoomState empty;
  EXPECT_EQ(welcome(line, {.room = "lobby", .nick = "bob", .before = empty}), "");
}

TEST(LineWire, error_is_one_line) { EXPECT_EQ(error_line("no"), "error: no\n"); }

TEST(JsonWire, event_is_one_text_frame) {
  EXPECT_EQ(encode(websocket, alice_joined),
            "\x81\x4b"
            R"({"type":"joined","seq":18,"time":"2026-11-21T10:00:00.123Z","nick":"alice"})");
  EXPECT_EQ(encode(websocket, zoe_said),
            "\x81\x71"
            R"({"type":"message","seq":19,"time":"2026-11-21T10:00:00.123Z","nick":"Ζωή \"z\"",)"
            R"("text":"say \"hi\" \\ 日本"})");
  EXPECT_EQ(encode(websocket, bob_left),
            "\x81\x47"
            R"({"type":"left","seq":20,"time":"2026-11-21T10:00:00.123Z","nick":"bob"})");
}

TEST(JsonWire, long_event_has_a_long_frame_header) {
  const Event event{.sequence = 1, .time = at_ten, .kind = EventKind::said, .nick = "a", .text = std::string(300, 'x')};
  EXPECT_EQ(encode(websocket, event),
            "\x81\x7e\x01\x7d"
            R"({"type":"message","seq":1,"time":"2026-11-21T10:00:00.123Z","nick":"a","text":")" +
                std::string(300, 'x') + "\"}");
}

TEST(JsonWire, encoding_appends) {
  std::string bytes = "before";
  append_json_event(bytes, lobby, bob_left);
  EXPECT_EQ(bytes, "before" + encode(websocket, bob_left));
}

TEST(JsonWire, welcome_has_the_members_in_order_and_the_last_sequence) {
  RoomState state;
  EXPECT_EQ(welcome(websocket, {.room = "lobby", .nick = "bob", .before = state}),
            "\x81\x46"
            R"({"type":"welcome","room":"lobby","nick":"bob","seq":0,"users":["bob"]})");
  state.apply({.sequence = 16, .kind = EventKind::joined, .nick = "carol"});
  state.apply({.sequence = 17, .kind = EventKind::joined, .nick = "alice"});
  EXPECT_EQ(welcome(websocket, {.room = "lobby", .nick = "bob", .before = state}),
            "\x81\x57"
            R"({"type":"welcome","room":"lobby","nick":"bob","seq":17,"users":["alice","bob","carol"]})");
}

TEST(JsonWire, error_has_code_and_message) {
  EXPECT_EQ(error_json({"nick_taken", "the nickname \"x\" is taken"}),
            R"({"type":"error","code":"nick_taken","message":"the nickname \"x\" is taken"})");
  EXPECT_EQ(text_frame("{}"), "\x81\x02{}");
}

TEST(ClientMessage, join_and_message_are_parsed) {
  EXPECT_EQ(parsed(R"({"type":"join","nick":"alice"})"), "join alice");
  EXPECT_EQ(parsed(R"({"text":"hello","type":"message","more":[1]})"), "message hello");
  EXPECT_EQ(parsed(R"({"type":"message","text":""})"), "message ");
}

TEST(ClientMessage, other_json_is_refused_with_the_reason) {
  EXPECT_EQ(parsed("hello"), "bad_message: that is not a JSON object");
  EXPECT_EQ(parsed("[]"), "bad_message: that is not a JSON object");
  EXPECT_EQ(parsed("{}"), "bad_message: it has no type");
  EXPECT_EQ(parsed(R"({"type":1})"), "bad_message: it has no type");
  EXPECT_EQ(parsed(R"({"type":"quit"})"), "bad_message: its type is unknown");
  EXPECT_EQ(parsed(R"({"type":"join","text":"alice"})"), "bad_message: it has no nick");
  EXPECT_EQ(parsed(R"({"type":"message","text":1})"), "bad_message: it has no text");
}

}  // namespace
}  // namespace coax::chat
