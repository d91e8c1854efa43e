// Connection: close reasons, draining, and the limits that are checked once a second.
#include "coax/server/connection.hpp"

#include <algorithm>

namespace coax {

std::string_view to_string(CloseReason reason) noexcept {
  switch (reason) {
    case CloseReason::finished: return "finished";
    case CloseReason::disconnected: return "disconnected";
    case CloseReason::idle: return "idle for too long";
    case CloseReason::write_timeout: return "did not read for too long";
    case CloseReason::overflow: return "read too slowly";
    case CloseReason::protocol: return "broke the protocol";
    case CloseReason::timed_out: return "timed out";
    case CloseReason::reclaimed: return "made room for a new connection";
    case CloseReason::shutting_down: return "the server shuts down";
    case CloseReason::failed: return "failed";
  }
  return "?";
}

CloseReason close_reason_of(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::disconnected:
    case ErrorKind::truncated: return CloseReason::disconnected;
    case ErrorKind::timed_out: return CloseReason::timed_out;
    case ErrorKind::certificate:
    case ErrorKind::protocol: return CloseReason::protocol;
    case ErrorKind::overloaded: return CloseReason::overflow;
    default: return CloseReason::failed;
  }
}

void Connection::set_busy(bool busy) noexcept {
  busy_ = busy;
  has_been_busy_ = has_been_busy_ || busy;
  if (draining_ && !busy_) top_->end_input();
}

const Principal& Connection::principal() const noexcept {
  static const Principal anonymous;
  return extras_ ? extras_->principal : anonymous;
}

Event::Wait Connection::wait_draining() {
  std::unique_ptr<Event>& drains = extras().drains;
  if (!drains) drains = std::make_unique<Event>();
  if (draining_) drains->set();
  return drains->wait();
}

void Connection::drain() noexcept {
  draining_ = true;
  if (extras_ && extras_->drains) extras_->drains->set();
  if (!busy_) top_->end_input();
}

void Connection::set_reason(CloseReason reason) noexcept {
  if (reason_ == CloseReason::finished) reason_ = reason;
}

void Connection::end(CloseReason reason) noexcept {
  set_reason(reason);
  if (context_ != nullptr) context_->cancel();
}

// Times are counted in ticks: a pause of the whole process is one tick, however long it was.
void Connection::check(TimePoint now, Duration tick, const std::optional<Duration>& write_timeout) noexcept {
  send_stalled_ = milliseconds(std::min<Duration>(top_->send_stalled(), send_stalled_ + tick));
  idle_ = milliseconds(std::min<Duration>(now - top_->last_active(), idle_ + tick));
  if (write_timeout && send_stalled_ > *write_timeout) {
    end(CloseReason::write_timeout);
  } else if (idle_max_ != no_idle_max && idle_ > idle_max_) {
    end(CloseReason::idle);
  }
}

}  // namespace coax
