// Rooms on a bus: what is kept, messages that are published once, edits, topics, direct messages, and the commands of
// the line protocol.
#include "services/chat/rooms.hpp"

#include <functional>
#include <vector>

#include "coax/bus/memory_bus.hpp"
#include "coax/store/bus.hpp"
#include "services/chat/line_command.hpp"
#include "services/chat/line_wire.hpp"
#include "tests/chat/client.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/run.hpp"

namespace coax::chat::rooms_test {
namespace {

using test::run;

Task<std::shared_ptr<Bus>> on_disk(std::string path) {
  co_return co_await store::sqlite_bus(co_await store::Database::open(std::move(path)));
}

RoomsOptions disk_options() {
  RoomsOptions options;
  options.history.durability = Durability::disk;
  return options;
}

// With both buses.
void check(const std::function<Task<>(Rooms&)>& body) {
  run([&]() -> Task<> {
    {
      Rooms rooms(std::make_shared<MemoryBus>());
      co_await rooms.open();
      co_await body(rooms);
    }
    Rooms rooms(co_await on_disk(":memory:"), disk_options());
    co_await rooms.open();
    co_await body(rooms);
  });
}

std::string code_of(const auto& result) { return result ? "" : std::string(result.error().code); }

Task<Receipt> say(Room& room, Speech speech) {
  Promise<Receipt> promise;
  const auto receipt = promise.future();
  room.say(std::move(speech), [promise = std::move(promise)](Subject::Outcome outcome) mutable {
    outcome ? promise.set(*outcome) : promise.fail(outcome.error());
  });
  co_return co_await receipt;
}

std::string texts_of(const Room::Page& page) {
  std::string all;
  for (const Event& event : page.events) append_line(all, lobby, event);
  return all;
}

// A person of the line protocol who is in the lobby.
struct Guest : Client {
  Task<> enter(Rooms& given, std::string nick) {
    rooms = &given;
    current = &given.lobby();
    EXPECT_TRUE(co_await session.join(given.lobby(), std::move(nick)));
    given.attach(session);
  }
  Task<std::string> command(std::string text) { return run_command(*rooms, session, current, std::move(text)); }

