// A topic has a part on each loop. Publishing appends the encoded bytes to the inbox of each part, under one lock,
// which determines the order. Once a turn the loop seals its inbox into a block that its subscribers share: one push
// per subscriber, and one send, however many messages were published since the last turn.
//
// Congestion is one counter for all loops: subscriptions whose outbox is behind, and inboxes that have grown large
// since the last turn. Publishers wait while it is not zero.
#include "coax/bus/topic.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "coax/base/error.hpp"

namespace coax {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t inbox_bytes_max = 128_KiB;  // of one turn, before publishers wait for the next one
constexpr std::size_t copied_bytes_max = 16_KiB;  // copied when one subscription catches up; above, a block is sealed
constexpr Duration patience = 1s;

}  // namespace

struct Topic::State {
  explicit State(std::size_t count) : forms(count) {}
  [[nodiscard]] std::shared_ptr<Subscription::Part> part_of(Loop& loop, const std::shared_ptr<State>& self);
  void congest() noexcept { congestion.fetch_add(1, std::memory_order_acq_rel); }
  void end_congestion() noexcept;
  [[nodiscard]] bool congested() const noexcept { return congestion.load(std::memory_order_acquire) != 0; }

  const std::size_t forms;
  std::atomic<std::size_t> congestion = 0;
  std::atomic<std::size_t> waiting = 0;  // publishers, on all loops
  // of the following members, and of the parts' members that are marked so
  std::mutex mutex;
  std::vector<std::shared_ptr<Subscription::Part>> parts;  // one for each loop that has, or had, a subscription
  bool closed = false;
};

struct Subscription::Part : std::enable_shared_from_this<Part> {
  Part(Loop& of, std::shared_ptr<Topic::State> whole)
      : loop(of), state(std::move(whole)), sealed(state->forms), inbox(state->forms), readers_of_form(state->forms) {}

  // Under the mutex.
  void append(std::span<const BytesView> message) {
    for (std::size_t form = 0; form < inbox.size(); ++form) {
      if (readers_of_form[form] == 0) continue;
      inbox[form].append(message[form].text());
      if (inbox[form].size() > inbox_bytes_max && !std::exchange(flooded, true)) state->congest();
      notify();
    }
  }
  void notify() {
    if (std::exchange(notified, true)) return;
    loop.post([self = shared_from_this()] { self->deliver(); });
  }
  void seal(std::size_t form) {
    if (!inbox[form].empty()) sealed[form].emplace_back(std::exchange(inbox[form], {}));
  }

  // On the loop.
  void deliver();
  void resume_waiting() noexcept;

  Loop& loop;
  const std::shared_ptr<Topic::State> state;
  List<Subscription> subscriptions;
  List<Topic::Publish> publishers;          // waiting
  std::vector<std::vector<Shared>> sealed;  // of this turn, not yet pushed to all
  bool finished = false;

  // Under the topic's mutex.
  std::vector<std::string> inbox;
  std::vector<std::size_t> readers_of_form;
  bool notified = false;
  bool flooded = false;
  bool has_waiting = false;
};

void Subscription::Part::deliver() {
  bool was_flooded = false;
  {
    const std::scoped_lock lock(state->mutex);
    for (std::size_t form = 0; form < inbox.size(); ++form) seal(form);
    notified = false;
    was_flooded = std::exchange(flooded, false);
    finished = state->closed;
  }
  subscriptions.for_each([this](Subscription& subscription) {
    subscription.push_sealed();
    subscription.block_ = 0;
    if (finished) subscription.end();
  });
  for (auto& blocks : sealed) blocks.clear();
  if (was_flooded) state->end_congestion();
}

// One after the other, until their messages congest the topic again.
void Subscription::Part::resume_waiting() noexcept {
  while (!publishers.empty()) {
    if (state->congested()) {
      const std::scoped_lock lock(state->mutex);
      has_waiting = true;
      if (state->congested()) return;  // State::end_congestion() posts the next call
    }
    publishers.front().proceed();
  }
}

// --- Topic::State ---

std::shared_ptr<Subscription::Part> Topic::State::part_of(Loop& loop, const std::shared_ptr<State>& self) {
  for (const auto& part : parts) {
    if (&part->loop == &loop) return part;
  }
  return parts.emplace_back(std::make_shared<Subscription::Part>(loop, self));
}

