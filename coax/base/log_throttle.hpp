// LogThrottle: for a message that would otherwise be logged with every connection or packet.
#pragma once

#include <optional>

#include "coax/base/units.hpp"

namespace coax {

// Thread: one.
class LogThrottle {
 public:
  explicit LogThrottle(Duration interval = std::chrono::seconds(10)) noexcept : interval_(interval) {}
  // Returns true at most once per interval.
  bool should_log(TimePoint now) noexcept {
    if (last_ && now - *last_ < interval_) return false;
    last_ = now;
    return true;
  }

 private:
  Duration interval_;
  std::optional<TimePoint> last_;
};

}  // namespace coax
