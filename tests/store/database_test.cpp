// Database: statements, transactions, errors, and many at the same time.
#include "coax/store/database.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "coax/task/scope.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/run.hpp"

namespace coax::database_test {
namespace {

using store::Blob;
using store::Connection;
using store::Database;
using store::Rows;
using store::SqlValue;

Task<std::string> first_text(Database database, std::string sql) {
  const Rows rows = co_await database.execute(std::move(sql));
  co_return rows.empty() ? "none" : rows[0][0].text();
}

Task<std::string> reason(Task<Rows> task) {
  try {
    co_await std::move(task);
  } catch (const Error& error) {
    co_return std::string(to_string(error.kind())) + ": " + error.what();
  }
  co_return "no error";
}

}  // namespace

TEST(Database, rows_become_values_for_templates_and_json) {
  test::run([]() -> Task<> {
    Database database = co_await Database::open(":memory:");
    const Rows rows = co_await database.execute("select 1 as id, 'Tea' as name, 0.5 as part, null as gone");
    EXPECT_EQ(rows.to_value().to_json(), R"([{"id":1,"name":"Tea","part":0.5,"gone":null}])");
    EXPECT_EQ(rows[0].to_value()["name"].as_string(), "Tea");
    const http::Value data{{"rows", rows}, {"row", rows[0]}, {"name", rows[0]["name"]}};
    EXPECT_EQ(data.to_json(), R"({"rows":[{"id":1,"name":"Tea","part":0.5,"gone":null}],)"
                              R"("row":{"id":1,"name":"Tea","part":0.5,"gone":null},"name":"Tea"})");
    const Rows blobs = co_await database.execute("select x'00' as bytes");
    EXPECT_THROW(static_cast<void>(blobs.to_value()), Error);
    EXPECT_EQ((co_await database.execute("select 1 where false")).to_value().to_json(), "[]");
  });
}

TEST(Database, values_are_stored_as_they_are) {
  test::run([]() -> Task<> {
    Database database = co_await Database::open(":memory:");
    co_await database.execute("create table t (a, b, c, d, e, f)");
    const std::string text("gr\xC3\xBC\xC3\x9F\0e", 8);
    const std::string bytes("\0\xFF", 2);
    const Rows inserted = co_await database.execute("insert into t values (?, ?, ?, ?, ?, ?)", INT64_MIN, -0.5, text,
                                                    Blob{bytes}, nullptr, std::optional<int>());
    EXPECT_EQ(inserted.changes(), 1);
    EXPECT_EQ(inserted.last_id(), 1);
    EXPECT_TRUE(inserted.empty());
    const Rows rows = co_await database.execute("select a, b, c, d, e, f, '' as empty from t");
    EXPECT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0]["a"].integer(), INT64_MIN);
    EXPECT_EQ(rows[0]["b"].number(), -0.5);
    EXPECT_EQ(rows[0]["c"].text(), text);
    EXPECT_EQ(rows[0]["d"].blob(), bytes);
    EXPECT_TRUE(rows[0]["e"].is_null() && rows[0][5].is_null());
    EXPECT_EQ(rows[0]["empty"].text(), "");
    EXPECT_THROW(static_cast<void>(rows[0]["z"]), Error);
    EXPECT_THROW(static_cast<void>(rows[0][7]), Error);
    EXPECT_THROW(static_cast<void>(rows[0]["c"].integer()), Error);
  });
}

TEST(Database, faults_of_sql_are_errors_that_change_nothing) {
  test::run([]() -> Task<> {
    Database database = co_await Database::open(":memory:");
    co_await database.execute("create table t (a integer primary key); create table u (b)");
    co_await database.execute("insert into t values (?)", 1);
    EXPECT_EQ(co_await reason(database.execute("select * from none")),
              "invalid: execute SQL in :memory:: no such table: none");
    EXPECT_EQ(co_await reason(database.execute("insert into t values (?)", 1)),
              "invalid: execute SQL in :memory:: UNIQUE constraint failed: t.a");
    EXPECT_EQ(co_await reason(database.execute("insert into t values (?)", 1, 2)),
              "invalid: execute SQL in :memory:: the statement has 1 placeholders, for 2 values");
    EXPECT_EQ(co_await reason(database.execute("insert into u values (?); select 1", 1)),
              "invalid: execute SQL in :memory:: values are for one statement");
    EXPECT_TRUE((co_await reason(database.execute(" ", 1))).starts_with("invalid"));
    EXPECT_EQ(co_await reason(database.execute("insert into u values (7); insert into t values (1)")),
              "invalid: execute SQL in :memory:: UNIQUE constraint failed: t.a");
    for (const char* sql :
         {"begin", "BEGIN IMMEDIATE", "-- x\ncommit", "end", "rollback", "/**/savepoint x", "release x",
          "rollback to x", "insert into u values (7); commit", "pragma user_version; begin"}) {
      EXPECT_EQ(co_await reason(database.execute(sql)),
                "invalid: execute SQL in :memory:: it begins or ends a transaction or a savepoint; use transaction(), "
                "whose function calls execute()")
          << sql;
    }
    EXPECT_TRUE((co_await database.execute("select * from u")).empty());
    co_await database.execute("vacuum");
    EXPECT_EQ(co_await first_text(database, "pragma integrity_check"), "ok");
  });
}

