// Limits of requests and of attempts to log in. The memory is bounded: unused keys are forgotten.
#include <fmt/core.h>

#include <algorithm>

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

RateTable::RateTable(std::size_t count, Duration period, std::size_t keys_max)
    : interval_(count == 0 ? Duration() : period / static_cast<Duration::rep>(count)),
      period_(period),
      keys_max_(keys_max) {
  if (interval_ <= Duration() || keys_max == 0)
    throw Error(ErrorKind::invalid, "limit a rate", "", "the number, the period and the keys have to be positive");
}

void RateTable::remove_last() {
  by_key_.erase(entries_.back().key);
  entries_.pop_back();
}

RateTable::Entries::iterator RateTable::find_or_add(std::string_view key, TimePoint now) {
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    return entries_.begin();
  }
  for (int i = 0; i < 2 && !entries_.empty() && entries_.back().free_at <= now; ++i) remove_last();
  if (entries_.size() >= keys_max_) remove_last();
  entries_.push_front({.key = std::string(key), .free_at = now});
  by_key_.emplace(entries_.front().key, entries_.begin());
  return entries_.begin();
}

Duration RateTable::acquire(std::string_view key, TimePoint now) {
  const std::scoped_lock lock(mutex_);
  const auto entry = find_or_add(key, now);
  const TimePoint next = std::max(entry->free_at, now) + interval_;
  if (next - now > period_) return next - now - period_;
  entry->free_at = next;
  return Duration();
}

void RateTable::forget(std::string_view key) {
  const std::scoped_lock lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  const auto entry = found->second;
  by_key_.erase(found);
  entries_.erase(entry);
}

std::size_t RateTable::size() const {
  const std::scoped_lock lock(mutex_);
  return entries_.size();
}

namespace {

std::string key_of(const Endpoint& peer) {
  const Endpoint host = peer.host_key();
  const auto bytes = host.address();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Middleware rate_limit(RateLimitOptions options) {
  auto table = std::make_unique<RateTable>(options.requests, options.period, options.addresses_max);
  return [table = std::move(table)](Request& request, Next next) -> Task<Response> {
    const Duration wait = table->acquire(key_of(request.peer()), Loop::current().backend().now());
    if (wait == Duration()) co_return co_await answer_of(next, request);
    const StatusError refusal(429, "answer", "", "too many requests from your address");
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait);
    co_return refusal_of(refusal, request).header("Retry-After", std::to_string(seconds.count()));
  };
}

// --- AttemptLimit: keys of any size ---

AttemptLimit::AttemptLimit(std::size_t attempts, Duration period, std::size_t keys_max)
    : table_(std::make_unique<RateTable>(attempts, period, keys_max)) {}
AttemptLimit::~AttemptLimit() = default;

bool AttemptLimit::attempt(std::string_view key) {
  return table_->acquire(sha256(key), Loop::current().backend().now()) == Duration();
}

void AttemptLimit::succeeded(std::string_view key) { table_->forget(sha256(key)); }

}  // namespace coax::http
