// The outbox, the task that drains it, and the decision about a peer that is behind.
#include "coax/bus/outbox.hpp"

#include <algorithm>

#include "coax/base/error.hpp"
#include "coax/base/misuse.hpp"
#include "coax/loop/loop.hpp"
#include "coax/task/scope.hpp"

namespace coax {

namespace {

constexpr std::size_t piece_overhead_bytes = 64;   // overhead of a piece beside its bytes
constexpr std::size_t send_bytes_max = 64_KiB;     // of several blocks in one call of send()
constexpr std::size_t unsent_bytes_max = 128_KiB;  // in the kernel's send buffer: Stream::limit_unsent()
constexpr std::size_t memory_bytes_max = 16_MiB;   // queued bytes above which the peer is disconnected,
constexpr std::size_t memory_factor = 4;           // or this multiple of bytes_max, if it is more
constexpr int ticks_stalled_max = 10;              // per stalled_max
constexpr int ticks_slow = 5;                      // half of it: the period in which a quarter must be accepted

}  // namespace

// Exists while the outbox is behind: decides when its peer is slow, and when it is disconnected. It counts ticks of its
// timer instead of comparing times: while the whole process is stopped there are none, so no peer is disconnected for
// that.
class Outbox::LagMonitor : private Timer {
 public:
  explicit LagMonitor(Outbox& outbox) noexcept
      : Timer([](Timer& self) noexcept { static_cast<LagMonitor&>(self).tick(); }), outbox_(outbox) {
    start();
  }
  LagMonitor(const LagMonitor&) = delete;
  LagMonitor& operator=(const LagMonitor&) = delete;
  ~LagMonitor() { Timers::stop(*this); }
  // A call of send() has returned.
  void sent(std::size_t count) noexcept { sent_ += count - std::exchange(sent_of_current_, 0); }
  [[nodiscard]] bool slow() const noexcept { return slow_; }

  List<UnblockedHook> unblocked_waiters;  // until it delays no publishers
  List<UnblockedHook> ready_waiters;      // until it is not behind

 private:
  [[nodiscard]] Duration tick_duration() const noexcept { return Duration(outbox_.stalled_max_) / ticks_stalled_max; }
  void start() noexcept {
    Loop& loop = Loop::current();
    loop.timers().start(*this, later(loop.backend().now(), tick_duration()));
  }
  void tick() noexcept {
    // What the peer has accepted of a large block is progress, too.
    const std::size_t accepted = outbox_.sending_ == nullptr
                                     ? 0
                                     : outbox_.sending_->sent - std::exchange(sent_of_current_, outbox_.sending_->sent);
    sent_ += accepted;
    const bool is_taken = outbox_.stream_ != nullptr && outbox_.stream_->send_stalled() < tick_duration();
    if (accepted != 0 || is_taken) {
      ticks_without_progress_ = 0;
    } else if (++ticks_without_progress_ == ticks_stalled_max) {
      outbox_.stalled_ = true;
      return outbox_.overflow();  // destroys this
    }
    if (sent_ >= outbox_.bytes_max_ / 4) {
      sent_ = 0;
      ticks_ = 0;
      slow_ = false;
    } else if (++ticks_ == ticks_slow) {
      sent_ = 0;
      ticks_ = 0;
      slow_ = true;
      run_all(unblocked_waiters);
    }
    start();
  }

  Outbox& outbox_;
  int ticks_ = 0;                    // of the current period, which ends after ticks_slow, or when enough was sent
  std::size_t sent_ = 0;             // in that period
  std::size_t sent_of_current_ = 0;  // what sent_ has of the send() that runs
  int ticks_without_progress_ = 0;   // in a row, in which the peer accepted nothing
  bool slow_ = false;
};

// Waits for bytes to send, finish() or an overflow. A cancellation only wakes it.
class Outbox::Wait : public Operation<Wait>, public Completion {
 public:
  explicit Wait(Outbox& outbox) noexcept
      : Operation([](Waiting& self) noexcept { static_cast<Wait&>(self).outbox_.wake(); }),
        Completion([](Completion& self) noexcept { static_cast<Wait&>(self).resume(); }),
        outbox_(outbox) {}
  bool start() noexcept {
    if (outbox_.first_.block || outbox_.finished_ || outbox_.overflowed_) return true;
    outbox_.wait_ = this;
    return false;
  }
  void finish() const noexcept {}