TEST(Database, rows_and_values_that_are_not_there_are_named) {
  test::run([]() -> Task<> {
    const Database database = co_await Database::open(":memory:");
    const Rows rows = co_await database.execute("select null as a");
    const auto reason_of = [](auto read) -> std::string {
      try {
        read();
      } catch (const Error& error) {
        return error.what();
      }
      return "none";
    };
    EXPECT_EQ(reason_of([&] { static_cast<void>(rows[1]); }),
              "read the row 1: the statement has returned 1; ask empty() or size() before");
    EXPECT_EQ(reason_of([&] { static_cast<void>(rows[0]["a"].integer()); }),
              "read a value of the database: it is null; ask is_null() before");
  });
}

TEST(Database, transactions_are_whole_or_nothing) {
  test::run([]() -> Task<> {
    Database database = co_await Database::open(":memory:");
    co_await database.execute("create table account (name text, money integer check (money >= 0))");
    co_await database.execute("insert into account values ('ada', 10), ('bob', 0)");
    const auto move = [&](int amount) {
      return database.transaction([amount](Connection& connection) {
        connection.execute("update account set money = money + ? where name = 'bob'", amount);
        connection.execute("update account set money = money - ? where name = 'ada'", amount);
        return amount;
      });
    };
    EXPECT_EQ(co_await move(7), 7);
    EXPECT_THROW(co_await move(4), Error);
    const Rows rows = co_await database.execute("select money from account order by name");
    EXPECT_EQ(rows[0][0].integer(), 3);
    EXPECT_EQ(rows[1][0].integer(), 7);
    co_await database.transaction([](Connection& connection) { connection.execute("delete from account"); });
    EXPECT_TRUE((co_await database.execute("select * from account")).empty());
  });
}

TEST(Database, statements_at_the_same_time_fail_alone) {
  test::run([]() -> Task<> {
    Database database = co_await Database::open(":memory:");
    co_await database.execute("create table t (a integer unique)");
    int good = 0;
    int bad = 0;
    co_await task_group([&](TaskGroup& group) -> Task<> {
      for (int i = 0; i < 200; ++i) {
        group.spawn([](Database shared, int value, int& done, int& failed) -> Task<> {
          try {
            co_await shared.execute("insert into t values (?)", value);
            ++done;
          } catch (const Error&) {
            ++failed;
          }
        }(database, i / 2, good, bad));
      }
      co_return;
    });
    EXPECT_EQ(good, 100);
    EXPECT_EQ(bad, 100);
    EXPECT_EQ((co_await database.execute("select count(*) from t"))[0][0].integer(), 100);
  });
}

TEST(Database, a_file_is_for_its_owner_and_outlives_the_program) {
  const test::Folder folder;
  const std::string path = folder.path("site.db");
  test::run([&]() -> Task<> {
    {
      Database database = co_await Database::open(path);
      co_await database.execute("create table t (a)");
      co_await database.execute("insert into t values ('kept')");
    }
    Database again = co_await Database::open(path, {.sync = false});
    EXPECT_EQ(co_await first_text(again, "select a from t"), "kept");
    struct stat status{};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
  });
}

TEST(Database, files_that_are_none_are_refused) {
  const test::Folder folder;
  std::ofstream(folder.path("text")) << std::string(10'000, 'x');
  test::run([&]() -> Task<> {
    for (const std::string& path : {folder.path("text"), folder.path("none/site.db"), folder.path("")}) {
      bool is_refused = false;
      try {
        co_await Database::open(path);
      } catch (const Error& error) {
        is_refused = true;
        EXPECT_TRUE(std::string(error.what()).contains(path)) << error.what();
      }
      EXPECT_TRUE(is_refused) << path;
    }
  });
}

TEST(Database, rows_are_limited) {
  test::run([]() -> Task<> {
    Database database = co_await Database::open(":memory:", {.rows_bytes_max = 1_KiB});
    const std::string numbers = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n";
    EXPECT_TRUE((co_await reason(database.execute(numbers))).contains("its rows have more than 1024 bytes"));
    EXPECT_EQ((co_await database.execute(numbers + " limit 3")).size(), 3U);
  });
}

TEST(Database, a_cancelled_statement_is_executed_all_the_same) {
  test::run([]() -> Task<> {
    Database database = co_await Database::open(":memory:");
    co_await database.execute("create table t (a)");
    co_await race([](Database shared) -> Task<> { co_await shared.execute("insert into t values (1)"); }(database),
                  []() -> Task<> { co_return; }());
    EXPECT_EQ((co_await database.execute("select count(*) from t"))[0][0].integer(), 1);
  });
}

}  // namespace coax::database_test
