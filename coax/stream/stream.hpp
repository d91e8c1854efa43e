// Stream: bytes both ways, over TCP, memory or whatever else keeps its promises (tests/contract). The operations are
// values that live in the coroutine that awaits them; no call allocates for the I/O itself.
//
// One task receives at a time; several may send: each send goes out whole, in the order of the calls. All calls belong
// to the loop's thread.
#pragma once

#include <span>
#include <string>

#include "coax/base/bytes.hpp"
#include "coax/base/units.hpp"
#include "coax/loop/op.hpp"
#include "coax/task/task.hpp"

namespace coax {

class Stream;

// What recv() lends: valid until the next call of recv(), recv_exactly() or close() on the same stream. The bytes are
// the receiver's alone, who may change them in place.
class COAX_POINTER Received : public Bytes {
 public:
  Received() noexcept = default;
  explicit Received(std::span<char> bytes) noexcept : Bytes(bytes) {}
  [[nodiscard]] std::span<char> writable() const noexcept { return {const_cast<char*>(data()), size()}; }
};

// An operation as the stream sees it. `result` is a count of bytes or -errno.
class RecvOp : public Op {
 public:
  using Op::Op;
  // Of Kind::recv, once the stream has settled it: `into` is what was lent then.
  [[nodiscard]] Received received() const noexcept {
    return result > 0 ? Received(std::span(into.data, static_cast<std::size_t>(result))) : Received();
  }
};

struct SendOp : Completion {
  explicit SendOp(Done on_done) noexcept : Completion(on_done) {}
  enum class Then : std::uint8_t { nothing, flush, finish };
  [[nodiscard]] std::span<const Bytes> pieces() const noexcept { return is_single ? std::span(&single, 1) : many; }
  union {
    Bytes single;
    std::span<const Bytes> many{};
  };
  std::size_t total = 0;
  std::size_t sent = 0;
  int error = 0;              // errno
  Then then = Then::nothing;  // flush: done when the kernel has it; finish: and the sending side is shut down
  bool is_single = false;
  bool asked_to_cancel = false;
  bool settled = false;
};

class Stream {
 public:
  Stream() noexcept = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  class Recv;
  class RecvInto;
  class Send;

  // What there is, at least one byte; empty: the peer has finished, now and at every further call. Throws
  // Error(disconnected) after a reset. Cancelled: nothing was taken.
  [[nodiscard]] Recv recv() noexcept;
  // The same into the caller's buffer; returns the count. An empty buffer gives 0 at once.
  [[nodiscard]] RecvInto recv(std::span<char> into COAX_LIFETIMEBOUND) noexcept;
  // Exactly so many bytes. Throws IncompleteRead with what came when the peer finished before. Cancelled: what had come
  // is lost.
  Task<std::string> recv_exactly(std::size_t count);

  // All of it. Where a stream sends several times in a turn of the loop, small sends are copied, and leave together at
  // its end; it waits while much is queued, until the peer reads. `bytes` must live until it returns. Throws
  // Error(disconnected) when the peer is gone; what was queued before may then be lost. Cancelled: nothing was sent, or
  // the stream is broken for sending when a part had gone.
  [[nodiscard]] Send send(Bytes bytes COAX_LIFETIMEBOUND) noexcept;
  // Several pieces as one; the array and what it points to must live until it returns.
  [[nodiscard]] Send send(std::span<const Bytes> pieces COAX_LIFETIMEBOUND) noexcept;
  // Until the kernel has everything that was queued.
  [[nodiscard]] Send flush() noexcept;
  // Flush, then half-close: the peer reads the end, and may still send.
  [[nodiscard]] Send finish() noexcept;

