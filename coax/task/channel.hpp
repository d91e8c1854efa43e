// Channel: a bounded first-in, first-out queue between tasks of one loop, as asyncio.Queue in Python or a memory
// channel in Trio. It buffers `capacity` values. With a capacity of 0, each send waits for a receiver, as in an
// unbuffered channel in Go.
//
// While a task waits, nothing has been transferred: its value moves when the task is resumed, in one step. Cancelling a
// waiting task therefore has no effect on the channel, and a value is neither lost nor delivered twice, not even in a
// race().
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "coax/loop/loop.hpp"
#include "coax/task/task.hpp"

namespace coax {

namespace detail {

// A send or receive, while it waits. It is linked in the channel's list until it is served. When the wait ends because
// of a close or a cancellation, it moves to the loop's list of completions to call.
template <class Derived>
class ChannelWaiter : public Operation<Derived>, public Completion {
 public:
  ChannelWaiter() noexcept
      : Operation<Derived>([](Waiting& self) noexcept { static_cast<Derived&>(self).leave(End::cancelled); }),
        Completion([](Completion& self) noexcept { static_cast<Derived&>(self).resume(); }) {}

 protected:
  enum class End : std::uint8_t { none, served, closed, cancelled };

  void served() noexcept {
    end_ = End::served;
    this->unlink();
  }
  void leave(End why) noexcept {
    if (end_ != End::none) return;
    end_ = why;
    Loop::current().finish_later(*this);
  }
  void check_not_cancelled() const {
    if (end_ == End::cancelled) throw Cancelled();
  }
  [[nodiscard]] bool is_closed() const noexcept { return end_ == End::closed; }

  End end_ = End::none;
  std::uint64_t ticket_ = 0;
};

}  // namespace detail

// Lifetime: destroying the channel closes it, and destroys the values that were not received.
// Thread: that of one loop; from another thread by run_on() or Loop::post().
// Memory is allocated in the constructor only.
template <class T>
class Channel {
  static_assert(std::is_nothrow_move_constructible_v<T>, "a value whose move can fail could be lost");

 public:
  class Send;
  class Recv;

  explicit Channel(std::size_t capacity) : ring_(capacity), serving_(*this) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel();

  // Waits while the channel is full; senders are served in the order of their calls. An lvalue is copied.
  // Throws: Error(disconnected) when the channel is closed, before or during the wait.
  // Cancelled: the value was not sent and the caller still has it. The same holds for Error(disconnected).
  // Lifetime: an rvalue is moved from when it is accepted, and must live until then.
  [[nodiscard]] Send send(T&& value) noexcept { return Send(*this, &value, std::nullopt); }
  [[nodiscard]] Send send(const T& value)
    requires std::is_copy_constructible_v<T>
  {
    return Send(*this, nullptr, value);
  }
  // Waits for the next value; receivers are served in the order of their calls.
  // Returns: an std::optional<T>, empty when the channel is closed and no value is left.
  // Cancelled: no value was received.
  [[nodiscard]] Recv recv() noexcept { return Recv(*this); }

  // Ends sending: waiting senders get Error(disconnected). Buffered values can still be received.
  void close() noexcept;

 private:
  // Serves waiting tasks from the loop, after the running task has been suspended, so that a resumed task never runs
  // inside of the call of another.
  struct Serving : Completion {
    explicit Serving(Channel& of) noexcept
        : Completion([](Completion& self) noexcept { static_cast<Serving&>(self).channel.serve(); }), channel(of) {}
    Channel& channel;
    bool* is_destroyed = nullptr;  // set by the destructor: a resumed task may destroy the channel
  };

  [[nodiscard]] bool has_room() const noexcept { return size_ < ring_.size(); }
  void put(T&& value) noexcept { ring_[(first_ + size_++) % ring_.size()].emplace(std::move(value)); }
  T take() noexcept {
    std::optional<T>& place = ring_[std::exchange(first_, (first_ + 1) % ring_.size())];
    --size_;
    T value = std::move(*place);
    place.reset();
    return value;
  }

  [[nodiscard]] bool can_accept() noexcept { return has_room() && !senders_.empty(); }
  [[nodiscard]] bool can_give() noexcept { return size_ != 0 && !receivers_.empty(); }
  [[nodiscard]] bool can_hand_over() noexcept { return ring_.empty() && !senders_.empty() && !receivers_.empty(); }
  void serve_later() noexcept;
  void serve() noexcept;
  bool serve_one(std::uint64_t until) noexcept;
  void close_receivers() noexcept;

