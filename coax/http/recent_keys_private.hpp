// RecentKeys: a state for each of many keys, such as addresses, in bounded memory. Above keys_max, the one unused for
// longest is forgotten.
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "coax/base/units.hpp"

namespace coax::http {

// State: is_over(now) tells whether it means as little as none.
template <class State>
class RecentKeys {
 public:
  explicit RecentKeys(std::size_t keys_max) noexcept : keys_max_(keys_max) {}

  // Lifetime: of the result: until the next call.
  State& find_or_add(std::string_view key, TimePoint now) {
    const auto found = by_key_.find(key);
    if (found != by_key_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return entries_.front().state;
    }
    for (int i = 0; i < 2 && !entries_.empty() && entries_.back().state.is_over(now); ++i) remove_last();
    if (entries_.size() >= keys_max_) remove_last();
    entries_.push_front({.key = std::string(key), .state = {}});
    by_key_.emplace(entries_.front().key, entries_.begin());
    return entries_.front().state;
  }
  void forget(std::string_view key) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return;
    const auto entry = found->second;
    by_key_.erase(found);
    entries_.erase(entry);
  }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    std::string key;
    State state;
  };
  using Entries = std::list<Entry>;

  void remove_last() {
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }

  std::size_t keys_max_;
  Entries entries_;  // the last used ones first
  std::unordered_map<std::string_view, typename Entries::iterator> by_key_;
};

}  // namespace coax::http
