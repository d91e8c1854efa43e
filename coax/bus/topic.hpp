// Topic: broadcasts messages to all subscribers, on every loop, in one order that is the same for all.
//
// Backpressure: publish() waits while the outbox of any subscriber is behind (see Outbox), so that a handler which
// awaits it does not read from its own peer. The wait is at most one second per message, and publishers do not wait for
// a slow peer.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "coax/base/bytes.hpp"
#include "coax/base/list.hpp"
#include "coax/bus/outbox.hpp"
#include "coax/loop/loop.hpp"
#include "coax/task/task.hpp"

namespace coax {

class Topic;

// During its lifetime, published messages are pushed to its outbox. An outbox may have subscriptions to several topics:
// each topic's messages arrive in its order, and there is no order between topics.
// Lifetime: shorter than the outbox.
// Thread: that of the loop on which it was constructed.
class Subscription : private ListHook {
 public:
  Subscription(Topic& topic, Outbox& outbox);
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;
  // Catches up first. Finishes the outbox if all other topics that it is subscribed to have closed, and there are any.
  ~Subscription();
  // Pushes the messages published so far to the outbox at once, so that the caller can push something after them.
  void catch_up();
  // Catches up, and finishes the outbox: drain() returns when all of that has been sent.
  void finish();

 private:
  friend class Topic;
  template <class T>
  friend class List;
  struct Part;
  struct Behind : Outbox::UnblockedHook {
    using UnblockedHook::UnblockedHook;
    Subscription* subscription = nullptr;
  };
  void push_sealed();
  void end() noexcept;
  void record_behind() noexcept;
  void release_behind() noexcept;

  std::shared_ptr<Part> part_;
  Outbox& outbox_;
  Behind behind_;            // linked while the outbox is behind
  std::size_t offset_ = 0;   // the outbox has this many bytes of the block
  std::uint32_t block_ = 0;  // after this many sealed blocks of the turn, which it has, too
  bool ended_ = false;       // the topic has closed
};

class Topic {
 public:
  // `forms`: the number of encodings of each message; the options of an outbox select one.
  // Throws: Error(invalid) when it is 0.
  explicit Topic(std::size_t forms = 1);
  Topic(const Topic&) = delete;
  Topic& operator=(const Topic&) = delete;
  ~Topic();

  // The outbox gets every message that is published from now on; from a closed topic, the end.
  // Throws: Error(invalid) when the outbox names a form that the topic does not have.
  // Thread: the loop of the outbox.
  [[nodiscard]] Subscription subscribe(Outbox& outbox) { return {*this, outbox}; }

  class Publish;
  // Waits until no subscriber is behind, at most a second, then publishes. Publishers on one loop wait in a queue.
  // Throws: Error(invalid) when the topic has more than one form.
  // Cancelled: nothing was published.
  // Lifetime: the bytes must live until the await ends.
  // Thread: any loop's.
  [[nodiscard]] Publish publish(BytesView message) noexcept;
  // Only the wait of publish(), to be followed by publish_now().
  // Cancelled: nothing has changed.
  // Thread: any loop's.
  [[nodiscard]] Publish ready() noexcept;

  // Publishes without a wait: for messages without backpressure, such as "x left". The bytes are copied, and sent in
  // this or the next turn of each loop, together with all earlier messages. Calls on different threads are ordered: if
  // one returns before the other begins, it is the first for all subscribers.
  // Throws: Error(invalid) when the number of encodings is wrong.
  // Thread: any.
  void publish_now(std::span<const BytesView> forms);
  void publish_now(BytesView message) { publish_now(std::span(&message, 1)); }
  // Earlier messages still reach all subscribers; then each outbox without another open topic is finished. Messages
  // published afterwards are dropped.
  // Thread: any.
  void close();

 private:
  friend class Subscription;
  struct State;
  std::shared_ptr<State> state_;  // the parts share it: they may outlive the topic
};

class [[nodiscard("it does nothing until it is awaited")]] Topic::Publish : public Operation<Publish>, public ListHook {
 public:
  Publish(Topic& topic, BytesView message, bool publishes) noexcept;
  bool start() noexcept;
  void finish();

 private:
  friend class Subscription;
  struct Patience : Timer {
    using Timer::Timer;
    Publish* publish = nullptr;
  };
  struct Woken : Completion {
    using Completion::Completion;
    Publish* publish = nullptr;
    bool cancelled = false;
  };
  void proceed() noexcept;

  Topic& topic_;
  BytesView message_;
  Patience patience_;
  Woken woken_;
  bool publishes_;
};

inline Topic::Publish Topic::publish(BytesView message) noexcept { return {*this, message, true}; }
inline Topic::Publish Topic::ready() noexcept { return {*this, {}, false}; }

}  // namespace coax
