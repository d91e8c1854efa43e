// Connecting: the addresses of a host race each other, each with a head start before the next (RFC 8305), so that one
// which never answers costs a moment and not minutes.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/task/offload.hpp"
#include "coax/task/scope.hpp"

namespace coax {

using namespace std::chrono_literals;

namespace {

class Connect : public Leaf<Connect>, public Op {
 public:
  Connect(Descriptor to, const Address& where) noexcept
      : Leaf([](Waiting& self) noexcept { Loop::current().cancel(static_cast<Connect&>(self)); }),
        Op(Kind::connect, [](Completion& self) noexcept { static_cast<Connect&>(self).resume(); }),
        where_(where) {
    descriptor = to;
  }
  bool start() noexcept {
    address = &where_;
    return Loop::current().submit(*this);
  }
  // 0 or errno.
  [[nodiscard]] int finish() const {
    if (result == -ECANCELED) throw Cancelled();
    return static_cast<int>(-result);
  }

 private:
  Address where_;
};

Task<std::unique_ptr<SocketStream>> connect_one(Address address) {
  const auto descriptor = Loop::current().backend().open(address.family());
  if (!descriptor) throw Error(descriptor.error(), "connect to", address.to_string());
  auto stream = std::make_unique<SocketStream>(*descriptor, address.endpoint());  // closes it, whatever happens
  int reason = co_await Connect(*descriptor, address);
  // The queue of a Unix listener is full, and nobody tells when it is not: unix(7) has no connecting in the background.
  for (Duration pause = 1ms; reason == EAGAIN && address.family() == Family::local;
       pause = std::min<Duration>(pause * 2, 50ms)) {
    co_await sleep(pause);
    reason = co_await Connect(*descriptor, address);
  }
  if (reason != 0) throw Error(reason, "connect to", address.to_string());
  co_return stream;
}

class Attempts {
 public:
  // name: of the whole, for errors.
  Attempts(std::vector<Endpoint> addresses, Duration delay, std::string name)
      : addresses_(std::move(addresses)), errors_(addresses_.size()), delay_(delay), name_(std::move(name)) {}

  Task<std::unique_ptr<SocketStream>> run(TimePoint until, Duration limit);

 private:
  Task<> all();
  Task<> start_all();
  Task<> attempt(std::size_t index);
  [[noreturn]] void fail() const;
  [[nodiscard]] std::string what_each_said() const;

  std::vector<Endpoint> addresses_;
  std::vector<std::optional<Error>> errors_;  // of each address, once it has failed
  std::size_t started_ = 0;
  Duration delay_;
  std::string name_;
  Event last_failed_;  // the one that was started last
  TaskGroup group_;
  std::unique_ptr<SocketStream> stream_;
};

Task<std::unique_ptr<SocketStream>> Attempts::run(TimePoint until, Duration limit) {
  try {
    co_await timeout(until - Loop::current().backend().now(), all());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
    if (stream_) co_return std::move(stream_);  // in the same moment
    throw Error(ErrorKind::timed_out, "connect to", name_,
                "no connection within " + format_duration(limit) + ": " + what_each_said());
  }
  if (!stream_) fail();
  co_return std::move(stream_);
}

Task<> Attempts::all() {
  group_.spawn(start_all());
  co_await group_.join();
}

Task<> Attempts::start_all() {
  while (started_ != addresses_.size()) {
    last_failed_.clear();
    group_.spawn(attempt(started_++));
    if (stream_ || started_ == addresses_.size()) co_return;
    co_await race(last_failed_.wait(), sleep(delay_));
  }
}

Task<> Attempts::attempt(std::size_t index) {
  try {
    auto stream = co_await connect_one(addresses_[index]);
    if (!stream_) stream_ = std::move(stream);
    group_.cancel();
  } catch (const Error& error) {
    errors_[index] = error;
    if (index + 1 == started_) last_failed_.set();
  }
}

void Attempts::fail() const {
  if (errors_.size() == 1) throw Error(*errors_.front());
  const Error* first = &*errors_.front();
  for (const auto& error : errors_) {
    if (first->kind() == ErrorKind::unreachable) first = &*error;
  }
  throw Error(first->kind(), "connect to", name_, what_each_said());
}

std::string Attempts::what_each_said() const {
  std::string text;
  for (std::size_t index = 0; index < addresses_.size(); ++index) {
    if (index != 0) text += ", ";
    text += addresses_[index].to_string() + ": ";
    text += errors_[index] ? errors_[index]->code().message() : index < started_ ? "no answer" : "not tried yet";
  }
  return text;
}

Task<std::vector<Endpoint>> look_up(std::string host, std::uint16_t port, std::string_view name, Duration limit) {
  const auto ask = [host, port] { return resolve(host, port); };
  try {
    std::vector<Endpoint> addresses = co_await timeout(limit, offload(ask, abandon_on_cancel));
    co_return interleave_families(addresses);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
  }
  throw Error(ErrorKind::timed_out, "connect to", name, "no name server answered within " + format_duration(limit));
}

}  // namespace

Task<std::unique_ptr<SocketStream>> connect(Address to) { return connect_one(std::move(to)); }

Task<std::unique_ptr<SocketStream>> connect(std::vector<Endpoint> addresses, ConnectOptions options) {
  if (addresses.empty()) throw Error(ErrorKind::address, "connect", "", "no address to connect to");
  const TimePoint until = later(Loop::current().backend().now(), options.limit);
  const std::string name = addresses.size() == 1 ? addresses.front().to_string()
                                                 : "any of " + std::to_string(addresses.size()) + " addresses";
  Attempts attempts(std::move(addresses), options.attempt_delay, name);
  co_return co_await attempts.run(until, options.limit);
}

Task<std::unique_ptr<SocketStream>> connect(std::string_view host_and_port, ConnectOptions options) {
  if (host_and_port.starts_with("unix:")) {
    const Address address = Address::of(host_and_port, Family::local);
    co_return co_await timeout(options.limit, connect_one(address));
  }
  const auto target = parse_host_port(host_and_port);
  if (!target || !target->port) {
    throw Error(ErrorKind::invalid, "connect to", host_and_port, "give HOST:PORT, an IPv6 address as [ADDRESS]:PORT");
  }
  const std::string host = target->host.empty() ? "localhost" : target->host;
  const TimePoint until = later(Loop::current().backend().now(), options.limit);
  if (const auto numeric = Endpoint::from_ip(host, *target->port)) {
    co_return co_await connect(std::vector{*numeric}, options);
  }
  std::vector<Endpoint> addresses = co_await look_up(host, *target->port, host_and_port, options.limit);
  Attempts attempts(std::move(addresses), options.attempt_delay, std::string(host_and_port));
  co_return co_await attempts.run(until, options.limit);
}

}  // namespace coax
