// What run() does with SIGINT and SIGTERM, beside the signals that tasks wait for.
#pragma once

#include "coax/loop/loop.hpp"

namespace coax {

// While it lives, the first SIGINT or SIGTERM that no Signals names makes seen() true and wakes the loop; a second one
// ends the process at once.
class StopSignals {
 public:
  explicit StopSignals(Loop& loop);
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals();

  [[nodiscard]] static bool seen() noexcept;

 private:
  struct Ear* ear_;
};

}  // namespace coax