  // For a few bytes that must not wait, such as a ping: queued whole, or false and nothing is.
  [[nodiscard]] virtual bool queue(Bytes bytes) noexcept = 0;
  // Now. What is queued is tried once more without waiting. Further calls fail with EBADF.
  virtual void close() noexcept = 0;
  // From now on recv() gives the end, as if the peer had finished; a waiting one too. Sending goes on. For draining.
  virtual void end_input() noexcept = 0;
  // Undoes it, for whoever reads away what the peer still sends.
  virtual void reopen_input() noexcept = 0;
  // Keeps the kernel from buffering more than about so many bytes that it has not sent yet (TCP_NOTSENT_LOWAT), so that
  // a peer which reads slowly shows soon, and in small steps. Streams that have no such buffer ignore it.
  virtual void limit_unsent(std::size_t bytes) noexcept { (void)bytes; }
  // For error messages and logs: "127.0.0.1:4711".
  [[nodiscard]] virtual std::string peer_name() const = 0;
  // When something was last received or the peer last took bytes; and how long sending has been stuck, zero: it is not.
  [[nodiscard]] virtual TimePoint last_active() const noexcept = 0;
  [[nodiscard]] virtual Duration stuck() const noexcept = 0;

 protected:
  // True: finished already. Else done() is called from a later turn, and for a RecvOp settle() just before.
  virtual bool start(RecvOp& op) noexcept = 0;
  virtual void settle(RecvOp& op) noexcept = 0;
  virtual void cancel(RecvOp& op) noexcept = 0;
  virtual bool start(SendOp& op) noexcept = 0;
  virtual void cancel(SendOp& op) noexcept = 0;

  // For destructors: a task still receives or sends.
  [[noreturn]] void abort_destroyed_in_use() const noexcept;

 private:
  [[noreturn]] void fail(int reason, const char* operation) const;
};

class [[nodiscard("it does nothing until it is awaited")]] Stream::Recv : public Leaf<Recv>, public RecvOp {
 public:
  explicit Recv(Stream& stream) noexcept;
  bool start() noexcept { return stream_.start(*this); }
  Received finish() const;

 private:
  Stream& stream_;
};

class [[nodiscard("it does nothing until it is awaited")]] Stream::RecvInto : public Leaf<RecvInto>, public RecvOp {
 public:
  RecvInto(Stream& stream, std::span<char> buffer) noexcept;
  bool start() noexcept;
  std::size_t finish() const;

 private:
  Stream& stream_;
};

class [[nodiscard("it does nothing until it is awaited")]] Stream::Send : public Leaf<Send>, public SendOp {
 public:
  Send(Stream& stream, Bytes bytes) noexcept;
  Send(Stream& stream, std::span<const Bytes> list) noexcept;
  Send(Stream& stream, Then what) noexcept;
  bool start() noexcept { return stream_.start(*this); }
  void finish() const {
    if (error != 0) stream_.fail(error, "send to");
  }

 private:
  Stream& stream_;
};

// What follows runs for each message: it is here so that it becomes a part of the coroutine that awaits it.
inline Stream::Recv::Recv(Stream& stream) noexcept
    : Leaf([](Waiting& self) noexcept {
        auto& recv = static_cast<Recv&>(self);
        recv.stream_.cancel(static_cast<RecvOp&>(recv));
      }),
      RecvOp(Kind::recv,
             [](Completion& self) noexcept {
               auto& recv = static_cast<Recv&>(self);
               recv.stream_.settle(recv);
               recv.resume();
             }),
      stream_(stream) {}

inline Received Stream::Recv::finish() const {
  if (result < 0) stream_.fail(static_cast<int>(-result), "recv from");
  return received();
}

inline Stream::Send::Send(Stream& stream, Then what) noexcept
    : Leaf([](Waiting& self) noexcept {
        auto& send = static_cast<Send&>(self);
        send.stream_.cancel(static_cast<SendOp&>(send));
      }),
      SendOp([](Completion& self) noexcept { static_cast<Send&>(self).resume(); }),
      stream_(stream) {
  then = what;
}

inline Stream::Send::Send(Stream& stream, Bytes bytes) noexcept : Send(stream, Then::nothing) {
  single = bytes;
  is_single = true;
  total = bytes.size();
}

inline Stream::Recv Stream::recv() noexcept { return Recv(*this); }
inline Stream::RecvInto Stream::recv(std::span<char> into) noexcept { return {*this, into}; }
inline Stream::Send Stream::send(Bytes bytes) noexcept { return {*this, bytes}; }
inline Stream::Send Stream::send(std::span<const Bytes> pieces) noexcept { return {*this, pieces}; }
inline Stream::Send Stream::flush() noexcept { return {*this, SendOp::Then::flush}; }
inline Stream::Send Stream::finish() noexcept { return {*this, SendOp::Then::finish}; }

}  // namespace coax
