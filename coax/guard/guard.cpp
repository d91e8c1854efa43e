// Counters per host and in total, and the search for a connection to evict.
#include "coax/guard/guard.hpp"

#include <algorithm>

#include "coax/base/error.hpp"

namespace coax {

using namespace std::chrono_literals;

namespace {

bool is_of_this_machine(const Endpoint& peer) noexcept {
  return peer.is_loopback() || peer.family() == Endpoint::Family::none;
}

}  // namespace

Admission Guard::admit(const Endpoint& peer) {
  if (is_full()) return Admission::full;
  if (!is_of_this_machine(peer) && limits_.connections_per_host_max) {
    const auto [host, is_new] = per_host_.try_emplace(peer.host_key(), 0);
    if (host->second >= *limits_.connections_per_host_max) {
      if (is_new) per_host_.erase(host);
      return Admission::host_is_full;
    }
    ++host->second;
  }
  ++open_;
  return Admission::admitted;
}

void Guard::leave(const Endpoint& peer) noexcept {
  const auto host = per_host_.find(peer.host_key());
  if (host != per_host_.end() && --host->second == 0) per_host_.erase(host);
  --open_;
  left_.set();
}

Task<> Guard::wait_for_room() {
  while (is_full()) {
    left_.clear();
    co_await left_.wait();
  }
}

Task<bool> Guard::make_room() {
  const TimePoint now = Loop::current().now();
  if (now < no_candidate_until_) co_return false;
  Candidate best;
  Listener* of = nullptr;
  const std::vector<Listener*> all = listeners_;
  for (Listener* const listener : all) {
    if (std::ranges::count(listeners_, listener) == 0) continue;  // removed in between
    const Candidate candidate = co_await listener->find_candidate();
    if (!(candidate < best)) continue;
    best = candidate;
    of = listener;
  }
  if (best.rank == Candidate::Rank::none || std::ranges::count(listeners_, of) == 0) {
    no_candidate_until_ = now + 100ms;  // the search checks every connection
    co_return false;
  }
  co_await of->close_candidate(best);
  co_return true;
}

void Guard::require_own_loop() const {
  if (&Loop::current() == &loop_) return;
  throw Error(ErrorKind::invalid, "serve with", "a guard", "it belongs to another loop; make one for each run()");
}

}  // namespace coax
