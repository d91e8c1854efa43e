// Op: one I/O operation as a value. It lives in whoever awaits it, so that starting I/O allocates nothing; the back-end
// holds a pointer to it from submit() until done() is called.
#pragma once

#include <cstddef>
#include <cstdint>

#include "coax/base/list.hpp"

struct iovec;

namespace coax {

class Address;
class Endpoint;
class LentBuffer;
class ReceiveBatch;
class SendBatch;

// Something that the loop calls when its turn comes.
struct Completion : ListHook {
  using Done = void (*)(Completion&) noexcept;
  explicit Completion(Done on_done) noexcept : done(on_done) {}
  Done done;
};

// Names a descriptor of one back-end. The generation tells a new owner of the same slot from the old one, so that a
// late event or a late call never reaches the wrong connection.
struct Descriptor {
  std::uint32_t index = UINT32_MAX;
  std::uint32_t generation = 0;
  explicit operator bool() const noexcept { return index != UINT32_MAX; }
  friend bool operator==(const Descriptor&, const Descriptor&) noexcept = default;
};

struct Op : Completion {
  enum class Kind : std::uint8_t {
    recv,       // into a buffer that the loop lends: result = bytes, `lent` holds them; 0 = the peer has finished
    recv_into,  // into the caller's `into`
    send,       // gathered from `gather`: result = bytes, at least 1 and perhaps not all
    accept,     // result = a native descriptor for Backend::adopt(); `endpoint` (may be null) gets the peer,
                // of no family unless it is of IP
    connect,    // to `address`: result = 0
    // Datagrams (datagrams.hpp):
    recv_batch,  // what there is: result = messages, at least 1; `incoming.lent` holds them
    send_batch,  // what `outgoing` has next: result = how many messages were taken, at least 1; or -errno of the first
  };
  enum class State : std::uint8_t { idle, deferred, waiting, ending, finished };  // ending: waiting, and asked to end

  Op(Kind which, Done on_done) noexcept : Completion(on_done), kind(which) {}
  // A descriptor has at most one that receives and one that sends.
  [[nodiscard]] bool receives() const noexcept {
    return kind != Kind::send && kind != Kind::connect && kind != Kind::send_batch;
  }

  Kind kind;
  State state = State::idle;
  Descriptor descriptor;
  std::int64_t result = 0;  // what the kind says, or -errno; -ECANCELED when it was cancelled: nothing was done then
  struct Into {
    char* data;
    std::size_t size;
  };
  struct Gather {
    const iovec* list;
    std::size_t count;
  };
  struct Incoming {
    ReceiveBatch* lent;
    bool may_be_joined;  // several datagrams may come as one message; only over IP
  };
  union {
    LentBuffer* lent = nullptr;
    Into into;
    Gather gather;
    Endpoint* endpoint;
    const Address* address;
    Incoming incoming;
    SendBatch* outgoing;
  };
};

}  // namespace coax
