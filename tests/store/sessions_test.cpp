// Session stores, in memory and in SQLite: the same rules.
#include "coax/store/sessions.hpp"

#include <gtest/gtest.h>

#include "tests/support/folder.hpp"
#include "tests/support/http.hpp"

namespace coax::sessions_test {
namespace {

using http::SessionLimits;
using http::SessionStore;
using http::Value;
using store::Database;

using Check = std::function<Task<>(SessionStore&)>;

// On both stores.
void check(SessionLimits limits, const Check& function) {
  test::run([&]() -> Task<> {
    co_await function(*http::memory_sessions(limits));
    co_await function(*co_await store::sqlite_sessions(co_await Database::open(":memory:"), limits));
  });
}

Task<std::string> content(SessionStore& sessions, std::string key) {
  const auto value = co_await sessions.load(std::move(key));
  co_return value ? value->to_json() : "none";
}

}  // namespace

TEST(SessionStores, sessions_are_found_changed_renamed_and_erased) {
  check({}, [](SessionStore& sessions) -> Task<> {
    EXPECT_EQ(co_await content(sessions, "key"), "none");
    co_await sessions.insert(std::string("key\0\xFF", 5), Value{{"a", 1}});
    co_await sessions.insert("other", Value{{"b", nullptr}});
    EXPECT_EQ(co_await content(sessions, std::string("key\0\xFF", 5)), R"({"a":1})");
    EXPECT_TRUE(co_await sessions.update("other", {{.name = "b", .value = {}}, {.name = "c", .value = Value("x")}}));
    EXPECT_EQ(co_await content(sessions, "other"), R"({"c":"x"})");
    EXPECT_FALSE(co_await sessions.update("none", {{.name = "b", .value = Value(1)}}));
    EXPECT_EQ(co_await content(sessions, "none"), "none");
    EXPECT_TRUE(co_await sessions.rename("other", "renamed"));
    EXPECT_FALSE(co_await sessions.rename("other", "again"));
    EXPECT_EQ(co_await content(sessions, "other"), "none");
    EXPECT_EQ(co_await content(sessions, "renamed"), R"({"c":"x"})");
    co_await sessions.erase("renamed");
    co_await sessions.erase("renamed");
    EXPECT_EQ(co_await content(sessions, "renamed"), "none");
  });
}

// A client that makes many sessions without a login must not log others out.
TEST(SessionStores, visitors_who_have_logged_in_are_kept_before_others) {
  const Value user{{"_user", Value{{"name", "alice"}}}};
  check({.sessions_max = 3}, [&](SessionStore& sessions) -> Task<> {
    co_await sessions.insert("alice", user);
    co_await sessions.insert("later", Value::object());
    EXPECT_TRUE(co_await sessions.update("later", {{.name = "_user", .value = Value{{"name", "bob"}}}}));
    for (int i = 0; i < 200; ++i) co_await sessions.insert("visitor" + std::to_string(i), Value::object());
    EXPECT_NE(co_await content(sessions, "alice"), "none");
    EXPECT_NE(co_await content(sessions, "later"), "none");
    EXPECT_EQ(co_await content(sessions, "visitor0"), "none");
    EXPECT_TRUE(co_await sessions.update("later", {{.name = "_user", .value = {}}}));  // logged out
    for (int i = 0; i < 200; ++i) co_await sessions.insert("another" + std::to_string(i), Value::object());
    EXPECT_EQ(co_await content(sessions, "later"), "none");
    EXPECT_NE(co_await content(sessions, "alice"), "none");
    for (int i = 0; i < 200; ++i) co_await sessions.insert("user" + std::to_string(i), user);
    EXPECT_EQ(co_await content(sessions, "alice"), "none");
    EXPECT_NE(co_await content(sessions, "user199"), "none");
  });
}

TEST(SessionStores, changes_at_the_same_time_are_all_kept) {
  check({}, [](SessionStore& sessions) -> Task<> {
    co_await sessions.insert("key", Value::object());
    co_await task_group([&](TaskGroup& group) -> Task<> {
      for (int i = 0; i < 50; ++i) {
        group.spawn([&sessions, i]() -> Task<> {
          co_await sessions.update("key", {{.name = "n" + std::to_string(i), .value = Value(i)}});
        });
      }
      co_return;
    });
    const auto value = co_await sessions.load("key");
    EXPECT_EQ(value->size(), 50U);
  });
}

TEST(SessionStores, limits_of_zero_are_refused) {
  test::run([]() -> Task<> {
    const Database database = co_await Database::open(":memory:");
    for (const SessionLimits& limits :
         {SessionLimits{.idle = {}}, SessionLimits{.lifetime = {}}, SessionLimits{.sessions_max = 0}}) {
      EXPECT_EQ(co_await test::outcome(store::sqlite_sessions(database, limits)), "invalid");
    }
  });
}

TEST(SqliteSessions, expire_and_are_limited) {
  test::run([]() -> Task<> {
    Database database = co_await Database::open(":memory:");
    const auto sessions = co_await store::sqlite_sessions(database, {.sessions_max = 100});
    for (int i = 0; i < 200; ++i) co_await sessions->insert(std::to_string(i), Value::object());
    const auto count = [&]() -> Task<std::int64_t> {
      co_return (co_await database.execute("select count(*) from coax_sessions"))[0][0].integer();
    };
    EXPECT_LE(co_await count(), 100 + 64);
    EXPECT_EQ(co_await content(*sessions, "199"), "{}");
    co_await database.execute("update coax_sessions set used = used - ?", 31 * 60);
    EXPECT_EQ(co_await content(*sessions, "199"), "none") << "idle for 30 minutes";
    for (int i = 0; i < 64; ++i) co_await sessions->insert("new" + std::to_string(i), Value::object());
    EXPECT_LE(co_await count(), 64) << "the expired ones are removed";
    co_await database.execute("update coax_sessions set used = used - ?", 29 * 60);
    EXPECT_EQ(co_await content(*sessions, "new1"), "{}");
    co_await database.execute("update coax_sessions set used = used - ? where key = cast('new1' as blob)", 29 * 60);
    EXPECT_EQ(co_await content(*sessions, "new1"), "{}") << "the look was a use";
    co_await database.execute("update coax_sessions set made = made - ?", 13 * 3600);
    EXPECT_EQ(co_await content(*sessions, "new1"), "none") << "older than 12 hours";
  });
}

TEST(SqliteSessions, outlive_a_restart) {
  const test::Folder folder;
  const auto app = [](std::shared_ptr<SessionStore> sessions) {
    http::App result = test::bare();
    result.use(http::sessions({.store = std::move(sessions)}));
    result.get("/", [](http::Request& request) {
      http::Session& session = http::session(request);
      session.set("visits", session.integer("visits") + 1);
      return http::Response::text(std::to_string(session.integer("visits")));
    });
    return result;
  };
  test::run([&]() -> Task<> {
    std::string cookie;
    for (const char* visits : {"1", "2", "3"}) {
      Database database = co_await Database::open(folder.path("site.db"));
      const Handler handler = http::handler(app(co_await store::sqlite_sessions(std::move(database))));
      const std::string answer = co_await test::ask(handler, "GET / HTTP/1.1\r\nHost: a\r\n" + cookie + "\r\n");
      EXPECT_EQ(test::body_of(answer), visits);
      const std::string set = test::header_of(answer, "Set-Cookie");
      if (set != "none") cookie = "Cookie: " + set.substr(0, set.find(';')) + "\r\n";
    }
  });
}

}  // namespace coax::sessions_test
