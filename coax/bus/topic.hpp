// Topic: what is published reaches every subscriber, on every loop, in one order that is the same for all.
//
// Publishers are slowed before a subscriber is lost: publish() waits while the outbox of any subscriber is behind (see
// Outbox), so that a handler which awaits it reads no more from its own peer meanwhile. The wait is at most one second
// a message, and publishers do not wait for a slow peer at all.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "coax/base/bytes.hpp"
#include "coax/base/list.hpp"
#include "coax/loop/loop.hpp"
#include "coax/server/outbox.hpp"
#include "coax/task/task.hpp"

namespace coax {

class Topic;

// While it lives, what is published goes into its outbox.
// Lifetime: shorter than the outbox. Thread: belongs to the loop that made it.
class Subscription : private ListHook {
 public:
  Subscription(Topic& topic, Outbox& outbox);
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;
  // Everything that was published before is in the outbox.
  ~Subscription();
  // Puts what was published until now into the outbox at once, so that the caller can push something after it.
  void catch_up();
  // The same, and finishes the outbox: drain() returns when all of that has been sent.
  void finish();

 private:
  friend class Topic;
  template <class T>
  friend class List;
  struct Part;
  struct Behind : Outbox::Relief {
    using Relief::Relief;
    Subscription* subscription = nullptr;
  };
  void push_sealed();
  void note_behind() noexcept;
  void release_behind() noexcept;

  std::shared_ptr<Part> part_;
  Outbox& outbox_;
  Behind behind_;           // linked while the outbox is
  std::size_t block_ = 0;   // where it goes on in what this turn has brought: so many sealed blocks,
  std::size_t offset_ = 0;  // and so many bytes of the one after them
};

class Topic {
 public:
  // `forms`: the number of encodings that each message comes in; an outbox gets the one that its options name.
  explicit Topic(std::size_t forms = 1);
  Topic(const Topic&) = delete;
  Topic& operator=(const Topic&) = delete;
  ~Topic();

  // The outbox gets everything that is published from now on; of a closed topic, the end.
  // Throws: Error(invalid) when the outbox names a form that the topic does not have.
  [[nodiscard]] Subscription subscribe(Outbox& outbox) { return {*this, outbox}; }

  class Publish;
  // Waits until no subscriber is behind, at most a second, then publishes. Publishers on one loop take turns.
  // Cancelled: nothing was published. Lifetime: the bytes must live until it returns.
  [[nodiscard]] Publish publish(Bytes message) noexcept;
  // The same wait alone, to be followed by publish_now().
  [[nodiscard]] Publish ready() noexcept;

  // Publishes without a wait: for what cannot be slowed, such as "x left". Two calls that follow each other, on any
  // threads, are in that order for all. The bytes are copied; they leave in the same or the next turn of each loop,
  // together with what else was published until then. Throws Error(invalid) when that are not as many encodings as the
  // topic has. Thread: any.
  void publish_now(std::span<const Bytes> forms);
  void publish_now(Bytes message) { publish_now(std::span(&message, 1)); }
  // What was published before still reaches all, then each outbox is finished. What is published afterwards is dropped.
  // Thread: any.
  void close();

 private:
  friend class Subscription;
  struct State;
  std::shared_ptr<State> state_;  // the parts share it: they may outlive the topic, which lets go of them then
};

class [[nodiscard("it does nothing until it is awaited")]] Topic::Publish : public Leaf<Publish>, public ListHook {
 public:
  Publish(Topic& topic, Bytes message, bool publishes) noexcept;
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
  void go_on() noexcept;

  Topic& topic_;
  Bytes message_;
  Patience patience_;
  Woken woken_;
  bool publishes_;
};

inline Topic::Publish Topic::publish(Bytes message) noexcept { return {*this, message, true}; }
inline Topic::Publish Topic::ready() noexcept { return {*this, {}, false}; }

}  // namespace coax
