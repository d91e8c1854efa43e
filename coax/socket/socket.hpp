// Socket: a blocking socket in the shape of Python's socket module, with the verbs of streams: recv() returns the bytes
// that have arrived, send() sends all bytes. Listener, UdpSocket and SocketPair are sockets made in one step.
//
// A call continues after a signal handler (EINTR) with the remaining time, and never raises SIGPIPE.
// Throws: Error; its kind is timed_out when a time limit has passed, would_block when a non-blocking socket is not
// ready.
// Thread: one may send while another receives, and a third may shutdown() to end their waits. All other calls on one
// socket must not run concurrently.
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

// MSG_... of recv(2) and send(2). Others can be given as numbers.
namespace flags {
inline constexpr int out_of_band = 0x1;  // the urgent byte of TCP
inline constexpr int peek = 0x2;         // leave the bytes in the queue
inline constexpr int truncate = 0x20;    // of a datagram: return its real length
inline constexpr int dont_wait = 0x40;   // would_block instead of waiting, whatever the timeout is
inline constexpr int wait_all = 0x100;   // wait for the whole size; only on a socket without a timeout
inline constexpr int more = 0x8000;      // more bytes follow: do not send a partial segment
}  // namespace flags

struct SocketConnectOptions {
  std::optional<Duration> timeout = {};  // for each address, and later for each call; empty: the default
  std::optional<Address> source = {};    // the local address to connect from
};

struct Datagram {
  BytesView bytes;  // in a pooled buffer, or in the caller's; may be empty, which is not an end
  Address from;
  std::size_t length = 0;  // its length on the wire, even if truncated
  // The local address at which it arrived, without its port: the source of a reply. Without a family unless it arrived
  // over IP on a socket that is bound to a wildcard.
  Endpoint to = {};
  // the bytes above the buffer are lost
  [[nodiscard]] bool truncated() const noexcept { return length > bytes.size(); }
};

class Socket {
 public:
  // TCP over IPv4 by default.
  explicit Socket(Family family = Family::v4, SocketType type = SocketType::stream, int protocol = 0);
  // Adopts a descriptor, which must be a socket; on failure the caller still owns it. Its blocking mode is kept unless
  // there is a default timeout.
  static Socket adopt(int native);
  // Connects to "host:port" or "unix:/path": tries each address of the name in its order until one answers.
  // Throws: the error of the only address; ConnectError with all errors when there are several.
  static Socket connect_to(std::string_view where, const SocketConnectOptions& options = {});
  static Socket connect_to(const Address& where, const SocketConnectOptions& options = {});
  static Socket connect_to(std::span<const Address> addresses, const SocketConnectOptions& options = {});

  // --- names and connections ---
  void bind(const Address& at);
  void bind(std::string_view at);  // parsed by Address::of()
  // The kernel caps the backlog at net.core.somaxconn; a negative one counts as 0.
  void listen(int backlog = 4096);
  // Accepts a connection; peer() is the client's address. The new socket blocks, whatever the listener does, unless
  // there is a default timeout.
  [[nodiscard]] Socket accept();
  // Connects. For a datagram socket, sets the only peer; another call changes it.
  void connect(const Address& to);
  void connect(std::string_view to);
  // Returns an error code instead of throwing; a name that cannot be resolved throws all the same.
  [[nodiscard]] std::error_code try_connect(const Address& to);
  [[nodiscard]] std::error_code try_connect(std::string_view to);
  [[nodiscard]] Address local() const;
  [[nodiscard]] Address peer() const;  // throws Error(invalid) when there is none

  // --- receiving ---
  // Returns: the bytes that have arrived, at most `bytes_max`. Empty: the peer has shut down its side; so is every
  // later call.
  // Lifetime: until the next receiving call on this socket.
  BytesView recv(std::size_t bytes_max = 64_KiB, int flags = 0);
  // The same into the caller's buffer. Returns: the count; 0 at once for an empty buffer. With flags::truncate the
  // count may be above the buffer's size.
  std::size_t recv(std::span<char> into, int flags = 0);
  // As recv(), with one time limit for several calls: the first call that waits sets `until` from the socket's timeout.
  // Later calls with it fail when that time has passed, even if there are bytes to receive.
  BytesView recv_until(std::optional<TimePoint>& until);
  // Returns: exactly `count` bytes. The timeout is for the whole call; after it, the bytes received so far are lost.
  // Throws: IncompleteRead, with the bytes received, when the peer shut down its side before.
  std::string recv_exactly(std::size_t count);
  Datagram recv_from(std::size_t bytes_max = 64_KiB, int flags = 0);  // lifetime as of recv()
  Datagram recv_from(std::span<char> into, int flags = 0);
  // One recvmsg(2) that waits as the other calls do; ancillary.hpp has a typed one.
  std::size_t recv_native(::msghdr& message, int flags = 0);

