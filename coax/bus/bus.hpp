// Bus: records by subject, in one order that is the same for all consumers, and kept for a while. A room with a history
// is made of it, and so is a program on several machines.
//
//   const std::shared_ptr<Subject> lobby = co_await bus.open("lobby", {.records_max = 10'000});
//   const Consumption consumption = co_await lobby->consume(0, [](const Record& record) { show(record.body); });
//   const Receipt receipt = co_await lobby->publish({.id = "alice/1", .body = "hello"});
//
// Implementations: MemoryBus (memory_bus.hpp), store::SqliteBus (coax/store/bus.hpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <expected>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coax/base/units.hpp"
#include "coax/task/task.hpp"

namespace coax {

struct Record {
  std::uint64_t sequence = 0;                  // ascending within the subject, above 0; there may be gaps
  std::chrono::system_clock::time_point time;  // when the bus accepted it, in milliseconds
  std::string id;                              // the publisher's
  std::string body;
};

// Replaces the body and the text of an earlier record. The old ones are erased.
struct Revision {
  std::uint64_t sequence = 0;
  std::string body;
  std::string text = {};
};

struct Publication {
  // Names the record within its subject: published again, it is not a second record. Empty: it cannot be recognized.
  std::string id = {};
  std::string body;
  std::string text = {};   // what search() looks at; empty: it is not found
  bool transient = false;  // for the present consumers only: read() and search() do not return it
  std::optional<Revision> revision = {};
};

struct Receipt {
  std::uint64_t sequence = 0;
  std::chrono::system_clock::time_point time;
  bool is_duplicate = false;  // the id was known: these are the sequence number and the time of the first one
};

// When a publication is accepted.
enum class Durability : std::uint8_t {
  memory,    // at once: it is lost with the process
  disk,      // when a disk has it
  majority,  // when the majority of the servers has it
};

struct SubjectOptions {
  Durability durability = Durability::memory;
  // The oldest records are dropped beyond one of these limits.
  std::size_t records_max = 10'000;
  std::size_t bytes_max = 16_MiB;  // of ids and bodies
  std::optional<std::chrono::seconds> age_max = std::nullopt;
};

struct ReadRange {
  std::uint64_t after = 0;                                          // sequence numbers above this
  std::uint64_t before = std::numeric_limits<std::int64_t>::max();  // and below this
  std::size_t count_max = 100;
  bool newest = false;  // of more than count_max, the last ones instead of the first ones
};

// From Subject::consume() until its destructor, after which the consumer is not called any more.
// Lifetime: it may outlive the subject. Thread: any.
class Consumption {
 public:
  Consumption() noexcept = default;
  explicit Consumption(std::move_only_function<void()> end) noexcept : end_(std::move(end)) {}
  Consumption(Consumption&& other) noexcept : end_(std::exchange(other.end_, nullptr)) {}
  Consumption& operator=(Consumption&& other) noexcept {
    if (this != &other) {
      stop();
      end_ = std::exchange(other.end_, nullptr);
    }
    return *this;
  }
  ~Consumption() { stop(); }
  void stop() noexcept {
    if (end_) std::exchange(end_, nullptr)();
  }

 private:
  std::move_only_function<void()> end_;
};

// Thread: any thread with a loop.
class Subject {
 public:
  // Called for one record after the other, on any thread. It must not block, throw or use the subject.
  using Consumer = std::function<void(const Record&)>;
  using Outcome = std::expected<Receipt, std::exception_ptr>;
  // Called once on any thread, after the consumers. It must not block or throw.
  using Done = std::move_only_function<void(Outcome)>;

  Subject() = default;
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;
  virtual ~Subject() = default;

  // Publishes without a wait. Publications of one thread keep their order.
  virtual void post(Publication publication, Done done = nullptr) = 0;
  // Returns: when it is as durable as the subject asks, and the consumers on this machine have it.
  // Throws: Error(invalid) when the revised record does not exist; Error of the disk, such as ENOSPC: then no consumer
  // gets it, and it may be published again.
  // Cancelled: at once; it is published all the same.
  Task<Receipt> publish(Publication publication);

  // Calls the consumer for each record from now on.
  virtual Consumption listen(Consumer consumer) = 0;
  // Calls the consumer for each kept record above `after`, and then for all that are published.
  // Returns: after the kept ones.
  virtual Task<Consumption> consume(std::uint64_t after, Consumer consumer) = 0;

  // Returns: kept records, in ascending order.
  virtual Task<std::vector<Record>> read(ReadRange range) = 0;
  // Returns: the last kept records below `before` whose text has all the words, in ascending order. A word of three
  // bytes or more also finds longer ones that begin with it. Case does not matter, accents do. The first 16 different
  // words count; without a letter or digit nothing is found.
  virtual Task<std::vector<Record>> search(std::string words, ReadRange range) = 0;

  struct Extent {
    std::uint64_t first = 0;  // the first kept record; 0 when there is none
    std::uint64_t last = 0;   // the last one that was published, kept or not; 0 before the first
    std::size_t records = 0;  // kept
  };
  virtual Task<Extent> extent() = 0;
};

// Thread: any thread with a loop.
class Bus {
 public:
  Bus() = default;
  Bus(const Bus&) = delete;
  Bus& operator=(const Bus&) = delete;
  virtual ~Bus() = default;

  // The subject of that name, which is made when it is missing. The options are those of the first call.
  // Throws: Error(invalid) when the bus cannot give that durability; Error of the disk.
  virtual Task<std::shared_ptr<Subject>> open(std::string name, SubjectOptions options) = 0;
  // Erases the subject with its records.
  virtual Task<> erase(std::string name) = 0;
  // The names of all subjects that have kept records or are open, sorted.
  virtual Task<std::vector<std::string>> names() = 0;
};

}  // namespace coax
