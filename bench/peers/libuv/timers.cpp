// timers: the cost of libuv's timers; a peer.
#include "bench/timers.hpp"

#include <uv.h>

namespace {

std::size_t fired = 0;

class Timers {
 public:
  Timers() : timers_(1'000'000) {
    for (uv_timer_t& timer : timers_) uv_timer_init(uv_default_loop(), &timer);
  }
  void start(std::size_t index, std::uint32_t milliseconds) {
    uv_timer_start(&timers_[index], [](uv_timer_t*) { ++fired; }, milliseconds, 0);
  }
  void stop(std::size_t index) { uv_timer_stop(&timers_[index]); }
  void stopped() {}
  void run() { uv_run(uv_default_loop(), UV_RUN_DEFAULT); }

 private:
  std::vector<uv_timer_t> timers_;
};

}  // namespace

int main() {
  Timers timers;
  return bench::measure_timers(timers, fired);
}