 private:
  Outbox& outbox_;
};

Outbox::Outbox(OutboxOptions options) noexcept
    : bytes_max_(options.bytes_max),
      stalled_max_(milliseconds(options.stalled_max)),
      form_(static_cast<std::uint16_t>(std::min<std::size_t>(options.form, UINT16_MAX))) {}

Outbox::~Outbox() {
  if (drainer_ != nullptr) [[unlikely]] {
    abort_misuse("an Outbox is destroyed while drain() sends from it; end that task first: cancel and await it");
  }
  if (subscriptions_ != 0) [[unlikely]] {
    abort_misuse(
        "an Outbox is destroyed while a Subscription refers to it; declare the Outbox before the Subscription");
  }
  stop_lagging();
}

std::size_t Outbox::memory_max() const noexcept { return std::max(memory_bytes_max, memory_factor * bytes_max_); }

std::size_t Outbox::cost() const noexcept { return bytes_ + (more_.size() + 1) * piece_overhead_bytes; }

void Outbox::wake() noexcept {
  if (wait_ != nullptr) Loop::current().finish_later(*std::exchange(wait_, nullptr));
}

void Outbox::push(const Shared& block, std::size_t offset) {
  const BytesView bytes = block.bytes().from(offset);
  if (bytes.empty() || finished_ || overflowed_) return;
  bytes_ += bytes.size();
  if (first_.block) {
    more_.push_back({block, bytes});
  } else {
    first_ = {block, bytes};
  }
  wake();
  if (cost() <= bytes_max_) return;
  if (lag_monitor_ == nullptr) lag_monitor_ = std::make_unique<LagMonitor>(*this);
  if (cost() > memory_max()) overflow();
}

// Pops the pieces for one call of send(). A block is never divided between two calls, since another task may send in
// between, such as a WebSocket that answers a ping, and what it sends would be in the middle of a message.
std::vector<Outbox::Piece> Outbox::take_some() {
  std::vector<Piece> taken;
  std::size_t total = first_.bytes.size();
  taken.push_back(std::move(first_));
  auto next = more_.begin();
  for (; next != more_.end() && total + next->bytes.size() <= send_bytes_max; ++next) {
    total += next->bytes.size();
    taken.push_back(std::move(*next));
  }
  if (next != more_.end()) first_ = std::move(*next++);
  more_.erase(more_.begin(), next);
  return taken;
}

void Outbox::sent(std::size_t count) noexcept {
  sending_ = nullptr;
  bytes_ -= count;
  if (lag_monitor_ == nullptr) return;
  lag_monitor_->sent(count);
  if (cost() <= bytes_max_ / 2 || !first_.block) stop_lagging();
}

void Outbox::drop() noexcept {
  if (first_.block) bytes_ -= first_.bytes.size();
  for (const Piece& piece : more_) bytes_ -= piece.bytes.size();
  first_ = {};
  more_ = {};
}

bool Outbox::blocks_publishers() const noexcept { return lag_monitor_ != nullptr && !lag_monitor_->slow(); }

void Outbox::run_all(List<UnblockedHook>& hooks) noexcept {
  while (!hooks.empty()) {
    UnblockedHook& hook = hooks.pop_front();
    hook.run(hook);
  }
}

void Outbox::on_unblocked(UnblockedHook& hook) noexcept { lag_monitor_->unblocked_waiters.push_back(hook); }

void Outbox::stop_lagging() noexcept {
  const std::unique_ptr<LagMonitor> monitor = std::move(lag_monitor_);  // from here on it is not behind
  if (!monitor) return;
  run_all(monitor->unblocked_waiters);
  run_all(monitor->ready_waiters);
}

void Outbox::overflow() noexcept {
  overflowed_ = true;
  drop();
  stop_lagging();
  wake();
  if (drainer_ != nullptr) drainer_->cancel();
}

void Outbox::throw_overflow(const Stream& stream) const {
  const std::string reason = "it reads too slowly: " + format_size(bytes_) + " waited for it" +
                             (stalled_ ? ", and it took nothing for " + format_duration(stalled_max_) : "");
  throw Error(ErrorKind::overloaded, "send to", stream.peer_name(), reason);
}

void Outbox::finish() noexcept {
  finished_ = true;
  wake();
}

void Outbox::end_subscription() noexcept {
  ++ended_subscriptions_;
  finish_if_ended();
}

void Outbox::remove_subscription(bool has_ended) noexcept {
  --subscriptions_;
  if (has_ended) {
    --ended_subscriptions_;
  } else {
    finish_if_ended();
  }
}

// Finishes once every topic that it is subscribed to has closed, and there is at least one.
void Outbox::finish_if_ended() noexcept {
  if (ended_subscriptions_ != 0 && ended_subscriptions_ == subscriptions_) finish();
}

void Outbox::abandon() noexcept {
  drop();
  finish();
  stop_lagging();
}

Outbox::Ready::Ready(Outbox& outbox) noexcept
    : Operation([](Waiting& self) noexcept {
        auto& ready = static_cast<Ready&>(self);
        if (!ready.linked()) return;  // already woken
        ready.unlink();
        ready.woken_.cancelled = true;
        ready.wake();
      }),
      UnblockedHook([](UnblockedHook& self) noexcept { static_cast<Ready&>(self).wake(); }),
      outbox_(outbox),
      woken_([](Completion& self) noexcept { static_cast<Woken&>(self).ready->resume(); }) {}

bool Outbox::Ready::start() noexcept {
  if (!outbox_.behind()) return true;
  outbox_.lag_monitor_->ready_waiters.push_back(*this);
  return false;
}

void Outbox::Ready::wake() noexcept {
  woken_.ready = this;
  Loop::current().finish_later(woken_);
}

void Outbox::Ready::finish() const {
  if (woken_.cancelled) throw Cancelled();
}

Task<> Outbox::drain_to(Stream& stream) {
  if (drainer_ != nullptr) throw Error(ErrorKind::invalid, "drain", "an outbox", "another task already drains it");
  const struct Drainer {
    Drainer(Outbox& of, Context& context, Stream& stream) noexcept : outbox(of) {
      outbox.drainer_ = &context;
      outbox.stream_ = &stream;
    }
    Drainer(const Drainer&) = delete;
    Drainer& operator=(const Drainer&) = delete;
    ~Drainer() {
      outbox.drainer_ = nullptr;
      outbox.stream_ = nullptr;
      outbox.sending_ = nullptr;
    }
    Outbox& outbox;
  } drainer(*this, co_await this_context(), stream);
  stream.limit_unsent(unsent_bytes_max);
  try {
    while (true) {
      co_await Wait(*this);
      if (overflowed_) throw Cancelled();  // becomes Error(overloaded) below
      if (!first_.block) {
        if (finished_) break;
        continue;  // woken by a cancellation: the next wait throws
      }
      if (more_.empty()) {
        const Piece piece = std::move(first_);
        Stream::Send send = stream.send(piece.bytes);
        sending_ = &send;
        co_await send;
        sent(piece.bytes.size());
      } else {
        co_await send_some(stream);
      }
    }
  } catch (const Cancelled&) {
    if (!overflowed_) throw;
    throw_overflow(stream);
  }
}

// From several blocks. A coroutine of its own: its variables are not in the frame that lives as long as a connection
// does.
Task<> Outbox::send_some(Stream& stream) {
  const std::vector<Piece> pieces = take_some();
  std::vector<BytesView> all;
  std::size_t total = 0;
  for (const Piece& piece : pieces) {
    all.push_back(piece.bytes);
    total += piece.bytes.size();
  }
  Stream::Send send = stream.send(all);
  sending_ = &send;
  co_await send;
  sent(total);
}

}  // namespace coax
