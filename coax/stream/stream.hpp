// Stream: bytes in both directions, over a socket, in memory, or through a layer over another stream (layer.hpp). The
// operations are values in the frame of the coroutine that awaits them; no call allocates for the I/O itself.
//
// One task receives at a time; several may send: each send is written whole, in the order of the calls.
// Thread: that of the stream's loop.
#pragma once

#include <cerrno>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "coax/base/bytes.hpp"
#include "coax/base/units.hpp"
#include "coax/loop/loop.hpp"
#include "coax/loop/op.hpp"
#include "coax/net/credentials.hpp"
#include "coax/net/endpoint.hpp"
#include "coax/task/task.hpp"

namespace coax {

class Stream;

// The result of recv(). Its bytes belong to the receiver alone, who may change them in place.
// Lifetime: until the next call of recv(), recv_exactly() or close() on the same stream.
class COAX_POINTER Received : public BytesView {
 public:
  Received() noexcept = default;
  explicit Received(std::span<char> bytes) noexcept : BytesView(bytes) {}
  [[nodiscard]] std::span<char> writable() const noexcept { return {const_cast<char*>(data()), size()}; }
};

// The -result of a receive on a truncated stream: its protocol has an end mark, which was not received:
// Error(truncated).
inline constexpr int stream_truncated = ENOLINK;

// An operation as the stream sees it. `result` is a count of bytes or -errno.
class RecvOp : public Op {
 public:
  using Op::Op;
  // After Stream::complete(), of both receiving kinds.
  [[nodiscard]] Received received() const noexcept {
    if (result <= 0) return {};
    return Received(std::span(kind == Kind::recv ? lent().data : into().data, static_cast<std::size_t>(result)));
  }
};

struct SendOp : Completion {
  explicit SendOp(Done on_done) noexcept : Completion(on_done) {}
  // flush: complete when the kernel has all bytes. shutdown: flush, then half-close.
  enum class Then : std::uint8_t { nothing, flush, shutdown };
  enum class State : std::uint8_t { pending, cancelling, complete };
  // What to send, none of it sent yet. Lifetime: the bytes, and the list, must live until it is complete.
  void assign(BytesView piece) noexcept {
    std::construct_at(&single_, piece);
    is_list_ = false;
    sent = 0;
  }
  void assign(std::span<const BytesView> list) noexcept {
    std::construct_at(&list_, list);
    is_list_ = true;
    sent = 0;
  }
  [[nodiscard]] std::span<const BytesView> pieces() const noexcept { return is_list_ ? list_ : std::span(&single_, 1); }

  // Bytes of all pieces.
  [[nodiscard]] std::size_t total() const noexcept {
    if (!is_list_) return single_.size();
    std::size_t sum = 0;
    for (const BytesView& piece : list_) sum += piece.size();
    return sum;
  }

  std::size_t sent = 0;  // of them; after an error, whether a part was sent
  int error = 0;         // errno
  Then then = Then::nothing;
  State state = State::pending;

 private:
  bool is_list_ = false;
  union {
    BytesView single_{};
    std::span<const BytesView> list_;
  };
};

class Stream {
 public:
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  class Recv;
  class RecvInto;
  class Send;

  // Returns: the bytes that have arrived, at least one. Empty: the peer has shut down its side; so is every later call.
  // Throws: Error(disconnected) after a reset; Error(truncated) when the protocol of the stream marks its end, as TLS
  // does, and the connection ended without the mark.
  // Cancelled: no byte is lost.
  // Lifetime: until the next call of recv(), recv_exactly() or close().
  [[nodiscard]] Recv recv() noexcept;
  // The same into the caller's buffer. Returns: the count; 0 at once for an empty buffer.
  [[nodiscard]] RecvInto recv(std::span<char> into COAX_LIFETIMEBOUND) noexcept;
  // Returns: exactly `count` bytes.
  // Throws: IncompleteRead, with the bytes received, when the peer shut down its side before.
  // Cancelled: the bytes received by this call are lost.
  Task<std::string> recv_exactly(std::size_t count);

  // Sends all bytes. Several small sends in one turn of the loop are copied and written together at its end. Waits
  // while the send queue is full.
  // Throws: Error(disconnected) when the connection is closed or reset; bytes queued before may be lost.
  // Cancelled: nothing was sent; or a part was, and then every later send fails.
  // Lifetime: `bytes` must live until it returns.
  [[nodiscard]] Send send(BytesView bytes COAX_LIFETIMEBOUND) noexcept;
  // Several pieces as one. Lifetime: the array and the bytes must live until it returns.
  [[nodiscard]] Send send(std::span<const BytesView> pieces COAX_LIFETIMEBOUND) noexcept;
  // Waits until the kernel has all queued bytes.
  [[nodiscard]] Send flush() noexcept;
  // Flushes, then half-closes: the peer reads the end of the stream, and may still send. A stream without half-close
  // ends both directions: bytes that the peer sends from then on are discarded, and recv() returns the end.
  [[nodiscard]] Send shutdown_send() noexcept;

