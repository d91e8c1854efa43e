// The contract between the loop and a kernel interface. A back-end defines:
//
// - submit(op): start it. True: it is finished already (op.result is set) and done() will not be called.
// - cancel(op): ask it to end. done() is called in a later turn: with -ECANCELED or, when that was faster, its result.
// - poll(until): wait for events, at most until then; note_turn(); call done() of what finished. False: nothing.
// - send_now(descriptor, pieces): what the kernel takes in this moment, for whoever has nothing on its way; it may say
//   -EAGAIN at any time, and submit() is the answer to that.
// - wake(): end a poll() from another thread or a signal handler.
// - poll_descriptor(), prepare_wait(): for a loop that another event loop drives.
//
// and, for descriptors, which it owns until close(): open, open_datagrams, listen, adopt, discard, close, finish,
// set_option, get_option, local, peer.
//
// Rules that every back-end keeps:
// - done() is called from poll() or through finish_later(), never inside submit() or cancel(): whoever starts an
//   operation is never re-entered.
// - At most one receiving (recv, recv_into, accept, recv_batch) and one sending (send, connect, send_batch) operation
//   per descriptor at a time. The batches are for descriptors of open_datagrams() only, which have no others.
// - To a batch that waits to be sent more may be added; what counts is what it has when there is room.
// - After done() the back-end does not touch the Op again.
// - close() ends what is waiting on the descriptor with -EBADF, as later calls end.
// All calls but wake() belong to the loop's thread.
#pragma once

#include <cerrno>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "coax/base/bytes.hpp"
#include "coax/base/misuse.hpp"
#include "coax/base/units.hpp"
#include "coax/loop/buffers.hpp"
#include "coax/loop/op.hpp"
#include "coax/net/address.hpp"
#include "coax/net/datagram_options.hpp"
#include "coax/net/listen_options.hpp"

namespace coax {

// What setsockopt(2) takes.
struct SocketOption {
  int level;
  int name;
  const void* value;
  std::size_t size;
};

class Backend {
 public:
  Backend() noexcept = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  virtual bool submit(Op& op) noexcept = 0;
  virtual void cancel(Op& op) noexcept = 0;
  virtual std::int64_t send_now(Descriptor, std::span<const BytesView>) noexcept { return -EAGAIN; }
  virtual bool poll(std::optional<TimePoint> until) noexcept = 0;
  virtual void wake() noexcept = 0;
  // Readable (POLLIN) while poll() would find an event, wake() included. An errno value where there is none.
  virtual std::expected<int, int> poll_descriptor() noexcept { return std::unexpected(ENOTSUP); }
  // Before a wait on poll_descriptor(): submits what is queued, and makes it readable for what poll() has left over.
  virtual void prepare_wait() noexcept {}

  // Descriptors. Failures are errno values.
  virtual std::expected<Descriptor, int> open(Family family) = 0;  // a stream socket to connect with
  // A socket for datagrams: bound to `at`, or anywhere when that is of no family; and, unless `peer` is of none, with
  // that as the only one that it talks to.
  virtual std::expected<Descriptor, int> open_datagrams(const Address& at, const Address& peer,
                                                        const DatagramOptions& options) = 0;
  virtual std::expected<Descriptor, int> listen(const Address& at, const ListenOptions& options) = 0;
  virtual std::expected<Descriptor, int> adopt(int native) = 0;  // owns it from here on, on failure too
  virtual void discard(int native) noexcept;                     // ends an accepted connection that nobody adopts
  virtual void close(Descriptor descriptor) noexcept = 0;
  virtual int finish(Descriptor descriptor) noexcept = 0;  // no more from us: shutdown(SHUT_WR); 0 or errno, EPIPE when
                                                           // the connection is gone
  virtual int set_option(Descriptor descriptor, const SocketOption& option) noexcept = 0;  // 0 or errno
  virtual int get_option(Descriptor descriptor, int level, int name, std::span<std::byte> value) const noexcept = 0;
  [[nodiscard]] virtual Address local(Descriptor descriptor) const noexcept = 0;
  [[nodiscard]] virtual Address peer(Descriptor descriptor) const noexcept = 0;  // of no family when it is gone

  [[nodiscard]] virtual TimePoint now() const noexcept { return Clock::now(); }
  [[nodiscard]] virtual const char* name() const noexcept = 0;
  // Time passes only while the loop waits, and the loop's thread does all the work.
  [[nodiscard]] virtual bool is_simulated() const noexcept { return false; }
  // Whether anything may still happen that was not asked for on this thread. False: only a timer, a signal or another
  // thread could end a poll().
  [[nodiscard]] virtual bool may_go_on() const noexcept { return true; }
  // So many connections the limit on open files does not count. From any thread.
  [[nodiscard]] virtual std::size_t uncounted_max() const noexcept { return 0; }
  // When the last poll() had ended its wait: what is done in this turn is done at that time.
  [[nodiscard]] TimePoint turn_began() const noexcept { return turn_began_; }
  void note_turn() noexcept { turn_began_ = now(); }

  // What is finished and waits for its turn; the loop calls done() of each.
  void finish_later(Completion& completion) noexcept { finished_.push_back(completion); }
  List<Completion>& finished() noexcept { return finished_; }
  Buffers& buffers() noexcept { return buffers_; }

  // Calls done(): the task that it resumes may do `turn_budget` units of work before the others have their turn.
  void complete(Completion& completion) noexcept {
    budget_ = turn_budget;
    if (is_timed_) [[unlikely]]
      return complete_timed(completion, {}, {});
    completion.done(completion);
  }
  void complete(Op& op) noexcept {
    budget_ = turn_budget;
    if (is_timed_) [[unlikely]]
      return complete_timed(op);
    op.done(op);
  }
  // Spends units of the running task's budget; an operation costs `operation_units`, a decoded message one and what its
  // size adds. False when the budget does not suffice: the task must let the others run before it does the work.
  bool spend(unsigned units = operation_units) noexcept {
    const bool enough = budget_ >= units;
    budget_ = enough ? budget_ - units : 0;
    return enough;
  }

 protected:
  // For cancel() and close(): the operation did nothing.
  void finish_undone(Op& op, int reason) noexcept {
    op.state = Op::State::finished;
    op.result = -reason;
    finish_later(op);
  }

 private:
  // With COAX_DEBUG=1: reports who held the loop for 100 ms.
  void complete_timed(Op& op) noexcept;
  void complete_timed(Completion& completion, std::string_view what, const std::string& peer) noexcept;

  static constexpr unsigned turn_budget = 256;
  static constexpr unsigned operation_units = 8;
  unsigned budget_ = turn_budget;
  const bool is_timed_ = is_debugging();
  TimePoint turn_began_ = Clock::now();
  List<Completion> finished_;
  Buffers buffers_;
};

// All throw Error when the kernel does not give it.
std::unique_ptr<Backend> make_epoll_backend();
std::unique_ptr<Backend> make_uring_backend();
// On a simulated network of its own, whose seed is the variable COAX_SEED, or 1; defined in sim/.
std::unique_ptr<Backend> make_sim_backend();
// Why there can be no io_uring here, as text; empty: there can.
std::string uring_refusal();
// The one that the variable COAX_BACKEND names: "epoll", "uring", "auto" for io_uring where this system allows it and
// epoll elsewhere, or "sim". epoll when it names none.
std::unique_ptr<Backend> make_backend();

}  // namespace coax
