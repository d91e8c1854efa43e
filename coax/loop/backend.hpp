// The contract between the loop and a kernel interface. A back-end defines:
//
// - submit(op): starts it. True: it has completed already, op.result is set, and done() will not be called.
// - cancel(op): asks it to end. done() is called in a later turn, with -ECANCELED, or with its result if that was
//   faster.
// - poll(until): waits for events, at most until then; note_turn(); calls done() of completed operations. False: no
//   event.
// - send_now(descriptor, pieces): sends what the kernel accepts at once, while no send is in progress. It may return
//   -EAGAIN at any time; the caller then calls submit().
// - send_file_now(descriptor, part): the same with a part of a file (sendfile(2)); -EOPNOTSUPP: it cannot.
// - wake(): ends a poll() from another thread or a signal handler.
// - poll_descriptor(), prepare_wait(): for a loop that another event loop drives.
//
// and, for descriptors, which it owns until close(): open, open_datagrams, listen, adopt, discard, close, finish,
// set_option, get_option, local, peer.
//
// Rules for every back-end:
// - done() is called from poll() or through finish_later(), never inside submit() or cancel(): the caller of submit()
//   is not re-entered.
// - At most one receiving (recv, recv_into, accept, recv_batch) and one sending (send, connect, send_batch) operation
//   per descriptor at a time. Only descriptors of open_datagrams() have the batches, and they have nothing else.
// - Datagrams may be added to a send_batch that is in progress; its content counts when the socket is writable.
// - After done() the back-end does not touch the Op again.
// - close() ends pending operations of the descriptor with -EBADF; later calls fail with EBADF, too.
//
// Thread: the loop's, for all calls but wake().
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

// The arguments of setsockopt(2).
struct SocketOption {
  int level;
  int name;
  const void* value;
  std::size_t size;
};

struct FilePart {
  int native;
  std::uint64_t offset;
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
  virtual std::int32_t send_now(Descriptor, std::span<const BytesView>) noexcept { return -EAGAIN; }
  virtual std::int64_t send_file_now(Descriptor, const FilePart&) noexcept { return -EOPNOTSUPP; }
  virtual bool poll(std::optional<TimePoint> until) noexcept = 0;
  virtual void wake() noexcept = 0;
  // Readable (POLLIN) while poll() would find an event, wake() included. Returns an errno value when not supported.
  virtual std::expected<int, int> poll_descriptor() noexcept { return std::unexpected(ENOTSUP); }
  // Before a wait on poll_descriptor(): submits queued requests, and makes it readable for events that poll() has left.
  virtual void prepare_wait() noexcept {}

  // Descriptors. Failures are errno values.
  virtual std::expected<Descriptor, int> open(Family family) = 0;  // a stream socket to connect with
  // A datagram socket: bound to `at`, or to an address of the system's choice when that has no family; and connected to
  // `peer`, unless that has no family.
  virtual std::expected<Descriptor, int> open_datagrams(const Address& at, const Address& peer,
                                                        const DatagramOptions& options) = 0;
  virtual std::expected<Descriptor, int> listen(const Address& at, const ListenOptions& options) = 0;
  virtual std::expected<Descriptor, int> adopt(int native) = 0;  // owns it from here on, even on failure
  virtual void discard(int native) noexcept;                     // closes an accepted connection that is not adopted
  virtual void close(Descriptor descriptor) noexcept = 0;
  virtual int shutdown_send(Descriptor descriptor) noexcept = 0;  // shutdown(SHUT_WR); 0 or errno, EPIPE when
                                                                  // the connection is gone
  virtual int set_option(Descriptor descriptor, const SocketOption& option) noexcept = 0;  // 0 or errno
  virtual int get_option(Descriptor descriptor, int level, int name, std::span<std::byte> value) const noexcept = 0;
  [[nodiscard]] virtual Address local(Descriptor descriptor) const noexcept = 0;
  // without a family when the connection is closed
  [[nodiscard]] virtual Address peer(Descriptor descriptor) const noexcept = 0;

  [[nodiscard]] virtual TimePoint now() const noexcept { return Clock::now(); }
  [[nodiscard]] virtual const char* name() const noexcept = 0;
  // Time passes only while the loop waits, and all work is done on the loop's thread.
  [[nodiscard]] virtual bool is_simulated() const noexcept { return false; }
  // Whether events of another origin than this thread are possible. False: only a timer, a signal or another thread
  // could end a poll().
  [[nodiscard]] virtual bool may_go_on() const noexcept { return true; }
  // The number of connections that do not count towards the limit on open files. Thread: any.
  [[nodiscard]] virtual std::size_t fixed_files_max() const noexcept { return 0; }
  // When the last poll() returned: the time of everything that happens in this turn.
  [[nodiscard]] TimePoint turn_began() const noexcept { return turn_began_; }
  void note_turn() noexcept { turn_began_ = now(); }

  // Queues a completion; the loop calls its done() in its turn.
  void finish_later(Completion& completion) noexcept { finished_.push_back(completion); }
  List<Completion>& finished() noexcept { return finished_; }
  Buffers& buffers() noexcept { return buffers_; }

  // Calls done(). The task that it resumes may do `turn_budget` units of work before the others have their turn.
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
  // Spends units of the running task's budget: an operation costs `operation_units`, a decoded message one unit and
  // more for its size. False when the budget is exhausted: the task must yield before it does the work.
  bool consume_budget(unsigned units = operation_units) noexcept {
    const bool enough = budget_ >= units;
    budget_ = enough ? budget_ - units : 0;
    return enough;
  }

 protected:
  // For cancel() and close(): completes an operation that had no effect.
  void finish_undone(Op& op, int reason) noexcept {
    op.state = Op::State::finished;
    op.result = -reason;
    finish_later(op);
  }

 private:
  // With COAX_DEBUG=1: reports a task that blocked the loop for 100 ms.
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

// Throws: Error when the kernel does not provide it.
std::unique_ptr<Backend> make_epoll_backend();
std::unique_ptr<Backend> make_uring_backend();
// On a simulated network of its own, whose seed is the variable COAX_SEED, or 1; defined in sim/.
std::unique_ptr<Backend> make_sim_backend();
// Why io_uring cannot be used here; empty when it can.
std::string why_no_uring();
// The back-end that the variable COAX_BACKEND names: "epoll" (the default), "uring", "sim", or "auto", which is
// io_uring where this system allows it and epoll elsewhere.
std::unique_ptr<Backend> make_backend();

}  // namespace coax
