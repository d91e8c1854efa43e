// The wires: an event in, the literal bytes of each wire out; and the messages of a JSON client.
#include "services/chat/wire.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "services/chat/event_record.hpp"
#include "services/chat/json_wire.hpp"
#include "services/chat/line_wire.hpp"

namespace coax::chat::wire_test {
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

std::string json_of(std::string_view room, const Event& event) {
  std::string json;
  append_event_json(json, room, event);
  return json;
}

TEST(JsonWire, events_of_other_rooms_name_them) {
  constexpr std::string_view time = R"("time":"2026-11-21T10:00:00.123Z","nick":"a")";
  Event event{.sequence = 7, .time = at_ten, .nick = "a", .text = "x", .id = "c\"1"};
  EXPECT_EQ(json_of("dev", event),
            fmt::format(R"({{"type":"message","seq":7,{},"text":"x","room":"dev","id":"c\"1"}})", time));
  event = {.sequence = 8, .time = at_ten, .kind = EventKind::edited, .nick = "a", .text = "y", .target = 7};
  EXPECT_EQ(json_of("dev", event),
            fmt::format(R"({{"type":"edited","seq":8,{},"text":"y","room":"dev","target":7}})", time));
  event = {.sequence = 9, .time = at_ten, .kind = EventKind::deleted, .nick = "a", .target = 7};
  EXPECT_EQ(json_of(lobby, event), fmt::format(R"({{"type":"deleted","seq":9,{},"target":7}})", time));
  event = {.sequence = 9, .time = at_ten, .kind = EventKind::topic, .nick = "a", .text = ""};
  EXPECT_EQ(json_of(lobby, event), fmt::format(R"({{"type":"topic","seq":9,{},"text":""}})", time));
  event = {.sequence = 9, .time = at_ten, .kind = EventKind::renamed, .nick = "a", .text = "b", .member = 5};
  EXPECT_EQ(json_of(lobby, event), fmt::format(R"({{"type":"renamed","seq":9,{},"to":"b"}})", time));
  event = {.sequence = 9, .time = at_ten, .kind = EventKind::direct, .nick = "a", .text = "x", .to = "b", .person = 3};
  EXPECT_EQ(json_of(lobby, event), fmt::format(R"({{"type":"direct",{},"to":"b","text":"x"}})", time));
  event = {.sequence = 7, .time = at_ten, .nick = "a", .text = "y", .person = 9, .is_edited = true};
  EXPECT_EQ(json_of(lobby, event), fmt::format(R"({{"type":"message","seq":7,{},"text":"y","edited":true}})", time));
}

TEST(LineWire, events_of_other_rooms_name_them) {
  std::string lines;
  for (const EventKind kind : {EventKind::joined, EventKind::said, EventKind::edited, EventKind::deleted,
                               EventKind::topic, EventKind::renamed, EventKind::direct}) {
    append_line(lines, "dev", {.kind = kind, .nick = "a", .text = "x", .to = "b"});
  }
  append_line(lines, lobby, {.kind = EventKind::topic, .nick = "a"});
  EXPECT_EQ(lines,
            "[dev] a joined the chat!\n[dev] a: x\n* [dev] a edited a message: x\n* [dev] a deleted a message\n"
            "* [dev] a set the topic: x\n[dev] a is now x\n* [dev] a to b: x\n* a removed the topic\n");
}

// What the bus keeps.
TEST(EventRecord, has_all_of_an_event_but_its_number_and_time) {
  const Event all{.sequence = 5,
                  .time = at_ten,
                  .kind = EventKind::edited,
                  .nick = "Ζωή",
                  .text = "\"x\"\\",
                  .to = "b",
                  .id = "1",
                  .target = 3,
                  .member = 0xFEDCBA9876543210,
                  .person = 1,
                  .is_edited = true};
  EXPECT_EQ(event_of({.sequence = 5, .time = at_ten, .body = body_of(all)}), all);
  EXPECT_EQ(body_of({.nick = "a", .text = "hello"}), R"({"kind":"said","nick":"a","text":"hello"})");
  for (const char* body : {"", "x", "[]", "{}", R"({"kind":"nonsense"})", R"({"kind":5})"}) {
    EXPECT_FALSE(event_of({.body = body})) << body;
  }
  const auto odd = event_of({.body = R"({"kind":"said","nick":5,"target":-1,"person":"zz"})"});
  EXPECT_EQ(odd, Event());
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

TEST(ClientMessage, an_answer_to_a_wrong_one_has_its_ref) {
  EXPECT_EQ(reference_of(R"({"type":7,"ref":"r"})").ref, "\"r\"");
  EXPECT_EQ(reference_of(R"({"ref":[1]})").ref, "[1]");
  for (const std::string& json : {std::string("["), std::string("[]"), R"({"ref":")" + std::string(300, 'x') + "\"}"}) {
    EXPECT_EQ(reference_of(json).ref, "") << json;
  }
}

TEST(ClientMessage, after_0_is_not_the_newest_page) {
  EXPECT_EQ(parse_client_message(R"({"type":"history","after":0})")->after, 0U);
  EXPECT_FALSE(parse_client_message(R"({"type":"history"})")->after);
  EXPECT_EQ(parsed("{\"type\":\"message\",\"text\":\"x\",\"id\":\"a\\u0007\"}"),
            "bad_message: its id has control characters");
}

TEST(ClientMessage, version_2_has_more_members) {
  const auto message = parse_client_message(
      R"({"type":"history","room":"dev","before":9,"after":2,"limit":5,"ref":{"a":1},"id":"c","to":"b","seq":3})");
  ASSERT_TRUE(message);
  EXPECT_EQ(message->type, ClientMessage::Type::history);
  EXPECT_EQ(message->room + message->id + message->to + message->ref, R"(devcb{"a":1})");
  EXPECT_EQ((std::array{message->before, message->after.value_or(0), message->limit, message->seq}),
            (std::array<std::uint64_t, 4>{9, 2, 5, 3}));
  EXPECT_EQ(parsed(R"({"type":"join","room":"dev"})"), "join ");
  EXPECT_EQ(parsed(R"({"type":"history","limit":1.5})"),
            "bad_message: its limit is not a whole number from 0 to 2^63 - 1");
  EXPECT_EQ(parsed(R"({"type":"history","after":-1})"),
            "bad_message: its after is not a whole number from 0 to 2^63 - 1");
  EXPECT_EQ(parsed(R"({"type":"history","before":99999999999999999999})"),
            "bad_message: its before is not a whole number from 0 to 2^63 - 1");
  EXPECT_EQ(parsed(R"({"type":"rooms","room":5})"), "bad_message: its room is not a string of at most 256 bytes");
  EXPECT_EQ(parsed(R"({"type":"rooms","ref":")" + std::string(300, 'x') + "\"}"),
            "bad_message: its ref has more than 256 bytes");
  EXPECT_EQ(parsed(R"({"type":"edit","seq":1})"), "bad_message: it has no text");
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
}  // namespace coax::chat::wire_test
