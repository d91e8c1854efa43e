// One session in several rooms.
#include "services/chat/session.hpp"

#include <algorithm>
#include <atomic>
#include <ranges>
#include <vector>

#include "tests/chat/client.hpp"
#include "tests/support/run.hpp"

namespace coax::chat::session_test {
namespace {

using test::run;

// The lines that begin with one of the nicknames, in their order, without the names of the rooms.
std::string lines_of(std::string_view text, const std::vector<std::string>& nicks) {
  std::string result;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n') + 1);
    text.remove_prefix(line.size());
    if (line.starts_with('[')) line.remove_prefix(line.find(' ') + 1);
    if (std::ranges::any_of(nicks, [&](const std::string& nick) {
          return line.starts_with(nick + " ") || line.starts_with(nick + ": ");
        })) {
      result.append(line);
    }
  }
  return result;
}

// In each room the two have different nicknames, which distinguish the lines of the rooms.
const std::vector<std::string> in_news = {"alice", "bob"};
const std::vector<std::string> in_games = {"queen", "king"};

class SessionInTwoRooms : public ::testing::Test {
 protected:
  // Alice and Bob join both rooms.
  Task<> join_all() {
    EXPECT_TRUE(co_await alice->session.join(news, "alice"));
    EXPECT_TRUE(co_await alice->session.join(games, "queen"));
    EXPECT_TRUE(co_await bob.session.join(news, "bob"));
    EXPECT_TRUE(co_await bob.session.join(games, "king"));
  }
  void bob_says(Room& room, std::string_view text) { bob.session.member_of(room)->say(text); }

  Room news{"news"};
  Room games{"games"};
  Client bob;
  std::optional<Client> alice{std::in_place};
};

TEST_F(SessionInTwoRooms, reads_each_room_in_its_order) {
  run([this]() -> Task<> {
    co_await join_all();
    for (const std::string_view text : {"1", "2", "3"}) {
      bob_says(news, text);
      bob_says(games, text);
      co_await test::next_turn();
    }
    const std::string text = co_await alice->leave_and_read();
    EXPECT_EQ(lines_of(text, in_news), "alice joined the chat!\nbob joined the chat!\nbob: 1\nbob: 2\nbob: 3\n");
    EXPECT_EQ(lines_of(text, in_games), "queen joined the chat!\nking joined the chat!\nking: 1\nking: 2\nking: 3\n");
    bob.session.leave_all();
  });
}

TEST_F(SessionInTwoRooms, leaves_one_and_stays_in_the_other) {
  run([this]() -> Task<> {
    co_await join_all();
    bob_says(news, "1");
    bob_says(games, "1");
    alice->session.leave(news);
    EXPECT_EQ(alice->session.member_of(news), nullptr);
    EXPECT_NE(alice->session.member_of(games), nullptr);
    bob_says(news, "2");
    bob_says(games, "2");
    alice->session.member_of(games)->say("still here");
    EXPECT_EQ(news.size(), 1U);
    EXPECT_EQ(games.size(), 2U);
    const std::string text = co_await alice->leave_and_read();
    EXPECT_EQ(lines_of(text, in_news), "alice joined the chat!\nbob joined the chat!\nbob: 1\n");
    EXPECT_EQ(lines_of(text, in_games),
              "queen joined the chat!\nking joined the chat!\nking: 1\nking: 2\nqueen: still here\n");
    EXPECT_EQ(lines_of(co_await bob.leave_and_read(), {"alice", "queen"}),
              "alice left the chat!\nqueen: still here\nqueen left the chat!\n");
  });
}

TEST_F(SessionInTwoRooms, end_leaves_both) {
  run([this]() -> Task<> {
    co_await join_all();
    alice.reset();
    EXPECT_EQ(news.size(), 1U);
    EXPECT_EQ(games.size(), 1U);
    EXPECT_EQ(lines_of(co_await bob.leave_and_read(), {"alice", "queen"}),
              "alice left the chat!\nqueen left the chat!\n");
  });
}

TEST_F(SessionInTwoRooms, joins_a_room_once) {
  run([this]() -> Task<> {
    co_await join_all();
    const auto again = co_await alice->session.join(news, "carol");
    EXPECT_EQ(again.error().code, "already_joined");
    EXPECT_EQ(news.size(), 2U);
    alice->session.leave(news);
    EXPECT_TRUE(co_await alice->session.join(news, "carol"));
    bob.session.leave_all();
    alice.reset();
    co_return;
  });
}

TEST_F(SessionInTwoRooms, reply_follows_what_both_have_published) {
  run([this]() -> Task<> {
    co_await join_all();
    bob_says(games, "1");
    bob_says(news, "1");
    alice->session.reply("error: no\n");
    bob_says(news, "2");
    const std::string text = co_await alice->leave_and_read();
    const std::size_t reply = text.find("error: no\n");
    EXPECT_LT(text.find("king: 1\n"), reply);
    EXPECT_LT(text.find("bob: 1\n"), reply);
    EXPECT_EQ(text.substr(reply), "error: no\n[news] bob: 2\n");
    bob.session.leave_all();
  });
}

TEST_F(SessionInTwoRooms, has_one_budget) {
  run([this]() -> Task<> {
    EXPECT_TRUE(alice->session.consume_budget(4000));
    EXPECT_TRUE(alice->session.consume_budget(96));
    EXPECT_FALSE(alice->session.consume_budget(100));
    EXPECT_TRUE(bob.session.consume_budget(4096));
    co_return;
  });
}

TEST_F(SessionInTwoRooms, outbox_finishes_when_the_last_room_has_closed) {
  run([this]() -> Task<> {
    co_await join_all();
    bob.session.leave(news);
    const auto close_one_by_one = [&]() -> Task<> {
      news.drain();
      alice->session.retire();  // closes the news; in the games Bob has not retired
      for (int turn = 0; turn < 5; ++turn) co_await test::next_turn();
      bob_says(games, "last");
      games.drain();
      bob.session.retire();
    };
    auto [text, nothing] = co_await all(alice->read_to_end(), close_one_by_one());
    EXPECT_EQ(lines_of(text, in_games), "queen joined the chat!\nking joined the chat!\nking: last\n");
    bob.session.leave_all();
    alice.reset();
  });
}

// Two sessions in two rooms, each on a loop of its own.
struct Crossfire {
  Room news{"news"};
  Room games{"games"};
  std::atomic<int> joined = 0;
  std::atomic<int> speaking = 2;

