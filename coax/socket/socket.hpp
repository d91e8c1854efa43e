// Socket: a blocking socket of the kernel in Python's shape, with the verbs that the streams have: recv() gives what
// there is, send() sends all. Listener, UdpSocket and SocketPair are sockets made in one step.
//
// A call retries what a signal handler interrupted, with the time that is left, and never raises SIGPIPE. Failures
// throw Error; its kind is timed_out when a time limit has passed, would_block when a non-blocking socket is not ready.
//
// One thread may send while another receives, and a third may shutdown() to end what they wait for. Nothing else may be
// done to one socket by two threads at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "coax/base/bytes.hpp"
#include "coax/base/error.hpp"
#include "coax/base/units.hpp"
#include "coax/net/address.hpp"
#include "coax/net/file_descriptor.hpp"
#include "coax/net/listen_options.hpp"
#include "coax/net/options.hpp"

struct msghdr;

namespace coax {

enum class Shutdown : int { receiving = 0, sending = 1, both = 2 };

// For the calls that take flags: recv(2), send(2). Others can be given as their numbers.
namespace flags {
inline constexpr int out_of_band = 0x1;  // the urgent byte of TCP
inline constexpr int peek = 0x2;         // leave the bytes in the queue
inline constexpr int truncate = 0x20;    // of a datagram: tell its real length
inline constexpr int dont_wait = 0x40;   // would_block instead of waiting, whatever the socket's timeout
inline constexpr int wait_all = 0x100;   // wait for the whole size; only on a socket without a timeout
inline constexpr int more = 0x8000;      // more follows: do not send half a segment
}  // namespace flags

struct SocketConnectOptions {
  std::optional<Duration> timeout = {};  // for each address, and from then on for each call; nothing: the default
  std::optional<Address> source = {};    // where to connect from
};

struct Datagram {
  BytesView bytes;  // lent, or in the caller's buffer; may be empty, which is no end
  Address from;
  std::size_t length = 0;  // its real one
  // The local address that it reached, without its port: where an answer leaves from. Of no family unless it came over
  // IP to a socket that is bound to a wildcard.
  Endpoint to = {};
  [[nodiscard]] bool truncated() const noexcept { return length > bytes.size(); }  // the rest is lost
};

class Socket {
 public:
  // TCP over IPv4, unless something else is asked for.
  explicit Socket(Family family = Family::v4, SocketType type = SocketType::stream, int protocol = 0);
  // Takes over a descriptor, which must be a socket; on failure it stays the caller's. Its blocking mode stays as it is
  // unless there is a default timeout.
  static Socket adopt(int native);
  // Connects to "host:port" or "unix:/path": tries each address of the name in its order until one answers. Throws what
  // the last one said, or, when there were several, ConnectError with all.
  static Socket connect_to(std::string_view where, const SocketConnectOptions& options = {});
  static Socket connect_to(const Address& where, const SocketConnectOptions& options = {});
  static Socket connect_to(std::span<const Address> addresses, const SocketConnectOptions& options = {});

  // --- names and connections ---
  void bind(const Address& at);
  void bind(std::string_view at);  // as Address::of() reads it
  // The kernel caps the backlog at net.core.somaxconn; what is negative counts as 0.
  void listen(int backlog = 4096);
  // Its peer() is who came. It blocks, whatever the listener does, unless there is a default timeout.
  [[nodiscard]] Socket accept();
  // Of a datagram socket: the only peer from now on; connecting again changes it.
  void connect(const Address& to);
  void connect(std::string_view to);
  // Tells how it went instead of throwing; a name that is not found throws all the same.
  [[nodiscard]] std::error_code try_connect(const Address& to);
  [[nodiscard]] std::error_code try_connect(std::string_view to);
  [[nodiscard]] Address local() const;
  [[nodiscard]] Address peer() const;  // throws Error(invalid) when there is none

  // --- receiving ---
  // What there is, at most so much; empty: the peer has finished, now and at every further call. Lent: valid until the
  // next call that receives on this socket.
  BytesView recv(std::size_t bytes_max = 64_KiB, int flags = 0);
  // Into the caller's buffer; returns the count. An empty buffer gives 0 at once. With flags::truncate the count may be
  // above the buffer's size.
  std::size_t recv(std::span<char> into, int flags = 0);
  // As recv(), for one time limit over several calls: the first that has to wait sets `until` from the socket's
  // timeout, and those that get it again fail when that time has come, even if there is something to receive.
  BytesView recv_until(std::optional<TimePoint>& until);
  // Exactly so many bytes. Throws IncompleteRead with what came when the peer finished before. The timeout is for the
  // whole call; after it, what had come is lost.
  std::string recv_exactly(std::size_t count);
  Datagram recv_from(std::size_t bytes_max = 64_KiB, int flags = 0);  // lent as by recv()
  Datagram recv_from(std::span<char> into, int flags = 0);
  // One recvmsg(2) that waits as the others do; ancillary.hpp has a typed one.
  std::size_t recv_native(::msghdr& message, int flags = 0);

  // --- sending ---
  // All of it. The timeout is for the whole call; after it, an unknown part has gone.
  void send(BytesView bytes, int flags = 0);
  void send(std::span<const BytesView> pieces, int flags = 0);  // as one
  // What the kernel takes now; returns the count.
  std::size_t send_some(BytesView bytes, int flags = 0);
  std::size_t send_some(std::span<const BytesView> pieces, int flags = 0);
  void send_to(BytesView datagram, const Address& to, int flags = 0);
  void send_to(BytesView datagram, std::string_view to, int flags = 0);
  // To the sender of a datagram, from the local address that it reached.
  void reply(const Datagram& received, BytesView datagram, int flags = 0);
  std::size_t send_native(const ::msghdr& message, int flags = 0);
  // From the file's position to its end, without copying; moves the position. Returns the count. Throws Error(invalid)
  // on a socket that is non-blocking or no stream. On failure the position tells what has gone.
  std::uint64_t send_file(int file);
  // So many bytes from there; fewer when the file ends before.
  std::uint64_t send_file(int file, std::uint64_t offset, std::uint64_t count);

