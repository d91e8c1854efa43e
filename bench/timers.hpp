// The load for timers: a million are started, stopped in another order, started again, and fired. Prints one line of
// JSON: the nanoseconds of each step for one timer.
#pragma once

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

namespace bench {

// Backend has start(index, milliseconds); stop(index); stopped(), called when all were stopped; and run(), which
// returns when all started timers have fired; each adds one to `fired`. The first delays are those of time limits, one
// second to ten minutes, and none is reached; the second ones have all passed when run() is called.
template <typename Backend>
int measure_timers(Backend& backend, const std::size_t& fired) {
  constexpr std::size_t count = 1'000'000;
  std::mt19937 random(1);
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0U);
  std::vector<std::uint32_t> delays(count);
  const auto draw = [&](std::uint32_t least, std::uint32_t most) {
    std::uniform_int_distribution<std::uint32_t> delay(least, most);
    std::ranges::generate(delays, [&] { return delay(random); });
    std::ranges::shuffle(order, random);
  };
  // CPU time of this thread, which does not depend on other processes.
  const auto each = [&](const auto& work) {
    const auto time = [] {
      timespec now{};
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
      return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
    };
    const double begin = time();
    work();
    return (time() - begin) / count;
  };
  draw(1'000, 600'000);
  const double start = each([&] {
    for (const std::uint32_t index : order) backend.start(index, delays[index]);
  });
  std::ranges::shuffle(order, random);
  const double stop = each([&] {
    for (const std::uint32_t index : order) backend.stop(index);
    backend.stopped();
  });
  draw(1, 100);
  for (const std::uint32_t index : order) backend.start(index, delays[index]);
  std::this_thread::sleep_for(std::chrono::milliseconds(110));
  const double fire = each([&] { backend.run(); });
  if (fired != count) return std::fprintf(stderr, "%zu of %zu timers fired\n", fired, count), 1;
  std::printf("{\"start_ns\": %.1f, \"stop_ns\": %.1f, \"fire_ns\": %.1f}\n", start, stop, fire);
  return 0;
}

}  // namespace bench
