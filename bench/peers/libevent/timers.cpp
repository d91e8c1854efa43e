// timers: the cost of libevent's timers; a peer.
#include "bench/timers.hpp"

#include <event2/event.h>
#include <event2/event_struct.h>

namespace {

std::size_t fired = 0;

class Timers {
 public:
  Timers() : base_(event_base_new()), timers_(1'000'000) {
    for (event& timer : timers_) evtimer_assign(&timer, base_, [](evutil_socket_t, short, void*) { ++fired; }, nullptr);
  }
  void start(std::size_t index, std::uint32_t milliseconds) {
    const timeval delay{.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
    event_add(&timers_[index], &delay);
  }
  void stop(std::size_t index) { event_del(&timers_[index]); }
  void stopped() {}
  void run() { event_base_dispatch(base_); }

 private:
  event_base* base_;
  std::vector<event> timers_;
};

}  // namespace

int main() {
  Timers timers;
  return bench::measure_timers(timers, fired);
}