  // --- ending ---
  void shutdown_send() { shutdown(Shutdown::sending); }  // half-close: the peer reads the end
  void shutdown(Shutdown what);
  void close() noexcept { descriptor_.reset(); }
  // Gives the descriptor away without closing it.
  [[nodiscard]] int detach() noexcept { return descriptor_.release(); }
  // Another socket for the same connection, which ends when both are closed. They share the blocking mode.
  [[nodiscard]] Socket dup() const;

  // --- waiting ---
  // Nothing: calls block. Zero: they do not wait. Else each call takes at most so long. Throws Error(invalid) when it
  // is negative. The descriptor itself is non-blocking unless calls block.
  void set_timeout(std::optional<Duration> timeout);
  [[nodiscard]] std::optional<Duration> timeout() const noexcept { return timeout_; }
  void set_blocking(bool blocking) { set_timeout(blocking ? std::nullopt : std::optional(Duration::zero())); }
  [[nodiscard]] bool blocking() const noexcept { return timeout_ != Duration::zero(); }
  // For the sockets that are made from now on, in the whole process.
  static void set_default_timeout(std::optional<Duration> timeout);
  [[nodiscard]] static std::optional<Duration> default_timeout() noexcept;

  // --- options ---
  void set(const options::Flag& option, bool value);
  void set(const options::Number& option, int value);
  void set(const options::Size& option, std::size_t value);
  void set(const options::Period& option, Duration value);
  void set(const options::Text& option, std::string_view value);
  void set(const options::keep_alive& value);
  void set(const options::linger& value);
  [[nodiscard]] bool get(const options::Flag& option) const;
  [[nodiscard]] int get(const options::Number& option) const;
  [[nodiscard]] std::size_t get(const options::Size& option) const;
  [[nodiscard]] Duration get(const options::Period& option) const;
  [[nodiscard]] std::string get(const options::Text& option) const;
  [[nodiscard]] options::keep_alive get_keep_alive() const;
  [[nodiscard]] options::linger get_linger() const;
  // As they are. An option without bytes passes no pointer to the kernel.
  void set_option(int level, int name, BytesView value);
  [[nodiscard]] std::string get_option(int level, int name, std::size_t bytes_max) const;

  // --- what it is ---
  [[nodiscard]] int native() const noexcept { return descriptor_.native(); }  // -1: closed
  [[nodiscard]] bool is_closed() const noexcept { return !descriptor_; }
  [[nodiscard]] Family family() const { return static_cast<Family>(get(options::family)); }
  [[nodiscard]] SocketType type() const noexcept { return type_; }
  [[nodiscard]] int protocol() const { return get(options::protocol); }
  // Who errors name: the address of the peer, also when the connection is gone; empty: there is none.
  [[nodiscard]] std::string peer_text() const;
  [[nodiscard]] bool inheritable() const { return descriptor_.inheritable(); }
  void set_inheritable(bool inheritable) { descriptor_.set_inheritable(inheritable); }

 protected:
  Socket(FileDescriptor descriptor, SocketType type) noexcept : descriptor_(std::move(descriptor)), type_(type) {}

 private:
  friend struct SocketPair;
  // A system call that may have to wait: what, when it is ready, and what errors say about it.
  struct Attempt {
    const char* operation;
    short events;
    bool may_wait = true;
    const Address* to = nullptr;
    std::optional<TimePoint> until = {};  // from the first wait on
  };
  template <class Call>
  std::size_t retry(Attempt& attempt, Call call) const;
  // An errno value, ETIMEDOUT when the time limit has passed, or 0.
  int wait(Attempt& attempt) const noexcept;
  int start_connect(const Address& to) const noexcept;
  int connect_local(const Address& to) const noexcept;
  std::size_t send_once(Attempt& attempt, std::span<const BytesView> pieces, std::size_t skip, int flags);
  std::size_t receive(const Attempt& attempt, std::span<char> into, int flags);
  void apply_default_timeout();
  std::uint64_t send_file_range(int file, std::uint64_t offset, std::uint64_t count);
  std::span<char> lend(std::size_t bytes_max);
  [[noreturn]] void fail(int reason, const char* operation, const Address* to = nullptr) const;

  FileDescriptor descriptor_;
  SocketType type_;
  std::optional<Duration> timeout_;
  Endpoint peer_;  // for errors: the kernel forgets it with the connection
  std::unique_ptr<char[]> lent_;
  std::size_t lent_bytes_ = 0;
};

// Every address that connect_to() tried said no.
class ConnectError : public Error {
 public:
  ConnectError(std::string_view where, std::vector<Error> errors);
  [[nodiscard]] const std::vector<Error>& errors() const noexcept { return errors_; }  // one for each address

 private:
  std::vector<Error> errors_;
};

// Bound and listening: Listener listener("[::]:7777"); Socket peer = listener.accept();
class Listener : public Socket {
 public:
  // As Address::of() reads it; a host that is empty is the IPv6 wildcard, thus everybody. Throws Error that says what
  // to do when the port is taken or not permitted.
  explicit Listener(std::string_view at, const ListenOptions& options = {});
  explicit Listener(const Address& at, const ListenOptions& options = {});
};

// Two that are connected to each other.
struct SocketPair {
  explicit SocketPair(SocketType type = SocketType::stream);  // Unix sockets
  Socket near;
  Socket far;
};

}  // namespace coax
