// Limits of requests and of attempts to log in. The memory is bounded: unused keys are forgotten.
#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <mutex>

#include "coax/base/error.hpp"
#include "coax/http/crypto_private.hpp"
#include "coax/http/middleware.hpp"
#include "coax/http/middleware_private.hpp"
#include "coax/http/password.hpp"
#include "coax/http/rate_private.hpp"
#include "coax/http/site_private.hpp"
#include "coax/http/status_error.hpp"
#include "coax/loop/loop.hpp"

namespace coax::http {

namespace {

void require_positive(bool is_positive) {
  if (!is_positive)
    throw Error(ErrorKind::invalid, "limit a rate", "", "the number, the period and the keys have to be positive");
}

}  // namespace

RateTable::RateTable(std::size_t count, Duration period, std::size_t keys_max)
    : interval_(count == 0 ? Duration() : period / static_cast<Duration::rep>(count)),
      period_(period),
      keys_(keys_max) {
  require_positive(interval_ > Duration() && keys_max != 0);
}

Duration RateTable::acquire(std::string_view key, TimePoint now) {
  const std::scoped_lock lock(mutex_);
  Used& used = keys_.find_or_add(key, now);
  const TimePoint next = std::max(used.free_at, now) + interval_;
  if (next - now > period_) return next - now - period_;
  used.free_at = next;
  return Duration();
}

std::size_t RateTable::size() const {
  const std::scoped_lock lock(mutex_);
  return keys_.size();
}

std::string address_key(const Endpoint& peer) {
  const Endpoint host = peer.host_key();
  const auto bytes = host.address();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Middleware rate_limit(RateLimitOptions options) {
  auto table = std::make_unique<RateTable>(options.requests, options.period, options.addresses_max);
  return [table = std::move(table)](Request& request, Next next) -> Task<Response> {
    const Duration wait = table->acquire(address_key(request.peer()), Loop::current().backend().now());
    if (wait == Duration()) co_return co_await next.answered(request);
    const StatusError refusal(429, "answer", "", "too many requests from your address");
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait);
    co_return refusal_of(refusal, request).header("Retry-After", std::to_string(seconds.count()));
  };
}

// --- AttemptLimit: keys of any size ---

struct AttemptLimit::Table {
  struct Attempts {
    std::deque<TimePoint> over_at = {};
    [[nodiscard]] bool is_over(TimePoint now) const noexcept { return over_at.empty() || over_at.back() <= now; }
  };

  Table(std::size_t attempts, Duration duration, std::size_t keys_max)
      : attempts_max(attempts), period(duration), keys(keys_max) {}

  // Without those that do not count any more.
  Attempts& of(std::string_view key, TimePoint now) {
    Attempts& attempts = keys.find_or_add(sha256(key), now);
    while (!attempts.over_at.empty() && attempts.over_at.front() <= now) attempts.over_at.pop_front();
    return attempts;
  }

  std::size_t attempts_max;
  Duration period;
  std::mutex mutex;
  RecentKeys<Attempts> keys;
};

AttemptLimit::AttemptLimit(std::size_t attempts, Duration period, std::size_t keys_max)
    : table_(std::make_unique<Table>(attempts, period, keys_max)) {
  require_positive(attempts != 0 && period > Duration() && keys_max != 0);
}
AttemptLimit::~AttemptLimit() = default;

bool AttemptLimit::attempt(std::string_view key) {
  const TimePoint now = Loop::current().backend().now();
  const std::scoped_lock lock(table_->mutex);
  auto& over_at = table_->of(key, now).over_at;
  if (over_at.size() >= table_->attempts_max) return false;
  over_at.push_back(now + table_->period);
  return true;
}

void AttemptLimit::take_back(std::string_view key) {
  const std::scoped_lock lock(table_->mutex);
  auto& over_at = table_->of(key, Loop::current().backend().now()).over_at;
  if (!over_at.empty()) over_at.pop_back();
}

void AttemptLimit::succeeded(std::string_view key) {
  const std::scoped_lock lock(table_->mutex);
  table_->keys.forget(sha256(key));
}

std::chrono::seconds AttemptLimit::retry_after(std::string_view key) {
  const TimePoint now = Loop::current().backend().now();
  const std::scoped_lock lock(table_->mutex);
  const auto& over_at = table_->of(key, now).over_at;
  if (over_at.size() < table_->attempts_max) return {};
  return std::chrono::ceil<std::chrono::seconds>(over_at.front() - now);
}

}  // namespace coax::http