  // --- sending ---
  // Sends all bytes. The timeout is for the whole call; after it, an unknown part was sent.
  void send(BytesView bytes, int flags = 0);
  void send(std::span<const BytesView> pieces, int flags = 0);  // as one
  // Sends as many bytes as the kernel accepts now; returns the count.
  std::size_t send_some(BytesView bytes, int flags = 0);
  std::size_t send_some(std::span<const BytesView> pieces, int flags = 0);
  void send_to(BytesView datagram, const Address& to, int flags = 0);
  void send_to(BytesView datagram, std::string_view to, int flags = 0);
  // Sends to the sender of a datagram, from the local address at which that arrived.
  void reply(const Datagram& received, BytesView datagram, int flags = 0);
  std::size_t send_native(const ::msghdr& message, int flags = 0);
  // Sends a file from its position to its end, without copying (sendfile(2)), and moves the position, after a failure,
  // too.
  // Returns: the count of bytes.
  // Throws: Error(invalid) on a socket that is non-blocking or not a stream.
  std::uint64_t send_file(int file);
  // Sends `count` bytes from `offset`; fewer when the file ends before.
  std::uint64_t send_file(int file, std::uint64_t offset, std::uint64_t count);

  // --- closing ---
  void shutdown_send() { shutdown(Shutdown::sending); }  // half-close: the peer reads the end
  void shutdown(Shutdown what);
  void close() noexcept { descriptor_.reset(); }
  // Releases ownership of the descriptor without closing it.
  [[nodiscard]] int detach() noexcept { return descriptor_.release(); }
  // Duplicates the descriptor: the connection ends when both sockets are closed. They share the blocking mode.
  [[nodiscard]] Socket dup() const;

  // --- waiting ---
  // Empty: calls block. Zero: calls do not wait. Otherwise it limits the wait of each call. The descriptor is
  // non-blocking unless calls block.
  // Throws: Error(invalid) for a negative timeout.
  void set_timeout(std::optional<Duration> timeout);
  [[nodiscard]] std::optional<Duration> timeout() const noexcept { return timeout_; }
  void set_blocking(bool blocking) { set_timeout(blocking ? std::nullopt : std::optional(Duration::zero())); }
  [[nodiscard]] bool blocking() const noexcept { return timeout_ != Duration::zero(); }
  // The timeout of sockets that are created from now on, in the whole process.
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
  // An option as raw bytes. Without bytes, the kernel gets a null pointer.
  void set_option(int level, int name, BytesView value);
  [[nodiscard]] std::string get_option(int level, int name, std::size_t bytes_max) const;

  // --- properties ---
  [[nodiscard]] int native() const noexcept { return descriptor_.native(); }  // -1: closed
  [[nodiscard]] bool is_closed() const noexcept { return !descriptor_; }
  [[nodiscard]] Family family() const { return static_cast<Family>(get(options::family)); }
  [[nodiscard]] SocketType type() const noexcept { return type_; }
  [[nodiscard]] int protocol() const { return get(options::protocol); }
  // The peer in error messages: its address, even after the connection has ended; empty: there is none.
  [[nodiscard]] std::string peer_text() const;
  [[nodiscard]] bool inheritable() const { return descriptor_.inheritable(); }
  void set_inheritable(bool inheritable) { descriptor_.set_inheritable(inheritable); }

 protected:
  Socket(FileDescriptor descriptor, SocketType type) noexcept : descriptor_(std::move(descriptor)), type_(type) {}

 private:
  friend struct SocketPair;
  // A system call that may have to wait: its name and its event, and the peer for errors.
  struct Attempt {
    const char* operation;
    short events;
    bool may_wait = true;
    const Address* to = nullptr;
    std::optional<TimePoint> until = {};  // set by the first wait
  };
  template <class Call>
  std::size_t retry(Attempt& attempt, Call call) const;
  // Returns: 0, an errno value, or ETIMEDOUT when the time limit has passed.
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

// All addresses that connect_to() tried have failed.
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
  // Parsed by Address::of(); an empty host is the IPv6 wildcard, which includes IPv4.
  // Throws: Error that says what to do when the port is in use or not permitted.
  explicit Listener(std::string_view at, const ListenOptions& options = {});
  explicit Listener(const Address& at, const ListenOptions& options = {});
};

// Two sockets that are connected to each other (socketpair(2)).
struct SocketPair {
  explicit SocketPair(SocketType type = SocketType::stream);  // Unix sockets
  Socket near;
  Socket far;
};

}  // namespace coax
