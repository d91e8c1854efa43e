// RateTable: how often each of many keys may do something. The generic cell rate algorithm: of each key one time is
// kept, at which all that it has used is given back.
#pragma once

#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "coax/base/units.hpp"

namespace coax::http {

// Thread: any.
class RateTable {
 public:
  // Throws: Error(invalid) when a number is zero.
  RateTable(std::size_t count, Duration period, std::size_t keys_max);

  // Returns: zero, and counts; or how long the key has to wait.
  Duration acquire(std::string_view key, TimePoint now);
  void forget(std::string_view key);
  [[nodiscard]] std::size_t size() const;

 private:
  struct Entry {
    std::string key;
    TimePoint free_at;
  };
  using Entries = std::list<Entry>;
  Entries::iterator find_or_add(std::string_view key, TimePoint now);
  void remove_last();

  Duration interval_;
  Duration period_;
  std::size_t keys_max_;
  mutable std::mutex mutex_;
  Entries entries_;  // the last used ones first
  std::unordered_map<std::string_view, Entries::iterator> by_key_;
};

}  // namespace coax::http