  // Queues a few bytes without waiting, such as a ping. Returns: false when they do not fit; then none is queued.
  [[nodiscard]] virtual bool queue(BytesView bytes) noexcept = 0;
  // Closes now. Queued bytes are tried once more without waiting. Later calls fail with EBADF.
  virtual void close() noexcept = 0;
  // Closes now, with a reset: bytes in flight in either direction are lost. A Unix socket has none: its peer sees the
  // end of the stream, or an error when bytes that it sent were unread.
  virtual void abort() noexcept = 0;
  // Makes recv() return the end of the stream, a pending one too; sending is still possible. For draining a server.
  virtual void end_input() noexcept = 0;
  // Undoes end_input(), to read and discard what the peer still sends.
  virtual void reopen_input() noexcept = 0;
  // Limits how many unsent bytes the kernel buffers (TCP_NOTSENT_LOWAT), so that a slow receiver is noticed early.
  // Streams without such a buffer ignore it.
  virtual void limit_unsent(std::size_t bytes) noexcept { (void)bytes; }

  // The connection under all layers, for error messages and logs: "127.0.0.1:4711", "unix:/path".
  [[nodiscard]] virtual std::string peer_name() const = 0;
  // Without a family: a Unix socket, or memory.
  [[nodiscard]] virtual Endpoint peer() const noexcept { return {}; }
  [[nodiscard]] virtual Endpoint local() const noexcept { return {}; }
  // The process at the other end of a Unix socket when it connected or began to listen (SO_PEERCRED); nothing for other
  // streams.
  // Throws: Error when the kernel refuses.
  [[nodiscard]] virtual std::optional<Credentials> peer_credentials() const { return std::nullopt; }
  // Whether TLS protects the bytes.
  [[nodiscard]] virtual bool is_encrypted() const noexcept { return false; }
  // When bytes were last received, or last accepted by the kernel for sending.
  [[nodiscard]] virtual TimePoint last_active() const noexcept = 0;
  // Whether a byte has ever been received.
  [[nodiscard]] virtual bool has_received() const noexcept = 0;
  // For how long the peer has accepted none of the bytes that wait to be sent; zero: none wait.
  [[nodiscard]] virtual Duration send_stalled() const noexcept = 0;

  // --- For layers (layer.hpp) and implementations; programs await the calls above instead. ---

  // Starts an operation.
  // Returns: true when it is complete, with its result in `op`, and then done() is not called. Otherwise the loop calls
  // op.done() in a later turn. A second receive completes at once with -EBUSY; several sends are written in the order
  // of the calls.
  // Lifetime: `op`, and the bytes of a send, must live until it is complete.
  virtual bool start(RecvOp& op) noexcept = 0;
  // Fills in the result of an operation for which start() returned false. Called once, by the receiver of op.done(),
  // on the stream that start() was called on. Received bytes leave the stream here, so that a cancelled receive leaves
  // them for the next one.
  virtual void complete(RecvOp& op) noexcept = 0;
  // Asks an operation in progress to end. It does not call op.done(): the loop does so later, as without cancel().
  // A receive ends with -ECANCELED, and bytes that have arrived stay for the next one, since the caller drops the
  // result of a cancelled task.
  virtual void cancel(RecvOp& op) noexcept = 0;
  virtual bool start(SendOp& op) noexcept = 0;
  virtual void complete(SendOp& op) noexcept { (void)op; }
  // A send that is complete keeps its result. Otherwise it ends with ECANCELED; if a part of it was sent, every later
  // send fails with EPIPE, since the peer could not make sense of it.
  virtual void cancel(SendOp& op) noexcept = 0;
  // Sends a part of a file without copying it, as much as is accepted at once. For streams that need not see the bytes.
  // Returns: the count; 0 at the end of the file; -EAGAIN: the same bytes as a send() will wait for the peer, or for
  // what is queued; -EOPNOTSUPP: only send() is possible; or -errno.
  virtual std::int64_t send_file_now(const FilePart& part) noexcept {
    (void)part;
    return -EOPNOTSUPP;
  }
  // Ends the lifetime of the last recv()'s bytes now, so that their buffer can be used again. A layer forwards it, if
  // it keeps none of the bytes that the stream below has lent.
  virtual void return_lent() noexcept {}
  // Throws what an operation with this error throws: `reason` is an errno value or stream_truncated.
  [[noreturn]] virtual void fail(int reason, const char* operation) const;
  [[nodiscard]] Loop& loop() const noexcept { return loop_; }

