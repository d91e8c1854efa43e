// A room's state as a fold over its events: events in, state out.
#include "services/chat/room_state.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace coax::chat::room_state_test {
namespace {

Event joined(std::uint64_t sequence, std::string nick) {
  return {.sequence = sequence, .kind = EventKind::joined, .nick = std::move(nick)};
}

Event said(std::uint64_t sequence, std::string nick, std::string text) {
  return {.sequence = sequence, .kind = EventKind::said, .nick = std::move(nick), .text = std::move(text)};
}

Event left(std::uint64_t sequence, std::string nick) {
  return {.sequence = sequence, .kind = EventKind::left, .nick = std::move(nick)};
}

RoomState fold(const std::vector<Event>& events) {
  RoomState state;
  for (const Event& event : events) state.apply(event);
  return state;
}

std::vector<std::string> nicks(const RoomState& state) {
  std::vector<std::string> result;
  for (const auto& [nick, member] : state.members()) result.push_back(nick);
  return result;
}

// "" when it may join.
std::string refusal(const RoomState& state, const std::string& nick) {
  const auto refused = state.refuse_join(nick, nick_keys(nick));
  return refused ? refused->text : "";
}

using Nicks = std::vector<std::string>;

TEST(RoomState, of_no_events_is_empty) {
  const RoomState state;
  EXPECT_EQ(state.sequence(), 0U);
  EXPECT_EQ(nicks(state), Nicks{});
}

TEST(RoomState, joined_adds_a_member_and_left_removes_it) {
  RoomState state = fold({joined(1, "bob"), joined(2, "alice")});
  EXPECT_EQ(nicks(state), (Nicks{"alice", "bob"}));
  EXPECT_EQ(state.sequence(), 2U);
  EXPECT_TRUE(state.apply(left(3, "bob")));
  EXPECT_EQ(nicks(state), Nicks{"alice"});
  EXPECT_EQ(state.sequence(), 3U);
}

TEST(RoomState, said_advances_the_sequence_alone) {
  const RoomState state = fold({joined(1, "alice"), said(2, "alice", "hello")});
  EXPECT_EQ(nicks(state), Nicks{"alice"});
  EXPECT_EQ(state.sequence(), 2U);
}

TEST(RoomState, event_applied_before_changes_nothing) {
  RoomState state = fold({joined(1, "alice"), joined(2, "bob"), left(3, "alice")});
  const RoomState before = state;
  EXPECT_FALSE(state.apply(joined(1, "alice")));
  EXPECT_FALSE(state.apply(left(3, "alice")));
  EXPECT_EQ(state, before);
}

TEST(RoomState, sequence_may_have_gaps) {
  EXPECT_EQ(fold({joined(5, "alice"), left(9, "alice"), joined(12, "bob")}), fold({joined(12, "bob")}));
}

TEST(RoomState, left_of_a_stranger_leaves_the_members) {
  EXPECT_EQ(fold({joined(1, "alice"), left(2, "bob")}), fold({joined(1, "alice"), said(2, "alice", "hello")}));
}

TEST(RoomState, second_joined_of_a_member_adds_nothing) {
  EXPECT_EQ(fold({joined(1, "alice"), joined(2, "alice"), left(3, "alice")}), fold({said(3, "alice", "hello")}));
}

TEST(RoomState, refuses_a_nickname_that_is_taken_or_looks_so) {
  const RoomState state = fold({joined(1, "alice")});
  EXPECT_EQ(refusal(state, "alice"), "the nickname alice is taken");
  EXPECT_EQ(refusal(state, "aIice"), "the nickname aIice is taken: it looks like alice");
  EXPECT_EQ(refusal(state, "bob"), "");
}

TEST(RoomState, accepts_a_nickname_again_after_it_left) {
  const RoomState state = fold({joined(1, "alice"), left(2, "alice")});
  EXPECT_EQ(refusal(state, "alice"), "");
  EXPECT_EQ(refusal(state, "ALICE"), "");
}

}  // namespace
}  // namespace coax::chat::room_state_test
