// What the bus on SQLite promises beyond the contract: records outlive the process, and a full disk.
#include "coax/store/bus.hpp"

#include <gtest/gtest.h>

#include <mutex>

#include "coax/base/error.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/run.hpp"

namespace coax::store::bus_test {
namespace {

constexpr SubjectOptions on_disk{.durability = Durability::disk};

Task<std::shared_ptr<Bus>> bus_of(std::string path) {
  return [](std::string file) -> Task<std::shared_ptr<Bus>> {
    co_return co_await sqlite_bus(co_await Database::open(std::move(file)));
  }(std::move(path));
}

std::string bodies_of(const std::vector<Record>& records) {
  std::string all;
  for (const Record& record : records) all.append(record.body).append(" ");
  return all;
}

}  // namespace

TEST(SqliteBus, records_and_ids_outlive_it_and_no_number_is_used_twice) {
  const test::Folder folder;
  test::run([&]() -> Task<> {
    const std::string path = folder.path("bus.db");
    Receipt one;
    std::uint64_t transient = 0;
    {
      const auto bus = co_await bus_of(path);
      const auto subject = co_await bus->open("lobby", on_disk);
      one = co_await subject->publish({.id = "1", .body = "one", .text = "one"});
      transient = (co_await subject->publish({.body = "left", .transient = true})).sequence;
    }
    const auto bus = co_await bus_of(path);
    EXPECT_EQ(co_await bus->names(), (std::vector<std::string>{"lobby"}));
    const auto subject = co_await bus->open("lobby", on_disk);
    const Receipt again = co_await subject->publish({.id = "1", .body = "one"});
    EXPECT_TRUE(again.is_duplicate);
    EXPECT_EQ(again.sequence, one.sequence);
    EXPECT_EQ(again.time, one.time);
    EXPECT_GT((co_await subject->publish({.body = "two"})).sequence, transient);
    EXPECT_EQ(bodies_of(co_await subject->read({})), "one two ");
    EXPECT_EQ(bodies_of(co_await subject->search("one", {})), "one ");
  });
}

TEST(SqliteBus, lower_limits_are_applied_to_what_is_there) {
  const test::Folder folder;
  test::run([&]() -> Task<> {
    const std::string path = folder.path("bus.db");
    {
      const auto bus = co_await bus_of(path);
      const auto subject = co_await bus->open("lobby", on_disk);
      for (int i = 0; i < 600; ++i) subject->post({.body = std::to_string(i)});
      co_await subject->publish({.body = "last"});
    }
    const auto bus = co_await bus_of(path);
    const auto subject = co_await bus->open("lobby", {.durability = Durability::disk, .records_max = 2});
    co_await subject->publish({.body = "new"});
    EXPECT_EQ(bodies_of(co_await subject->read({})), "last new ");
  });
}

// No consumer gets what a full disk did not take, and the publisher may try again.
TEST(SqliteBus, a_full_disk_fails_the_publication_and_nothing_else) {
  test::run([]() -> Task<> {
    Database database = co_await Database::open(":memory:");
    const auto bus = co_await sqlite_bus(database);
    const auto subject = co_await bus->open("lobby", on_disk);
    std::mutex mutex;
    std::string heard;
    const Consumption consumption = co_await subject->consume(0, [&](const Record& record) {
      const std::scoped_lock lock(mutex);
      heard.append(record.body.substr(0, 1));
    });
    const Receipt first = co_await subject->publish({.id = "a", .body = "a"});
    const Rows pages = co_await database.execute("pragma page_count");
    co_await database.execute("pragma max_page_count = " + std::to_string(pages[0][0].integer() + 2));
    bool full = false;
    try {
      co_await subject->publish({.id = "b", .body = "b" + std::string(100'000, 'x')});
    } catch (const Error& error) {
      full = error.code() == std::errc::no_space_on_device;
    }
    EXPECT_TRUE(full);
    const Receipt third = co_await subject->publish({.id = "c", .body = "c"});
    EXPECT_GT(third.sequence, first.sequence);
    co_await database.execute("pragma max_page_count = 100000");
    EXPECT_FALSE((co_await subject->publish({.id = "b", .body = "b"})).is_duplicate);
    EXPECT_EQ(heard, "acb");
    EXPECT_EQ(bodies_of(co_await subject->read({})), "a c b ");
  });
}

}  // namespace coax::store::bus_test