 protected:
  explicit Stream(Loop& loop = Loop::current()) : loop_(loop) {}
  // For destructors: a task still receives or sends.
  [[noreturn]] static void abort_destroyed_in_use() noexcept;

 private:
  Loop& loop_;
};

// The common part of streams that receive by themselves: the buffer of the last recv(), the operation in progress, and
// the times that a server monitors.
class BufferedStream : public Stream {
 public:
  void reopen_input() noexcept override { input_ended_ = false; }
  void return_lent() noexcept override {
    if (lent_ != nullptr) loop().backend().buffers().give_back(std::exchange(lent_, nullptr));
  }
  [[nodiscard]] TimePoint last_active() const noexcept override { return last_active_; }
  [[nodiscard]] bool has_received() const noexcept override { return has_received_; }

 protected:
  BufferedStream() : last_active_(loop().now()) {}
  // Invalidates the buffer of the last recv().
  // Returns: false, with an error in op.result, when another operation receives.
  bool begin(RecvOp& op) noexcept;

  LentBuffer* lent_ = nullptr;
  RecvOp* receiving_ = nullptr;
  TimePoint last_active_;
  bool input_ended_ = false;
  bool has_received_ = false;
};

class [[nodiscard("it does nothing until it is awaited")]] Stream::Recv : public Operation<Recv>, public RecvOp {
 public:
  explicit Recv(Stream& stream) noexcept;
  bool start() noexcept { return stream_.start(*this); }
  Received finish() const;

 private:
  Stream& stream_;
};

class [[nodiscard("it does nothing until it is awaited")]] Stream::RecvInto : public Operation<RecvInto>,
                                                                              public RecvOp {
 public:
  RecvInto(Stream& stream, std::span<char> buffer) noexcept;
  bool start() noexcept;
  std::size_t finish() const;

 private:
  Stream& stream_;
};

class [[nodiscard("it does nothing until it is awaited")]] Stream::Send : public Operation<Send>, public SendOp {
 public:
  Send(Stream& stream, BytesView bytes) noexcept;
  Send(Stream& stream, std::span<const BytesView> list) noexcept;
  Send(Stream& stream, Then what) noexcept;
  bool start() noexcept { return stream_.start(*this); }
  void finish() const {
    if (error != 0) stream_.fail(error, "send to");
  }

 private:
  Stream& stream_;
};

// The functions below run for each message: inline, so that they become a part of the coroutine that awaits them.
inline Stream::Recv::Recv(Stream& stream) noexcept
    : Operation([](Waiting& self) noexcept {
        auto& recv = static_cast<Recv&>(self);
        recv.stream_.cancel(static_cast<RecvOp&>(recv));
      }),
      RecvOp(Kind::recv,
             [](Completion& self) noexcept {
               auto& recv = static_cast<Recv&>(self);
               recv.stream_.complete(static_cast<RecvOp&>(recv));
               recv.resume();
             }),
      stream_(stream) {}

inline Received Stream::Recv::finish() const {
  if (result < 0) stream_.fail(static_cast<int>(-result), "recv from");
  return received();
}

inline Stream::Send::Send(Stream& stream, Then what) noexcept
    : Operation([](Waiting& self) noexcept {
        auto& send = static_cast<Send&>(self);
        send.stream_.cancel(static_cast<SendOp&>(send));
      }),
      SendOp([](Completion& self) noexcept {
        auto& send = static_cast<Send&>(self);
        send.stream_.complete(static_cast<SendOp&>(send));
        send.resume();
      }),
      stream_(stream) {
  then = what;
}

inline Stream::Send::Send(Stream& stream, BytesView bytes) noexcept : Send(stream, Then::nothing) { assign(bytes); }

inline Stream::Recv Stream::recv() noexcept { return Recv(*this); }
inline Stream::RecvInto Stream::recv(std::span<char> into) noexcept { return {*this, into}; }
inline Stream::Send Stream::send(BytesView bytes) noexcept { return {*this, bytes}; }
inline Stream::Send Stream::send(std::span<const BytesView> pieces) noexcept { return {*this, pieces}; }
inline Stream::Send Stream::flush() noexcept { return {*this, SendOp::Then::flush}; }
inline Stream::Send Stream::shutdown_send() noexcept { return {*this, SendOp::Then::shutdown}; }

inline bool BufferedStream::begin(RecvOp& op) noexcept {
  if (receiving_ != nullptr) [[unlikely]] {
    op.result = -EBUSY;
    return false;
  }
  return_lent();
  return true;
}

}  // namespace coax
