// A live room: decisions, one order, and a state that is a fold over the events that its members receive.
#include "services/chat/room.hpp"

#include <boost/json.hpp>
#include <list>
#include <vector>

#include "coax/test/random.hpp"
#include "services/chat/event_record.hpp"
#include "tests/chat/client.hpp"
#include "tests/support/run.hpp"

namespace coax::chat::room_test {
namespace {

using test::run;

std::string refusal(const std::expected<void, Refusal>& result) {
  return result ? "" : std::string(result.error().code);
}

TEST(Room, members_read_its_events_from_their_own_joined_on) {
  run([]() -> Task<> {
    Room room("lobby");
    Client alice;
    Client bob;
    EXPECT_TRUE(co_await alice.session.join(room, "alice"));
    alice.session.member_of(room)->say("anyone?");
    EXPECT_TRUE(co_await bob.session.join(room, "bob"));
    bob.session.member_of(room)->say("me");
    EXPECT_EQ(room.size(), 2U);
    EXPECT_EQ(co_await bob.leave_and_read(), "bob joined the chat!\nbob: me\n");
    EXPECT_EQ(co_await alice.leave_and_read(),
              "alice joined the chat!\nalice: anyone?\nbob joined the chat!\nbob: me\nbob left the chat!\n");
    EXPECT_EQ(room.size(), 0U);
    EXPECT_EQ(room.state().sequence(), 6U);
  });
}

TEST(Room, refused_join_changes_nothing) {
  run([]() -> Task<> {
    Room room("lobby");
    Client alice;
    Client other(websocket);
    EXPECT_TRUE(co_await alice.session.join(room, "alice"));
    const RoomState before = room.state();
    EXPECT_EQ(refusal(co_await other.session.join(room, "aIice")), "nick_taken");
    EXPECT_EQ(room.state(), before);
    EXPECT_EQ(other.session.member_of(room), nullptr);
    EXPECT_EQ(other.session.outbox().bytes(), 0U);
    EXPECT_TRUE(co_await other.session.join(room, "bob"));
    co_return;
  });
}

TEST(Room, that_drains_refuses_a_join) {
  run([]() -> Task<> {
    Room room("lobby");
    Client alice;
    room.drain();
    EXPECT_EQ(refusal(co_await alice.session.join(room, "alice")), "shutting_down");
    co_return;
  });
}

TEST(Room, event_of_another_machine_reaches_the_members_once) {
  run([]() -> Task<> {
    const auto subject = memory_subject();
    Room room("lobby", subject);
    Client alice;
    EXPECT_TRUE(co_await alice.session.join(room, "alice"));
    const Event event{.kind = EventKind::said, .nick = "bob", .text = "from elsewhere"};
    co_await subject->publish({.id = "bob/1", .body = body_of(event)});
    co_await subject->publish({.id = "bob/1", .body = body_of(event)});
    alice.session.member_of(room)->say("hello");
    EXPECT_EQ(room.state().sequence(), 3U);
    EXPECT_EQ(co_await alice.leave_and_read(), "alice joined the chat!\nbob: from elsewhere\nalice: hello\n");
  });
}

// The events that a JSON client has received, without the welcome and the times.
std::vector<Event> events_of(std::string_view bytes) {
  std::vector<Event> events;
  while (!bytes.empty()) {
    std::size_t size = static_cast<unsigned char>(bytes[1]);
    std::size_t header = 2;
    if (size == 126) {
      size = (static_cast<unsigned char>(bytes[2]) * 256U) + static_cast<unsigned char>(bytes[3]);
      header = 4;
    }
    const boost::json::value json = boost::json::parse(boost::json::string_view(bytes.substr(header, size)));
    bytes.remove_prefix(header + size);
    const auto text = [&](const char* name) { return std::string(json.at(name).as_string()); };
    const std::string type = text("type");
    if (type == "welcome") continue;
    const EventKind kind = type == "joined" ? EventKind::joined : type == "left" ? EventKind::left : EventKind::said;
    events.push_back({.sequence = json.at("seq").to_number<std::uint64_t>(),
                      .time = {},
                      .kind = kind,
                      .nick = text("nick"),
                      .text = kind == EventKind::said ? text("text") : ""});
  }
  return events;
}

// Joins, messages and leaves at random; nicknames are reused, and some look like others.
Task<> live(Room& room, std::list<Client>& clients, test::Random& random) {
  const std::vector<std::string> nicks = {"alice", "aIice", "ALICE", "bob", "Ζωή", "Straße", "日本語", "carol"};
  for (std::size_t step = 0; step < 200; ++step) {
    const std::size_t action = random.below(3);
    if (action == 0) {
      Client& client = clients.emplace_back(random.one_in(2) ? line : websocket);
      if (!co_await client.session.join(room, nicks[random.below(nicks.size())])) clients.pop_back();
    } else if (!clients.empty()) {
      const auto client = std::next(clients.begin(), static_cast<std::ptrdiff_t>(random.below(clients.size())));
      if (action == 1) {
        client->session.member_of(room)->say(std::string(random.between(1, 300), 'x'));
      } else {
        clients.erase(client);
      }
    }
  }
}

TEST(Room, replay_of_its_events_restores_the_same_state) {
  test::Random random;
  for (int round = 0; round < 50; ++round) {
    run([&]() -> Task<> {
      Room room("lobby");
      Client recorder(websocket);
      EXPECT_TRUE(co_await recorder.session.join(room, "recorder"));
      std::list<Client> clients;
      co_await live(room, clients, random);
      const RoomState state = room.state();
      std::vector<std::string> expected{"recorder"};
      for (Client& client : clients) expected.push_back(client.session.member_of(room)->nick());
      std::ranges::sort(expected);
      std::vector<std::string> members;
      for (const auto& [nick, member] : state.members()) members.push_back(nick);
      EXPECT_EQ(members, expected);

      const std::vector<Event> events = events_of(co_await recorder.leave_and_read());
      EXPECT_EQ(events.size(), state.sequence());
      RoomState copy;
      for (std::size_t index = 0; index < events.size(); ++index) {
        copy.apply(events[index]);
        if (random.one_in(4)) copy.apply(events[random.below(index + 1)]);  // delivered again
      }
      EXPECT_EQ(copy.sequence(), state.sequence());
      std::vector<std::string> members_of_copy;  // whose ids are not for other members
      for (const auto& [nick, member] : copy.members()) members_of_copy.push_back(nick);
      EXPECT_EQ(members_of_copy, members);
    });
  }
}

}  // namespace
}  // namespace coax::chat::room_test
