// The consumers of a subject, for the implementations of the bus.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "coax/bus/bus.hpp"

namespace coax::detail {

// Thread: any. A consumer is called under the mutex, so that none is called after its end.
class Consumers : public std::enable_shared_from_this<Consumers> {
 public:
  void call(const Record& record) {
    const std::scoped_lock lock(mutex_);
    for (const Entry& entry : entries_) entry.consumer(record);
  }
  Consumption add(Subject::Consumer consumer) {
    const std::scoped_lock lock(mutex_);
    entries_.push_back({.id = ++last_id_, .consumer = std::move(consumer)});
    return Consumption([self = shared_from_this(), id = last_id_] { self->remove(id); });
  }
  [[nodiscard]] bool empty() {
    const std::scoped_lock lock(mutex_);
    return entries_.empty();
  }

 private:
  struct Entry {
    std::uint64_t id;
    Subject::Consumer consumer;
  };
  void remove(std::uint64_t id) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(entries_, [id](const Entry& entry) { return entry.id == id; });
  }

  std::mutex mutex_;
  std::vector<Entry> entries_;
  std::uint64_t last_id_ = 0;
};

inline std::chrono::system_clock::time_point now_in_milliseconds() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

}  // namespace coax::detail