void Topic::State::end_congestion() noexcept {
  if (congestion.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const std::scoped_lock lock(mutex);
  for (const auto& part : parts) {
    if (std::exchange(part->has_waiting, false)) part->loop.post([part] { part->resume_waiting(); });
  }
}

// --- Subscription ---

Subscription::Subscription(Topic& topic, Outbox& outbox)
    : outbox_(outbox),
      behind_([](Outbox::UnblockedHook& self) noexcept { static_cast<Behind&>(self).subscription->release_behind(); }) {
  if (outbox.form() >= topic.state_->forms) {
    throw Error(ErrorKind::invalid, "subscribe to", "a topic",
                "the outbox names an encoding that the topic does not have");
  }
  behind_.subscription = this;
  outbox.add_subscription();
  {
    const std::scoped_lock lock(topic.state_->mutex);
    part_ = topic.state_->part_of(Loop::current(), topic.state_);
    ++part_->readers_of_form[outbox.form()];
    block_ = static_cast<std::uint32_t>(part_->sealed[outbox.form()].size());
    offset_ = part_->inbox[outbox.form()].size();
    if (topic.state_->closed) part_->notify();
  }
  part_->subscriptions.push_back(*this);
}

Subscription::~Subscription() {
  catch_up();
  unlink();
  outbox_.remove_subscription(ended_);
  if (behind_.linked()) release_behind();
  const std::scoped_lock lock(part_->state->mutex);
  --part_->readers_of_form[outbox_.form()];
}

void Subscription::push_sealed() {
  const std::vector<Shared>& blocks = part_->sealed[outbox_.form()];
  while (block_ < blocks.size()) outbox_.push(blocks[block_++], std::exchange(offset_, 0));
  if (outbox_.blocks_publishers()) record_behind();
}

void Subscription::catch_up() {
  const std::size_t form = outbox_.form();
  std::string tail;
  {
    const std::scoped_lock lock(part_->state->mutex);
    const std::string& inbox = part_->inbox[form];
    const std::size_t begin = block_ < part_->sealed[form].size() ? 0 : offset_;
    if (inbox.size() - begin > copied_bytes_max) {
      part_->seal(form);
    } else {
      tail = inbox.substr(begin);
    }
  }
  push_sealed();
  offset_ += tail.size();
  outbox_.push(std::move(tail));
}

// The topic has closed, and all of its messages are in the outbox.
void Subscription::end() noexcept {
  if (std::exchange(ended_, true)) return;
  outbox_.end_subscription();
}

void Subscription::finish() {
  catch_up();
  outbox_.finish();
}

void Subscription::record_behind() noexcept {
  if (behind_.linked()) return;
  part_->state->congest();
  outbox_.on_unblocked(behind_);
}

void Subscription::release_behind() noexcept {
  behind_.unlink();
  part_->state->end_congestion();
}

// --- Topic ---

Topic::Topic(std::size_t forms) : state_(std::make_shared<State>(forms)) {
  if (forms == 0) throw Error(ErrorKind::invalid, "make", "a topic", "its messages need at least one encoding");
}

Topic::~Topic() {
  const std::scoped_lock lock(state_->mutex);
  state_->parts.clear();
}

void Topic::publish_now(std::span<const BytesView> forms) {
  if (forms.size() != state_->forms) {
    throw Error(ErrorKind::invalid, "publish to", "a topic",
                fmt::format("{} encodings were given, and it has {}", forms.size(), state_->forms));
  }
  const std::scoped_lock lock(state_->mutex);
  if (state_->closed) return;
  for (const auto& part : state_->parts) part->append(forms);
}

void Topic::close() {
  const std::scoped_lock lock(state_->mutex);
  state_->closed = true;
  for (const auto& part : state_->parts) {
    if (std::ranges::any_of(part->readers_of_form, [](std::size_t count) { return count != 0; })) part->notify();
  }
}

Topic::Publish::Publish(Topic& topic, BytesView message, bool publishes) noexcept
    : Operation([](Waiting& self) noexcept {
        auto& publish = static_cast<Publish&>(self);
        if (!publish.linked()) return;
        publish.unlink();
        Timers::stop(publish.patience_);
        publish.topic_.state_->waiting.fetch_sub(1, std::memory_order_relaxed);
        publish.woken_.publish = &publish;
        publish.woken_.cancelled = true;
        Loop::current().finish_later(publish.woken_);
      }),
      topic_(topic),
      message_(message),
      patience_([](Timer& self) noexcept { static_cast<Patience&>(self).publish->proceed(); }),
      woken_([](Completion& self) noexcept { static_cast<Woken&>(self).publish->resume(); }),
      publishes_(publishes) {}

bool Topic::Publish::start() noexcept {
  State& state = *topic_.state_;
  if (!state.congested() && state.waiting.load(std::memory_order_relaxed) == 0) return true;
  Loop& loop = Loop::current();
  const std::scoped_lock lock(state.mutex);
  const auto part = state.part_of(loop, topic_.state_);
  if (!state.congested() && part->publishers.empty()) return true;
  part->has_waiting = true;
  part->publishers.push_back(*this);
  state.waiting.fetch_add(1, std::memory_order_relaxed);
  patience_.publish = this;
  loop.timers().start(patience_, later(loop.backend().now(), patience));
  return false;
}

void Topic::Publish::proceed() noexcept {
  unlink();
  Timers::stop(patience_);
  topic_.state_->waiting.fetch_sub(1, std::memory_order_relaxed);
  resume();
}

void Topic::Publish::finish() {
  if (woken_.cancelled) throw Cancelled();
  if (publishes_) topic_.publish_now(message_);
}

}  // namespace coax
