// Op: one I/O operation as a value. It is a member of the awaitable, so that starting I/O allocates nothing. The
// back-end holds a pointer to it from submit() until done() is called.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "coax/base/list.hpp"

struct iovec;

namespace coax {

class Address;
class Endpoint;
class LentBuffer;
class ReceiveBatch;
class SendBatch;

// A callback in the loop's queue of completions.
struct Completion : ListHook {
  using Done = void (*)(Completion&) noexcept;
  explicit Completion(Done on_done) noexcept : done(on_done) {}
  Done done;
};

// Names a descriptor of one back-end. The generation distinguishes the present owner of the slot from earlier ones, so
// that a late event or a late call never reaches the wrong connection.
struct Descriptor {
  std::uint32_t index = UINT32_MAX;
  std::uint32_t generation = 0;
  explicit operator bool() const noexcept { return index != UINT32_MAX; }
  friend bool operator==(const Descriptor&, const Descriptor&) noexcept = default;
};

// The kind says what an operation is, and which payload it has throughout its life: the accessor named beside it.
// Debug builds assert that the payload is of the right kind.
//
// The states, in their order:
//
//   state       who has a pointer to it              what ends the state
//   idle        only its owner                       submit(): submitted, or complete at once; submit_later(): deferred
//   deferred    the loop's list for this turn        the loop submits it; Loop::cancel(): finished, -ECANCELED
//   submitted   the back-end                         an event: finished; cancel(): cancelling where the kernel has the
//                                                    operation (io_uring); or finished, -ECANCELED
//   cancelling  the back-end, and the kernel         the kernel's answer: finished, -ECANCELED or the result
//   finished    the list of completions, until       the owner submits it again
//               done() is called
//
// When submit() returns true, the operation has completed, and done() is not called. close() completes a submitted or
// cancelling operation with -EBADF.
class Op : public Completion {
 public:
  enum class Kind : std::uint8_t {
    recv,       // into a pooled buffer: result = bytes, lent() has them; 0 = the peer has shut down its side
    recv_into,  // into the caller's buffer, into()
    send,       // gathered from gather(): result = bytes, at least 1, perhaps not all
    accept,     // result = a native descriptor for Backend::adopt(); *endpoint(), unless null, becomes the peer,
                // without a family unless it is of IP
    connect,    // to *address(): result = 0
    // Datagrams (datagrams.hpp):
    recv_batch,  // received datagrams: result = messages, at least 1; incoming().lent has them
    send_batch,  // the next of *outgoing(): result = messages that were sent, at least 1; or -errno of the first
  };
  enum class State : std::uint8_t { idle, deferred, submitted, cancelling, finished };

  struct Lent {
    LentBuffer* buffer = nullptr;  // null: none, or the stream above owns the buffer
    char* data = nullptr;          // set by the stream above
  };
  struct Into {
    char* data = nullptr;
    std::size_t size = 0;
  };
  struct Gather {
    const iovec* list = nullptr;
    std::size_t count = 0;
  };
  struct Incoming {
    ReceiveBatch* lent = nullptr;
    bool may_be_joined = false;  // several datagrams may arrive as one message; only over IP
  };

  Op(Kind which, Done on_done) noexcept : Completion(on_done), kind(which) {
    switch (which) {
      case Kind::recv: std::construct_at(&lent_); break;
      case Kind::recv_into: std::construct_at(&into_); break;
      case Kind::send: std::construct_at(&gather_); break;
      case Kind::accept: std::construct_at(&endpoint_, nullptr); break;
      case Kind::connect: std::construct_at(&address_, nullptr); break;
      case Kind::recv_batch: std::construct_at(&incoming_); break;
      case Kind::send_batch: std::construct_at(&outgoing_, nullptr); break;
    }
  }
  // A descriptor has at most one operation that receives and one that sends.
  [[nodiscard]] bool receives() const noexcept {
    return kind != Kind::send && kind != Kind::connect && kind != Kind::send_batch;
  }

  // The payload.
  [[nodiscard]] Lent& lent() noexcept { return require(Kind::recv), lent_; }
  [[nodiscard]] Into& into() noexcept { return require(Kind::recv_into), into_; }
  [[nodiscard]] Gather& gather() noexcept { return require(Kind::send), gather_; }
  [[nodiscard]] Endpoint*& endpoint() noexcept { return require(Kind::accept), endpoint_; }
  [[nodiscard]] const Address*& address() noexcept { return require(Kind::connect), address_; }
  [[nodiscard]] Incoming& incoming() noexcept { return require(Kind::recv_batch), incoming_; }
  [[nodiscard]] SendBatch*& outgoing() noexcept { return require(Kind::send_batch), outgoing_; }
  [[nodiscard]] const Lent& lent() const noexcept { return require(Kind::recv), lent_; }
  [[nodiscard]] const Into& into() const noexcept { return require(Kind::recv_into), into_; }

  const Kind kind;
  State state = State::idle;
  // See Kind, or -errno; -ECANCELED when it was cancelled, without an effect. No system call transfers more than 2 GiB
  // (read(2)).
  std::int32_t result = 0;
  Descriptor descriptor;

 private:
  void require([[maybe_unused]] Kind which) const noexcept {
    assert(kind == which && "the payload of another kind of operation");
  }

  union {
    Lent lent_;
    Into into_;
    Gather gather_;
    Endpoint* endpoint_;
    const Address* address_;
    Incoming incoming_;
    SendBatch* outgoing_;
  };
};
static_assert(sizeof(void*) != 8 || sizeof(Op) == 56, "less than a cache line: each coroutine that waits has one");

}  // namespace coax
