// timers: the cost of Boost.Asio's timers; a peer. The handler of a stopped timer is called with an error, which counts
// as a part of stopping it.
#include "bench/timers.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace {

std::size_t fired = 0;

class Timers {
 public:
  Timers() {
    timers_.reserve(1'000'000);
    while (timers_.size() < timers_.capacity()) timers_.emplace_back(loop_);
  }
  void start(std::size_t index, std::uint32_t milliseconds) {
    timers_[index].expires_after(std::chrono::milliseconds(milliseconds));
    timers_[index].async_wait([](const boost::system::error_code& error) {
      if (!error) ++fired;
    });
  }
  void stop(std::size_t index) { timers_[index].cancel(); }
  void stopped() {
    loop_.poll();
    loop_.restart();
  }
  void run() { loop_.run(); }

 private:
  boost::asio::io_context loop_{1};
  std::vector<boost::asio::steady_timer> timers_;
};

}  // namespace

int main() {
  Timers timers;
  return bench::measure_timers(timers, fired);
}
