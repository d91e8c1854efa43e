// A live room: decisions, one order, and a state that is a fold over the events that its members receive.
#include "services/chat/room.hpp"

#include <boost/json.hpp>
#include <list>
#include <vector>

#include "coax/test/random.hpp"
#include "tests/chat/client.hpp"
#include "tests/support/run.hpp"

namespace coax::chat {
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
    EXPECT_TRUE(alice.session.join(room, "alice"));
    alice.session.member_of(room)->say("anyone?");
    EXPECT_TRUE(bob.session.join(room, "bob"));
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
    EXPECT_TRUE(alice.session.join(room, "alice"));
    const RoomState before = room.state();
    EXPECT_EQ(refusal(other.session.join(room, "aIice")), "nick_taken");
    EXPECT_EQ(room.state(), before);
    EXPECT_EQ(other.session.member_of(room), nullptr);
    EXPECT_EQ(other.session.outbox().bytes(), 0U);
    EXPECT_TRUE(other.session.join(room, "bob"));
    co_return;
  });
}

TEST(Room, that_drains_refuses_a_join) {
  run([]() -> Task<> {
    Room room("lobby");
    Client alice;
    room.drain();
    EXPECT_EQ(refusal(alice.session.join(room, "alice")), "shutting_down");
    co_return;
  });
}

TEST(Room, applied_event_reaches_the_members_once) {
  run([]() -> Task<> {
    Room room("lobby");
    Client alice;
    EXPECT_TRUE(alice.session.join(room, "alice"));
    const Event event{.sequence = 7, .time = {}, .kind = EventKind::said, .nick = "bob", .text = "from elsewhere"};
    room.apply(event);
    room.apply(event);
    alice.session.member_of(room)->say("hello");
    EXPECT_EQ(room.state().sequence(), 8U);
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
void live(Room& room, std::list<Client>& clients, test::Random& random) {
  const std::vector<std::string> nicks = {"alice", "aIice", "ALICE", "bob", "Ζωή", "Straße", "日本語", "carol"};
  for (std::size_t step = 0; step < 200; ++step) {
    const std::size_t action = random.below(3);
    if (action == 0) {
      Client& client = clients.emplace_back(random.one_in(2) ? line : websocket);
      if (!client.session.join(room, nicks[random.below(nicks.size())])) clients.pop_back();
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
      EXPECT_TRUE(recorder.session.join(room, "recorder"));
      std::list<Client> clients;
      live(room, clients, random);
      const RoomState state = room.state();
      std::vector<std::string> expected{"recorder"};
      for (Client& client : clients) expected.push_back(client.session.member_of(room)->nick());
      std::ranges::sort(expected);
      std::vector<std::string> members;
      for (const std::string& nick : state.members()) members.push_back(nick);
      EXPECT_EQ(members, expected);

      const std::vector<Event> events = events_of(co_await recorder.leave_and_read());
      EXPECT_EQ(events.size(), state.sequence());
      Room copy("copy");
      for (std::size_t index = 0; index < events.size(); ++index) {
        copy.apply(events[index]);
        if (random.one_in(4)) copy.apply(events[random.below(index + 1)]);  // delivered again
      }
      EXPECT_EQ(copy.state(), state);
    });
  }
}

}  // namespace
}  // namespace coax::chat
