// The files are read on a thread: they may be on a slow disk, or on a network that does not answer.
#include "app/console/fresh_certificates.hpp"

#include <string>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/task/offload.hpp"
#include "coax/task/scope.hpp"
#include "coax/task/signals.hpp"

namespace coax::app {

namespace {

using Contexts = std::vector<std::shared_ptr<tls::ServerContext>>;

// Returns: whether there are new ones.
bool reload(const Contexts& contexts, bool is_asked) {
  bool changed = false;
  for (const auto& context : contexts) {
    if (is_asked) context->reload();
    changed = is_asked || context->reload_if_changed() || changed;
  }
  return changed;
}

Task<> wait_for(Signals& signals) { co_await signals.next(); }

}  // namespace

Task<> keep_certificates_fresh(Contexts contexts, std::function<void()> renew) {
  using namespace std::chrono_literals;
  Signals hangups{SIGHUP};
  std::string last_failure;
  for (TimePoint warned_at = Clock::now();;) {
    const bool is_asked = co_await race(wait_for(hangups), sleep(10s)) == 0;
    try {
      const bool is_daily = Clock::now() - warned_at >= 24h;
      const auto read_again = [&contexts, &renew, is_asked, is_daily] {
        if (is_daily) renew();
        return reload(contexts, is_asked);
      };
      const bool changed = co_await offload(read_again);
      if (changed) log::info("the certificates were read again");
      last_failure.clear();
      if (!changed && !is_daily) continue;
      for (const std::string& warning : contexts.front()->warnings()) log::warning("{}", warning);
      warned_at = Clock::now();
    } catch (const Error& error) {
      if (is_asked || last_failure != error.what()) log::error("{}; the old certificates stay in use", error.what());
      last_failure = error.what();
    }
  }
}

}  // namespace coax::app
