// Topic: what is published reaches every seat, on every loop, in one order that is the same for all.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "coax/base/bytes.hpp"
#include "coax/base/list.hpp"
#include "coax/loop/loop.hpp"
#include "coax/server/outbox.hpp"

namespace coax {

class Topic;

// A place in a topic: what is published while it lives goes into its outbox. Belongs to the loop that made it, and must
// be destroyed there, before the outbox.
class Seat : private ListHook {
 public:
  Seat(Topic& topic, Outbox& outbox);
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;
  // Everything that was published before is in the outbox.
  ~Seat() { leave(); }
  // Puts what was published until now into the outboxes of this loop at once, for whoever wants to add something of his
  // own after it.
  void catch_up();

 private:
  friend class Topic;
  template <class T>
  friend class List;
  struct Part;
  void leave();
  std::shared_ptr<Part> part_;
  Outbox& outbox_;
};

class Topic {
 public:
  // The number of wire forms that each message comes in; an outbox takes the one that its options name.
  explicit Topic(std::size_t forms = 1) : forms_(forms) {}
  Topic(const Topic&) = delete;
  Topic& operator=(const Topic&) = delete;

  // The outbox gets everything that is published from now on. Throws Error(invalid) when it names a form that is not.
  [[nodiscard]] Seat join(Outbox& outbox) { return {*this, outbox}; }

  // Any thread. Two calls that follow each other, on whatever threads, are in that order for everybody. The bytes are
  // copied; they leave in the same or the next turn of each loop, together with what else was published until then.
  void publish(std::span<const Bytes> forms);
  void publish(Bytes message) { publish(std::span(&message, 1)); }
  // Any thread. The last message, so to say: what was published before still reaches everybody, then each outbox is
  // finished. What is published afterwards is dropped.
  void close();

 private:
  friend class Seat;
  std::shared_ptr<Seat::Part> part_of(Loop& loop);

  std::size_t forms_;
  std::shared_ptr<std::mutex> mutex_ = std::make_shared<std::mutex>();  // of the parts, too: they may outlive us
  std::vector<std::shared_ptr<Seat::Part>> parts_;                      // one per loop that has, or had, a seat
  bool closed_ = false;
};

}  // namespace coax
