// The contract of a bus, on each implementation.
#include "coax/bus/bus.hpp"

#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "coax/base/error.hpp"
#include "coax/bus/memory_bus.hpp"
#include "coax/store/bus.hpp"
#include "coax/test/random.hpp"
#include "tests/support/run.hpp"

namespace coax::bus_test {
namespace {

using test::run;
using test::text_of_error;

struct Implementation {
  std::string name;
  Durability durability;
  Task<std::shared_ptr<Bus>> (*make)();
};

Task<std::shared_ptr<Bus>> make_memory() { co_return std::make_shared<MemoryBus>(); }
Task<std::shared_ptr<Bus>> make_sqlite() {
  co_return co_await store::sqlite_bus(co_await store::Database::open(":memory:"));
}

class BusContract : public ::testing::TestWithParam<Implementation> {
 protected:
  // Opens a subject with these options in a new bus.
  void check(SubjectOptions options, const std::function<Task<>(Subject&)>& body) {
    check_bus([&](Bus& bus) -> Task<> {
      options.durability = GetParam().durability;
      const auto subject = co_await bus.open("subject", options);
      co_await body(*subject);
    });
  }
  void check_bus(const std::function<Task<>(Bus&)>& body) {
    run([&]() -> Task<> {
      const auto bus = co_await GetParam().make();
      co_await body(*bus);
    });
  }
  SubjectOptions options() { return {.durability = GetParam().durability}; }
};

INSTANTIATE_TEST_SUITE_P(Each, BusContract,
                         ::testing::Values(Implementation{"memory", Durability::memory, make_memory},
                                           Implementation{"sqlite", Durability::disk, make_sqlite},
                                           Implementation{"memory_of_sqlite", Durability::memory, make_sqlite}),
                         [](const auto& test) { return test.param.name; });

// What a consumer was given, on any thread.
struct Heard {
  Subject::Consumer consumer() {
    return [this](const Record& record) {
      const std::scoped_lock lock(mutex);
      records.push_back(record);
    };
  }
  std::string bodies() {
    const std::scoped_lock lock(mutex);
    std::string all;
    for (const Record& record : records) all.append(record.body).append(" ");
    return all;
  }
  std::mutex mutex;
  std::vector<Record> records;
};

std::string bodies_of(const std::vector<Record>& records) {
  std::string all;
  for (const Record& record : records) all.append(record.body).append(" ");
  return all;
}

Task<> publish_all(Subject& subject, std::string bodies) {
  for (const char body : bodies) co_await subject.publish({.body = std::string(1, body), .text = std::string(1, body)});
}

}  // namespace

TEST_P(BusContract, consumers_get_all_records_in_one_order_and_the_publisher_its_number) {
  check({}, [](Subject& subject) -> Task<> {
    Heard early;
    Heard late;
    const Consumption first = co_await subject.consume(0, early.consumer());
    const Receipt one = co_await subject.publish({.id = "1", .body = "one"});
    const Receipt two = co_await subject.publish({.body = "two"});
    EXPECT_GT(one.sequence, 0U);
    EXPECT_GT(two.sequence, one.sequence);
    const Consumption second = co_await subject.consume(one.sequence, late.consumer());
    const Receipt three = co_await subject.publish({.body = "three"});
    EXPECT_EQ(early.bodies(), "one two three ");
    EXPECT_EQ(late.bodies(), "two three ");
    EXPECT_EQ(early.records[0].id, "1");
    EXPECT_EQ(early.records[2].sequence, three.sequence);
    EXPECT_EQ(early.records[2].time, three.time);
    EXPECT_EQ(late.records[1].time, three.time);
  });
}

TEST_P(BusContract, a_consumer_that_has_ended_gets_nothing_more) {
  check({}, [](Subject& subject) -> Task<> {
    Heard heard;
    {
      const Consumption consumption = co_await subject.consume(0, heard.consumer());
      co_await subject.publish({.body = "one"});
    }
    co_await subject.publish({.body = "two"});
    EXPECT_EQ(heard.bodies(), "one ");
  });
}

TEST_P(BusContract, an_id_is_published_once) {
  check({}, [](Subject& subject) -> Task<> {
    Heard heard;
    const Consumption consumption = co_await subject.consume(0, heard.consumer());
    const Receipt first = co_await subject.publish({.id = "a", .body = "one"});
    co_await subject.publish({.id = "b", .body = "two"});
    const Receipt again = co_await subject.publish({.id = "a", .body = "one"});
    EXPECT_FALSE(first.is_duplicate);
    EXPECT_TRUE(again.is_duplicate);
    EXPECT_EQ(again.sequence, first.sequence);
    EXPECT_EQ(again.time, first.time);
    EXPECT_EQ(heard.bodies(), "one two ");
    EXPECT_EQ((co_await subject.extent()).records, 2U);
  });
}

TEST_P(BusContract, transient_records_are_consumed_and_not_kept) {
  check({}, [](Subject& subject) -> Task<> {
    Heard heard;
    const Consumption consumption = co_await subject.consume(0, heard.consumer());
    co_await subject.publish({.body = "kept"});
    const Receipt receipt = co_await subject.publish({.body = "transient", .text = "transient", .transient = true});
    co_await subject.publish({.body = "kept_too"});
    EXPECT_EQ(heard.bodies(), "kept transient kept_too ");
    EXPECT_EQ(heard.records[1].sequence, receipt.sequence);
    EXPECT_EQ(bodies_of(co_await subject.read({})), "kept kept_too ");
    EXPECT_TRUE((co_await subject.search("transient", {})).empty());
  });
}

TEST_P(BusContract, reads_pages_in_both_directions) {
  check({}, [](Subject& subject) -> Task<> {
    co_await publish_all(subject, "abcdef");
    const auto all = co_await subject.read({});
    EXPECT_EQ(bodies_of(all), "a b c d e f ");
    EXPECT_EQ(bodies_of(co_await subject.read({.count_max = 2})), "a b ");
    EXPECT_EQ(bodies_of(co_await subject.read({.count_max = 2, .newest = true})), "e f ");
    EXPECT_EQ(bodies_of(co_await subject.read({.before = all[3].sequence, .count_max = 2, .newest = true})), "b c ");
    EXPECT_EQ(bodies_of(co_await subject.read({.after = all[1].sequence, .before = all[4].sequence})), "c d ");
    EXPECT_EQ(bodies_of(co_await subject.read({.after = all[5].sequence})), "");
    EXPECT_EQ(bodies_of(co_await subject.read({.count_max = 0})), "");
    const Subject::Extent extent = co_await subject.extent();
    EXPECT_EQ(extent.first, all[0].sequence);
    EXPECT_EQ(extent.last, all[5].sequence);
    EXPECT_EQ(extent.records, 6U);
  });
}

TEST_P(BusContract, drops_the_oldest_beyond_its_limits) {
  check({.records_max = 3}, [](Subject& subject) -> Task<> {
    co_await publish_all(subject, "abcde");
    EXPECT_EQ(bodies_of(co_await subject.read({})), "c d e ");
    EXPECT_EQ(bodies_of(co_await subject.search("b", {})), "");
    EXPECT_EQ(bodies_of(co_await subject.search("c", {})), "c ");
    EXPECT_EQ((co_await subject.extent()).records, 3U);
  });
  check({.records_max = 10, .bytes_max = 10}, [](Subject& subject) -> Task<> {
    for (const char* body : {"1234", "5678", "90"}) co_await subject.publish({.body = body});
    EXPECT_EQ(bodies_of(co_await subject.read({})), "1234 5678 90 ");
    co_await subject.publish({.body = "x"});
    EXPECT_EQ(bodies_of(co_await subject.read({})), "5678 90 x ");
  });
  check({.age_max = std::chrono::seconds(0)}, [](Subject& subject) -> Task<> {
    co_await publish_all(subject, "ab");
    EXPECT_LE((co_await subject.read({})).size(), 2U);  // within the millisecond
    EXPECT_LE((co_await subject.extent()).records, 2U);
  });
}

TEST_P(BusContract, searches_words_by_their_beginnings_without_case) {
  check({}, [](Subject& subject) -> Task<> {
    for (const char* text : {"The quick brown fox", "a Quicksand", "STRASSE und Ärger", "quick \"quotes\" OR 1"}) {
      co_await subject.publish({.body = text, .text = text});
    }
    EXPECT_EQ(bodies_of(co_await subject.search("quick", {})),
              "The quick brown fox a Quicksand quick \"quotes\" OR 1 ");
    EXPECT_EQ(bodies_of(co_await subject.search("quick", {.count_max = 1})), "quick \"quotes\" OR 1 ");
    EXPECT_EQ(bodies_of(co_await subject.search("BROWN qui", {})), "The quick brown fox ");
    EXPECT_EQ(bodies_of(co_await subject.search("\xC3\xA4rger", {})), "STRASSE und Ärger ");
    EXPECT_EQ(bodies_of(co_await subject.search("rown", {})), "");
    for (const char* nothing : {"", " ", "\"", "*", "()", "\xFF"}) {
      EXPECT_EQ(bodies_of(co_await subject.search(nothing, {})), "") << nothing;
    }
    EXPECT_EQ(bodies_of(co_await subject.search("quotes\" OR \"fox", {})), "");
    EXPECT_EQ(bodies_of(co_await subject.search("a", {})), "a Quicksand ");  // a letter or two: the whole word
    EXPECT_EQ(bodies_of(co_await subject.search("qu", {})), "");
    std::string words;  // those that are too many do not count
    for (int i = 0; i < 2000; ++i) words += "quick fox ";
    EXPECT_EQ(bodies_of(co_await subject.search(words, {})), "The quick brown fox ");
  });
}

TEST_P(BusContract, a_revision_replaces_a_record_and_what_search_finds) {
  check({}, [](Subject& subject) -> Task<> {
    const Receipt receipt = co_await subject.publish({.id = "1", .body = "secret", .text = "secret"});
    co_await subject.publish({.body = "other", .text = "other"});
    co_await subject.publish({.body = "edited", .revision = Revision{receipt.sequence, "public", "public"}});
    const auto records = co_await subject.read({});
    EXPECT_EQ(bodies_of(records), "public other edited ");
    EXPECT_EQ(records[0].id, "1");
    EXPECT_EQ(records[0].time, receipt.time);
    EXPECT_TRUE((co_await subject.search("secret", {})).empty());
    EXPECT_EQ(bodies_of(co_await subject.search("public", {})), "public ");
    co_await subject.publish({.body = "deleted", .revision = Revision{receipt.sequence, ""}});
    EXPECT_TRUE((co_await subject.search("public", {})).empty());
    EXPECT_EQ(co_await text_of_error(subject.publish({.body = "x", .revision = Revision{999'999, "y"}})),
              "revise a record: it does not exist, or is not kept any more");
    EXPECT_EQ((co_await subject.extent()).records, 4U);
    EXPECT_EQ(bodies_of(co_await subject.read({.count_max = 1, .newest = true})), "deleted ");
  });
}

TEST_P(BusContract, posts_keep_their_order_and_tell_their_outcome_after_the_consumers) {
  check({}, [](Subject& subject) -> Task<> {
    Heard heard;
    const Consumption consumption = co_await subject.consume(0, heard.consumer());
    std::string order;
    for (int i = 0; i < 5; ++i) {
      subject.post({.body = std::to_string(i)}, [&, i](const Subject::Outcome& outcome) {
        EXPECT_TRUE(outcome.has_value());
        const std::scoped_lock lock(heard.mutex);
        EXPECT_EQ(heard.records.back().body, std::to_string(i));
        order += std::to_string(i);
      });
    }
    subject.post({.body = "5"});
    co_await subject.publish({.body = "6"});
    EXPECT_EQ(heard.bodies(), "0 1 2 3 4 5 6 ");
    EXPECT_EQ(order, "01234");
  });
}

TEST_P(BusContract, subjects_are_independent_and_can_be_erased) {
  check_bus([this](Bus& bus) -> Task<> {
    const auto a = co_await bus.open("a", options());
    const auto b = co_await bus.open("b", options());
    EXPECT_EQ(a, co_await bus.open("a", options()));
    co_await a->publish({.id = "1", .body = "in_a", .text = "word"});
    co_await b->publish({.id = "1", .body = "in_b", .text = "word"});
    EXPECT_EQ(bodies_of(co_await a->read({})), "in_a ");
    EXPECT_EQ(bodies_of(co_await b->search("word", {})), "in_b ");
    EXPECT_EQ(co_await bus.names(), (std::vector<std::string>{"a", "b"}));
    co_await bus.erase("a");
    co_await bus.erase("never");
    EXPECT_EQ(co_await bus.names(), (std::vector<std::string>{"b"}));
    const auto again = co_await bus.open("a", options());
    EXPECT_EQ((co_await again->extent()).records, 0U);
    EXPECT_EQ(bodies_of(co_await b->search("word", {})), "in_b ");
  });
}

// Names that clients invent do not fill the memory.
TEST(MemoryBus, subjects_without_records_and_owners_are_dropped) {
  run([]() -> Task<> {
    MemoryBus bus;
    const auto held = co_await bus.open("held", {});
    co_await held->publish({.body = "x", .transient = true});
    co_await (co_await bus.open("kept", {}))->publish({.body = "x"});
    co_await (co_await bus.open("unused", {}))->publish({.body = "x", .transient = true});
    for (int i = 0; i < 1000; ++i) co_await bus.open("invented" + std::to_string(i), {});
    EXPECT_EQ((co_await (co_await bus.open("unused", {}))->extent()).last, 0U);
    EXPECT_EQ((co_await (co_await bus.open("held", {}))->extent()).last, 1U);
    EXPECT_EQ((co_await (co_await bus.open("kept", {}))->extent()).records, 1U);
  });
}

// Against a model: at random publications, revisions, duplicates, pages and searches.
TEST_P(BusContract, behaves_as_a_model) {
  test::Random random;
  check({.records_max = 40}, [&random](Subject& subject) -> Task<> {
    struct Kept {
      std::uint64_t sequence;
      std::string id;
      std::string body;
    };
    std::vector<Kept> model;
    for (int step = 0; step < 400; ++step) {
      const std::string word = "w" + std::to_string(random.below(8));
      if (const auto action = random.below(10); action < 6) {
        const std::string id = std::to_string(random.below(300));
        const bool known = std::ranges::any_of(model, [&](const Kept& kept) { return kept.id == id; });
        const Receipt receipt = co_await subject.publish({.id = id, .body = word, .text = word});
        EXPECT_EQ(receipt.is_duplicate, known);
        if (!known) model.push_back({receipt.sequence, id, word});
        if (model.size() > 40) model.erase(model.begin());
      } else if (action == 6 && !model.empty()) {
        Kept& kept = model[random.below(model.size())];
        kept.body = word;
        co_await subject.publish({.body = "", .transient = true, .revision = Revision{kept.sequence, word, word}});
      } else {
        const std::size_t count = random.below(60);
        const bool newest = random.one_in(2);
        std::vector<std::string> expected;
        for (const Kept& kept : model) expected.push_back(kept.body);
        const std::size_t extra = expected.size() - std::min(expected.size(), count);
        if (newest) {
          expected.erase(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(extra));
        } else {
          expected.resize(expected.size() - extra);
        }
        std::vector<std::string> got;
        for (const Record& record : co_await subject.read({.count_max = count, .newest = newest}))
          got.push_back(record.body);
        EXPECT_EQ(got, expected);
        const auto found = co_await subject.search(word, {.count_max = 1000});
        EXPECT_EQ(found.size(), std::ranges::count(model, word, &Kept::body));
      }
    }
  });
}

}  // namespace coax::bus_test
