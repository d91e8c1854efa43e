// The reaction of run() to SIGINT, SIGTERM and SIGHUP, beside the signals that tasks wait for.
#pragma once

#include <array>

#include "coax/loop/loop.hpp"

namespace coax {

// During its lifetime, a SIGINT, SIGTERM or SIGHUP that no Signals object names makes seen() true and wakes the loop. A
// second SIGINT or SIGTERM ends the process at once. SIGHUP only where its default action applies: not under nohup(1).
class StopSignals {
 public:
  explicit StopSignals(Loop& loop);
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals();

  [[nodiscard]] static bool seen() noexcept;

 private:
  std::array<int, 3> numbers_{};  // 0: none
  struct Ear* ear_;
};

}  // namespace coax