  Rooms* rooms = nullptr;
  Room* current = nullptr;
};

}  // namespace

TEST(RoomName, is_lower_case_and_has_no_marks) {
  EXPECT_EQ(check_room_name("Dev"), "dev");
  EXPECT_EQ(check_room_name("#Straße-2"), "strasse-2");
  for (const std::string_view name : {"", "#", "a b", "a/b", "a,b", "[a]", "##a", "a\tb", "\xFF", "a\x1b"}) {
    EXPECT_EQ(code_of(check_room_name(name)), "room_invalid") << name;
  }
  EXPECT_EQ(code_of(check_room_name(std::string(33, 'a'))), "room_invalid");
}

TEST(Rooms, a_message_with_an_id_is_accepted_once_for_each_person) {
  check([](Rooms& rooms) -> Task<> {
    Room& room = rooms.lobby();
    const Receipt first = co_await say(room, {.nick = "alice", .text = "hello", .id = "1", .person = 7});
    const Receipt again = co_await say(room, {.nick = "alice2", .text = "hello", .id = "1", .person = 7});
    EXPECT_TRUE(again.is_duplicate);
    EXPECT_EQ(again.sequence, first.sequence);
    EXPECT_FALSE((co_await say(room, {.nick = "bob", .text = "hi", .id = "1", .person = 8})).is_duplicate);
    EXPECT_EQ(texts_of(co_await room.read({})), "alice: hello\nbob: hi\n");
  });
}

TEST(Rooms, the_author_alone_edits_and_deletes) {
  check([](Rooms& rooms) -> Task<> {
    Room& room = rooms.lobby();
    const std::uint64_t seq = (co_await say(room, {.nick = "alice", .text = "helo", .person = 7})).sequence;
    co_await say(room, {.nick = "bob", .text = "hi"});
    EXPECT_EQ(code_of(co_await room.edit({.nick = "bob", .text = "x", .person = 8}, seq)), "not_yours");
    EXPECT_EQ(code_of(co_await room.edit({.nick = "bob", .text = "x", .person = 0}, seq + 1)), "not_yours");
    EXPECT_EQ(code_of(co_await room.edit({.nick = "alice", .text = "x", .person = 7}, seq + 9999)), "no_message");
    EXPECT_EQ(code_of(co_await room.edit({.nick = "alice", .text = "hello", .person = 7}, seq)), "");
    EXPECT_EQ(texts_of(co_await room.read({})), "alice: hello\nbob: hi\n* alice edited a message: hello\n");
    EXPECT_TRUE((co_await room.read({})).events[0].is_edited);
    EXPECT_EQ(code_of(co_await room.edit({.nick = "alice", .text = "hello!", .person = 7}, seq)), "");
    EXPECT_EQ(texts_of(co_await room.read({})),  // the text of the first edit is gone
              "alice: hello!\nbob: hi\n* alice edited a message: hello!\n* alice edited a message: hello!\n");
    EXPECT_EQ(texts_of(co_await room.search("hello", {})), "alice: hello!\n");
    EXPECT_EQ(code_of(co_await room.edit({.nick = "alice", .text = "", .person = 7}, seq)), "");
    EXPECT_EQ(texts_of(co_await room.search("hello", {})), "");
    EXPECT_EQ(texts_of(co_await room.read({})), "bob: hi\n* alice deleted a message\n");
    EXPECT_EQ(code_of(co_await room.edit({.nick = "alice", .text = "again", .person = 7}, seq)), "no_message");
  });
}

TEST(Rooms, pages_of_deleted_messages_have_a_successor) {
  check([](Rooms& rooms) -> Task<> {
    Room& room = rooms.lobby();
    const std::uint64_t first = (co_await say(room, {.nick = "alice", .text = "a", .person = 7})).sequence;
    const std::uint64_t second = (co_await say(room, {.nick = "alice", .text = "b", .person = 7})).sequence;
    co_await say(room, {.nick = "alice", .text = "c", .person = 7});
    for (const std::uint64_t seq : {first, second}) {
      EXPECT_EQ(code_of(co_await room.edit({.nick = "alice", .text = "", .person = 7}, seq)), "");
    }
    const Room::Page page = co_await room.read({.count_max = 2});
    EXPECT_EQ(texts_of(page), "");
    EXPECT_TRUE(page.is_full);
    EXPECT_EQ((std::pair{page.from, page.until}), (std::pair{first, second}));
    const Room::Page next = co_await room.read({.after = page.until, .count_max = 10});
    EXPECT_EQ(texts_of(next), "alice: c\n* alice deleted a message\n* alice deleted a message\n");
    EXPECT_FALSE(next.is_full);
  });
}

TEST(Rooms, a_member_that_keeps_its_nickname_is_not_renamed) {
  check([](Rooms& rooms) -> Task<> {
    Guest alice;
    co_await alice.enter(rooms, "alice");
    EXPECT_EQ(co_await alice.command("nick alice"), "");
    EXPECT_EQ(co_await alice.leave_and_read(), "alice joined the chat!\n");
  });
}

TEST(Rooms, outlive_the_hub_on_disk) {
  const test::Folder folder;
  run([&]() -> Task<> {
    {
      Rooms rooms(co_await on_disk(folder.path("hub.db")), disk_options());
      co_await rooms.open();
      const auto dev = co_await rooms.find("dev");
      EXPECT_TRUE(dev);
      co_await say(**dev, {.nick = "alice", .text = "kept"});
      co_await rooms.set_topic(**dev, {.nick = "alice", .text = "first"});
      co_await rooms.set_topic(**dev, {.nick = "alice", .text = "work"});
    }
    Rooms rooms(co_await on_disk(folder.path("hub.db")), disk_options());
    co_await rooms.open();
    const auto list = rooms.list();
    EXPECT_EQ(list.size(), 1U);
    EXPECT_EQ(list.back().name, "dev");
    EXPECT_EQ(list.back().topic, "work");
    EXPECT_EQ(list.back().members, 0U);
    const auto dev = co_await rooms.find("dev");
    EXPECT_EQ(texts_of(co_await (*dev)->read({})),
              "alice: kept\n* alice set the topic: first\n* alice set the topic: work\n");
    EXPECT_EQ((*dev)->size(), 0U);
  });
}

TEST(Rooms, with_a_history_stay_listed_when_there_are_as_many_as_may_be) {
  const test::Folder folder;
  run([&]() -> Task<> {
    RoomsOptions options = disk_options();
    {
      Rooms rooms(co_await on_disk(folder.path("hub.db")), options);
      co_await rooms.open();
      co_await say(**co_await rooms.find("kept"), {.nick = "alice", .text = "hello"});
      EXPECT_TRUE(co_await rooms.find("empty"));
    }
    options.rooms_max = 3;
    Rooms rooms(co_await on_disk(folder.path("hub.db")), options);
    co_await rooms.open();
    std::vector<std::shared_ptr<Room>> held;
    for (int i = 0; i < 20; ++i) {
      if (auto room = co_await rooms.find("new" + std::to_string(i))) held.push_back(*room);
    }
    EXPECT_EQ(held.size(), 1U);  // beside the lobby and "kept"
    EXPECT_EQ(rooms.list().front().name, "kept");
  });
}

TEST(Rooms, that_were_never_used_make_room_for_others) {
  run([]() -> Task<> {
    RoomsOptions options;
    options.rooms_max = 3;
    Rooms rooms(std::make_shared<MemoryBus>(), options);
    co_await rooms.open();
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(co_await rooms.find("empty" + std::to_string(i)));
    Guest alice;
    co_await alice.enter(rooms, "alice");
    const auto used = co_await rooms.find("used");
    co_await say(**used, {.nick = "alice", .text = "x"});
    EXPECT_EQ((co_await alice.command("join mine")).substr(0, 20), "* you talk in mine n");
    EXPECT_EQ(code_of(co_await rooms.find("one-more")), "too_many_rooms");
    EXPECT_EQ(rooms.list().size(), 3U);
    alice.session.leave_all();
  });
}

// Both are refused in the same way, and only one of them has the nickname, when they join at the same time.
TEST(Rooms, a_nickname_is_for_the_first_of_two_who_join_at_once) {
  check([](Rooms& rooms) -> Task<> {
    Client one;
    Client two;
    auto [first, second] =
        co_await all(one.session.join(rooms.lobby(), "alice"), two.session.join(rooms.lobby(), "aIice"));
    EXPECT_EQ(code_of(first), "");
    EXPECT_EQ(code_of(second), "nick_taken");
    EXPECT_EQ(rooms.lobby().size(), 1U);
    EXPECT_EQ(co_await one.leave_and_read(), "alice joined the chat!\n");
    EXPECT_EQ(co_await two.leave_and_read(), "");
  });
}

TEST(LineCommand, a_member_talks_in_several_rooms) {
  check([](Rooms& rooms) -> Task<> {
    Guest alice;
    Guest bob;
    co_await alice.enter(rooms, "alice");
    co_await bob.enter(rooms, "bob");
    EXPECT_EQ(co_await alice.command("join #Dev"), "* you talk in dev now, 1 here\n");
    EXPECT_EQ(co_await bob.command("join dev"), "* you talk in dev now, 2 here\n");
    EXPECT_EQ(co_await alice.command("who"), "* in dev: alice, bob\n");
    EXPECT_EQ(co_await alice.command("topic  work only "), "");
    EXPECT_EQ(co_await bob.command("topic"), "* the topic of dev: work only\n");
    EXPECT_EQ(co_await bob.command("rooms"), "* dev, 2 here: work only\n* lobby, 2 here\n");
    co_await say(*alice.current, {.nick = "alice", .text = "hi"});
    EXPECT_EQ(co_await bob.command("leave"), "* you left dev and talk in lobby\n");
    EXPECT_EQ(co_await bob.command("leave"), "error: the lobby is left by closing the connection\n");
    EXPECT_EQ(co_await bob.command("leave dev"), "error: you are not in dev\n");
    EXPECT_EQ(co_await alice.command("join lobby"), "* you talk in lobby now, 2 here\n");
    EXPECT_EQ(co_await alice.command("nick Alicia"), "");
    EXPECT_EQ(co_await alice.command("nick bob"), "error: the nickname bob is taken\n");
    const std::string heard = co_await bob.leave_and_read();
    EXPECT_EQ(heard,
              "bob joined the chat!\n[dev] bob joined the chat!\n* [dev] alice set the topic: work only\n"
              "[dev] alice: hi\nalice is now Alicia\n");
    co_await alice.leave_and_read();
  });
}

TEST(LineCommand, a_direct_message_is_for_one_person) {
  check([](Rooms& rooms) -> Task<> {
    Guest alice;
    Guest bob;
    Guest carol;
    co_await alice.enter(rooms, "alice");
    co_await bob.enter(rooms, "bob b");
    co_await carol.enter(rooms, "carol");
    EXPECT_EQ(co_await alice.command("msg Bob B  hello"), "");
    EXPECT_EQ(co_await alice.command("msg dave hello"), "error: there is no dave here; it was not sent\n");
    EXPECT_EQ(co_await alice.command("msg carol"), "error: /msg NICK TEXT: there is no text\n");
    EXPECT_EQ(co_await alice.command("msg"), "error: /msg NICK TEXT: give a nickname and a text\n");
    co_await test::next_turn();
    co_await test::next_turn();
    EXPECT_EQ(co_await bob.leave_and_read(),
              "bob b joined the chat!\ncarol joined the chat!\n* alice to bob b: hello\n");
    EXPECT_FALSE((co_await carol.leave_and_read()).contains("hello"));
    const std::string heard = co_await alice.leave_and_read();
    EXPECT_TRUE(heard.contains("* alice to bob b: hello\n")) << heard;
  });
}

TEST(LineCommand, history_and_wrong_commands) {
  check([](Rooms& rooms) -> Task<> {
    Guest alice;
    co_await alice.enter(rooms, "alice");
    EXPECT_EQ(co_await alice.command("history"), "* lobby has no history\n");
    for (const char* text : {"one", "two", "three"}) co_await say(rooms.lobby(), {.nick = "alice", .text = text});
    const std::string two = co_await alice.command("history 2");
    EXPECT_TRUE(two.starts_with("* 20")) << two;
    EXPECT_TRUE(two.contains("Z alice: two\n* 20") && two.ends_with("Z alice: three\n")) << two;
    for (const char* wrong : {"0", "-1", "x", "201", "99999999999999999999", "1x"}) {
      EXPECT_EQ(co_await alice.command(std::string("history ") + wrong),
                "error: /history N: the number of messages, 1 to 200\n");
    }
    EXPECT_EQ(co_await alice.command("quit"),
              "error: there is no command /quit; /help lists them, and //text sends /text as a message; it was not "
              "sent\n");
    EXPECT_TRUE((co_await alice.command("help")).contains("* /join ROOM "));
    EXPECT_EQ(co_await alice.command("join a b"),
              "error: that is no name of a room: it has a blank or one of / , [ ] #\n");
    EXPECT_EQ(co_await alice.command("topic " + std::string(513, 'x')), "error: a topic has at most 512 bytes\n");
    co_await alice.leave_and_read();
  });
}

TEST(LineMeaning, a_slash_and_a_word_is_a_command) {
  EXPECT_TRUE(meaning_of("/who").is_command);
  EXPECT_EQ(meaning_of("/who").text, "who");
  EXPECT_FALSE(meaning_of("//who").is_command);
  EXPECT_EQ(meaning_of("//who").text, "/who");
  for (const std::string_view text : {"/", "/ x", "/usr/bin", "/x1", "/X", "1/2", ""}) {
    EXPECT_FALSE(meaning_of(text).is_command) << text;
    EXPECT_EQ(meaning_of(text).text, text);
  }
  EXPECT_EQ(meaning_of("/msg a b").text, "msg a b");
}

}  // namespace coax::chat::rooms_test