  std::vector<std::optional<T>> ring_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  List<Send> senders_;
  List<Recv> receivers_;
  std::uint64_t tickets_ = 0;
  Serving serving_;
  bool closed_ = false;
};

template <class T>
class [[nodiscard("it does nothing until it is awaited")]] Channel<T>::Send : public detail::ChannelWaiter<Send> {
 public:
  bool start() noexcept {
    if (channel_->closed_) {
      this->end_ = Send::End::closed;
      return true;
    }
    if (channel_->has_room() && channel_->senders_.empty() && Loop::current().backend().consume_budget()) {
      channel_->put(std::move(value()));
      this->served();
    } else {
      this->ticket_ = channel_->tickets_++;
      channel_->senders_.push_back(*this);
    }
    channel_->serve_later();
    return this->end_ != Send::End::none;
  }
  void finish() const {
    this->check_not_cancelled();
    if (this->is_closed()) throw Error(ErrorKind::disconnected, "send to", "a channel", "it is closed");
  }

 private:
  friend class Channel;
  Send(Channel& channel, T* given, std::optional<T> copy) : channel_(&channel), given_(given), copy_(std::move(copy)) {}
  T& value() noexcept { return given_ != nullptr ? *given_ : *copy_; }

  Channel* channel_;
  T* given_;
  std::optional<T> copy_;
};

template <class T>
class [[nodiscard("it does nothing until it is awaited")]] Channel<T>::Recv : public detail::ChannelWaiter<Recv> {
 public:
  bool start() noexcept {
    if (channel_->closed_ && channel_->size_ == 0) return true;
    if (channel_->size_ != 0 && channel_->receivers_.empty() && Loop::current().backend().consume_budget()) {
      value_ = channel_->take();
      this->served();
    } else {
      this->ticket_ = channel_->tickets_++;
      channel_->receivers_.push_back(*this);
    }
    channel_->serve_later();
    return this->end_ != Recv::End::none;
  }
  std::optional<T> finish() {
    this->check_not_cancelled();
    return std::move(value_);
  }

 private:
  friend class Channel;
  explicit Recv(Channel& channel) noexcept : channel_(&channel) {}

  Channel* channel_;
  std::optional<T> value_;
};

template <class T>
Channel<T>::~Channel() {
  size_ = 0;
  close();
  if (serving_.is_destroyed != nullptr) *serving_.is_destroyed = true;
}

template <class T>
void Channel<T>::close() noexcept {
  closed_ = true;
  senders_.for_each([](Send& send) { send.leave(Send::End::closed); });
  close_receivers();
}

template <class T>
void Channel<T>::close_receivers() noexcept {
  if (closed_ && size_ == 0) receivers_.for_each([](Recv& recv) { recv.leave(Recv::End::closed); });
}

template <class T>
void Channel<T>::serve_later() noexcept {
  if (!serving_.linked() && (can_accept() || can_give() || can_hand_over())) Loop::current().finish_later(serving_);
}

template <class T>
void Channel<T>::serve() noexcept {
  bool is_destroyed = false;
  serving_.is_destroyed = &is_destroyed;
  const std::uint64_t until =
      tickets_;  // tasks that begin to wait after this are served by a later call, so that it ends
  while (serve_one(until)) {
    if (is_destroyed) return;
  }
  serving_.is_destroyed = nullptr;
  close_receivers();
  serve_later();
}

// Returns: false when no task that waits since before `until` can be served.
template <class T>
bool Channel<T>::serve_one(std::uint64_t until) noexcept {
  if (can_accept() && senders_.front().ticket_ < until) {
    Send& send = senders_.front();
    put(std::move(send.value()));
    send.served();
    send.resume();
    return true;
  }
  if (can_give() && receivers_.front().ticket_ < until) {
    Recv& recv = receivers_.front();
    recv.value_ = take();
    recv.served();
    recv.resume();
    return true;
  }
  if (can_hand_over() && senders_.front().ticket_ < until && receivers_.front().ticket_ < until) {
    Send& send = senders_.front();
    Recv& recv = receivers_.front();
    recv.value_ = std::move(send.value());
    recv.served();
    send.served();
    recv.resume();  // first: when both are in the same race(), the receiver must win it, or the value is lost
    send.resume();
    return true;
  }
  return false;
}

}  // namespace coax
