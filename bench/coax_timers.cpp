// coax_timers: the cost of the loop's timers.
#include "bench/timers.hpp"
#include "coax/loop/loop.hpp"

namespace {

std::size_t fired = 0;

class Timers {
 public:
  Timers() : timers_(1'000'000) {}
  void start(std::size_t index, std::uint32_t milliseconds) {
    loop_.timers().start(timers_[index], loop_.now() + std::chrono::milliseconds(milliseconds));
  }
  void stop(std::size_t index) { coax::Timers::stop(timers_[index]); }
  void stopped() {}
  void run() {
    loop_.run_until([this] { return fired == timers_.size(); });
  }

 private:
  struct Counted : coax::Timer {
    Counted() : coax::Timer([](coax::Timer&) noexcept { ++fired; }) {}
  };

  coax::Loop loop_;
  std::vector<Counted> timers_;
};

}  // namespace

int main() {
  Timers timers;
  return bench::measure_timers(timers, fired);
}
