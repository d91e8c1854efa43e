// RateTable: how often each of many keys may do something. The generic cell rate algorithm: of each key one time is
// kept, at which all that it has used is given back.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

#include "coax/base/units.hpp"
#include "coax/http/recent_keys_private.hpp"

namespace coax::http {

// Thread: any.
class RateTable {
 public:
  // Throws: Error(invalid) when a number is zero.
  RateTable(std::size_t count, Duration period, std::size_t keys_max);

  // Returns: zero, and counts; or how long the key has to wait.
  Duration acquire(std::string_view key, TimePoint now);
  [[nodiscard]] std::size_t size() const;

 private:
  struct Used {
    TimePoint free_at;
    [[nodiscard]] bool is_over(TimePoint now) const noexcept { return free_at <= now; }
  };

  Duration interval_;
  Duration period_;
  mutable std::mutex mutex_;
  RecentKeys<Used> keys_;
};

}  // namespace coax::http
