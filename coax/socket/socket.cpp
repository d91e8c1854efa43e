// Sockets: creation, addresses, shutdown, and options.
#include "coax/socket/socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>

namespace coax {

static_assert(static_cast<int>(SocketType::non_blocking) == SOCK_NONBLOCK);
static_assert(flags::out_of_band == MSG_OOB && flags::peek == MSG_PEEK && flags::truncate == MSG_TRUNC &&
              flags::dont_wait == MSG_DONTWAIT && flags::wait_all == MSG_WAITALL && flags::more == MSG_MORE);

namespace {

constexpr Duration::rep no_timeout = -1;
std::atomic<Duration::rep> process_timeout = no_timeout;

constexpr int type_bits = 0xf;  // SOCK_TYPE_MASK of the kernel

Error option_error(const char* operation, int level, int name) {
  const int reason = errno;
  return {reason, operation, std::to_string(level) + "/" + std::to_string(name),
          reason == ENOPROTOOPT ? "this kind of socket does not have it" : ""};
}

template <class Call>
Address name_of(Call call, int native) {
  std::array<std::byte, sizeof(sockaddr_storage)> bytes{};
  socklen_t size = sizeof bytes;
  alignas(8) sockaddr_storage storage{};
  if (call(native, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  std::memcpy(bytes.data(), &storage, sizeof storage);
  return Address::from_native(std::span(bytes).first(std::min<std::size_t>(size, sizeof bytes)));
}

void set_non_blocking(int native, bool non_blocking) {
  const int flags = ::fcntl(native, F_GETFL);
  const int wanted = non_blocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  if (flags < 0 || (flags != wanted && ::fcntl(native, F_SETFL, wanted) != 0)) {
    throw Error(errno, "set the blocking mode of a socket");
  }
}

}  // namespace

Socket::Socket(Family family, SocketType type, int protocol)
    : descriptor_(::socket(static_cast<int>(family), static_cast<int>(type) | SOCK_CLOEXEC, protocol)),
      type_(static_cast<SocketType>(static_cast<int>(type) & type_bits)) {
  if (!descriptor_) {
    const int reason = errno;
    throw Error(reason, "make a socket", {},
                reason == EAFNOSUPPORT || reason == EPROTONOSUPPORT ? "this system does not have that kind" : "");
  }
  if ((static_cast<int>(type) & SOCK_NONBLOCK) != 0) {
    timeout_ = Duration::zero();
  } else {
    apply_default_timeout();
  }
}

Socket Socket::adopt(int native) {
  if (native < 0) throw Error(ErrorKind::invalid, "take over a descriptor", {}, "it is negative");
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(native, SOL_SOCKET, SO_TYPE, &type, &size) != 0) throw Error(errno, "take over a descriptor");
  const bool non_blocking = (::fcntl(native, F_GETFL) & O_NONBLOCK) != 0;
  Socket socket(FileDescriptor(native), static_cast<SocketType>(type));
  if (non_blocking) {
    socket.timeout_ = Duration::zero();
  } else {
    socket.apply_default_timeout();
  }
  return socket;
}

Socket Socket::dup() const {
  Socket copy(descriptor_.dup(), type_);
  copy.timeout_ = timeout_;
  copy.peer_ = peer_;
  return copy;
}

SocketPair::SocketPair(SocketType type) : near(FileDescriptor(), type), far(FileDescriptor(), type) {
  std::array<int, 2> natives{};
  if (::socketpair(AF_UNIX, static_cast<int>(type) | SOCK_CLOEXEC, 0, natives.data()) != 0) {
    throw Error(errno, "make a pair of sockets");
  }
  near = Socket::adopt(natives[0]);
  far = Socket::adopt(natives[1]);
}

// --- addresses and shutdown ---

Address Socket::local() const {
  Address address = name_of(::getsockname, native());
  if (address.family() == Family::none) throw Error(errno, "read the address of a socket");
  return address;
}

Address Socket::peer() const {
  Address address = name_of(::getpeername, native());
  if (address.family() == Family::none) throw Error(errno, "read the peer of a socket");
  return address;
}

void Socket::shutdown(Shutdown what) {
  if (::shutdown(native(), static_cast<int>(what)) != 0) fail(errno, "shut down the connection to");
}

// --- timeouts ---

void Socket::set_timeout(std::optional<Duration> timeout) {
  if (timeout && *timeout < Duration::zero()) {
    throw Error(ErrorKind::invalid, "set the timeout of a socket", {}, "it is negative");
  }
  set_non_blocking(native(), timeout.has_value());
  timeout_ = timeout;
}

void Socket::set_default_timeout(std::optional<Duration> timeout) {
  if (timeout && *timeout < Duration::zero()) {
    throw Error(ErrorKind::invalid, "set the default timeout", {}, "it is negative");
  }
  process_timeout = timeout ? timeout->count() : no_timeout;
}

std::optional<Duration> Socket::default_timeout() noexcept {
  const Duration::rep ticks = process_timeout;
  return ticks == no_timeout ? std::nullopt : std::optional(Duration(ticks));
}

void Socket::apply_default_timeout() {
  if (const auto timeout = default_timeout()) set_timeout(timeout);
}

// --- options ---

void Socket::set_option(int level, int name, BytesView value) {
  if (::setsockopt(native(), level, name, value.data(), static_cast<socklen_t>(value.size())) != 0) {
    throw option_error("set the socket option", level, name);
  }
}

std::string Socket::get_option(int level, int name, std::size_t bytes_max) const {
  std::string value(bytes_max, '\0');
  auto size = static_cast<socklen_t>(bytes_max);
  if (::getsockopt(native(), level, name, value.data(), &size) != 0) {
    throw option_error("read the socket option", level, name);
  }
  value.resize(size);
  return value;
}

namespace {

// At most the maximum of the kernel's int.
template <class Count>
int clamp_to_int(Count count) noexcept {
  return static_cast<int>(std::min<Count>(count, std::numeric_limits<int>::max()));
}

template <class T>
void set_value(Socket& socket, const options::OptionName& option, const T& value) {
  socket.set_option(option.level, option.name, std::as_bytes(std::span(&value, 1)));
}

template <class T>
T get_value(const Socket& socket, const options::OptionName& option) {
  const std::string bytes = socket.get_option(option.level, option.name, sizeof(T));
  T value{};
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
  return value;
}

constexpr options::OptionName linger_option{SOL_SOCKET, SO_LINGER};

}  // namespace

void Socket::set(const options::Flag& option, bool value) { set_value(*this, option, value ? 1 : 0); }
void Socket::set(const options::Number& option, int value) { set_value(*this, option, value); }
void Socket::set(const options::Size& option, std::size_t value) { set_value(*this, option, clamp_to_int(value)); }
void Socket::set(const options::Text& option, std::string_view value) { set_option(option.level, option.name, value); }

void Socket::set(const options::Period& option, Duration value) {
  if (value < Duration::zero()) throw Error(ErrorKind::invalid, "set a socket option", {}, "a period is negative");
  set_value(*this, option, clamp_to_int((value + option.unit - Duration(1)) / option.unit));
}

void Socket::set(const options::keep_alive& value) {
  if (value.idle) set(options::keep_alive_idle, *value.idle);
  if (value.interval) set(options::keep_alive_interval, *value.interval);
  if (value.count) set(options::keep_alive_count, *value.count);
  set(options::keep_alive_on, value.on);
}

void Socket::set(const options::linger& value) {
  const auto time = value.time ? std::chrono::ceil<std::chrono::seconds>(*value.time) : std::chrono::seconds(0);
  set_value(*this, linger_option, ::linger{.l_onoff = value.time ? 1 : 0, .l_linger = clamp_to_int(time.count())});
}

bool Socket::get(const options::Flag& option) const { return get_value<int>(*this, option) != 0; }
int Socket::get(const options::Number& option) const { return get_value<int>(*this, option); }
std::size_t Socket::get(const options::Size& option) const {
  return static_cast<std::size_t>(get_value<int>(*this, option));
}
Duration Socket::get(const options::Period& option) const { return option.unit * get_value<int>(*this, option); }
std::string Socket::get(const options::Text& option) const {
  constexpr std::size_t text_bytes_max = 256;
  const std::string text = get_option(option.level, option.name, text_bytes_max);
  return text.substr(0, text.find('\0'));
}

options::keep_alive Socket::get_keep_alive() const {
  return {.on = get(options::keep_alive_on),
          .idle = get(options::keep_alive_idle),
          .interval = get(options::keep_alive_interval),
          .count = get(options::keep_alive_count)};
}

options::linger Socket::get_linger() const {
  const auto value = get_value<::linger>(*this, linger_option);
  if (value.l_onoff == 0) return {};
  return {.time = std::chrono::seconds(value.l_linger)};
}

}  // namespace coax