  // The last one to end closes the rooms.
  Task<> speak(std::string nick_in_news, std::string nick_in_games, std::string& text) {
    Client client;
    EXPECT_TRUE(co_await client.session.join(news, std::move(nick_in_news)));
    EXPECT_TRUE(co_await client.session.join(games, std::move(nick_in_games)));
    ++joined;
    while (joined < 2) co_await test::next_turn();
    for (int number = 0; number < 5000; ++number) {
      client.session.member_of(news)->say(std::to_string(number));
      client.session.member_of(games)->say(std::to_string(number));
      if (number % 500 == 0) co_await test::next_turn();
    }
    if (--speaking == 0) {
      news.close();
      games.close();
    }
    text = co_await client.read_to_end();
  }
};

TEST(Session, on_two_loops_has_one_order_in_each_room) {
  run(
      []() -> Task<> {
        Crossfire both;
        std::string alice;
        std::string bob;
        Loop& there = *Loop::current().together()[1];
        co_await all(both.speak("alice", "queen", alice), run_on(there, both.speak("bob", "king", bob)));
        EXPECT_EQ(both.news.state().sequence(), 10'004U) << "two joined, two left";
        for (const std::vector<std::string>& room : {in_news, in_games}) {
          const std::vector<std::string> speakers = {room[0] + ":", room[1] + ":"};
          const std::string order = lines_of(alice, speakers);
          EXPECT_EQ(std::ranges::count(order, '\n'), 10'000);
          EXPECT_EQ(lines_of(bob, speakers), order);
        }
      },
      {.threads = 2});
}

}  // namespace
}  // namespace coax::chat::session_test
