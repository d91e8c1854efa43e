// Connecting with Happy Eyeballs (RFC 8305): the addresses of a host are tried in parallel, each with a head start
// before the next, so that one that never answers costs a moment and not minutes. The address families are resolved in
// parallel, too: a name server that answers for one family need not answer for the other.
#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/stream/connect_private.hpp"
#include "coax/stream/look_up.hpp"
#include "coax/task/scope.hpp"

namespace coax {

using namespace std::chrono_literals;

namespace {

// How long the addresses of one family wait for those of the preferred one (RFC 8305, section 3, "Resolution Delay").
constexpr Duration resolution_delay = 50ms;

class Connect : public Operation<Connect>, public Op {
 public:
  Connect(Descriptor to, const Address& where) noexcept
      : Operation([](Waiting& self) noexcept { Loop::current().cancel(static_cast<Connect&>(self)); }),
        Op(Kind::connect, [](Completion& self) noexcept { static_cast<Connect&>(self).resume(); }),
        where_(where) {
    descriptor = to;
  }
  bool start() noexcept {
    address() = &where_;
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
  auto stream = std::make_unique<SocketStream>(*descriptor, address.endpoint());  // closed on every error
  int reason = co_await Connect(*descriptor, address);
  // The queue of a Unix listener is full, and there is no event for room in it: unix(7) has no pending connect.
  for (Duration pause = 1ms; reason == EAGAIN && address.family() == Family::local;
       pause = std::min<Duration>(pause * 2, 50ms)) {
    co_await sleep(pause);
    reason = co_await Connect(*descriptor, address);
  }
  // TCP self-connect (RFC 9293, section 3.5, simultaneous open): the kernel chose the destination port as the source
  // port, and no server listens there.
  if (reason == 0 && address.family() != Family::local && stream->local() == stream->peer()) reason = ECONNREFUSED;
  if (reason != 0) throw Error(reason, "connect to", address.to_string(), connect_advice(reason, address));
  co_return stream;
}

// A resolution of the name, for one family or for both.
struct Question {
  Endpoint::Family family;
  bool is_over = false;
  std::exception_ptr error = {};
  int reason = 0;         // the resolver's error
  std::string says = {};  // why it returned no address

  // A host without addresses of the family is no failure.
  [[nodiscard]] bool had_trouble() const noexcept {
    return error && reason != EAI_NONAME && reason != EAI_NODATA && reason != EAI_ADDRFAMILY;
  }
  [[nodiscard]] std::string text() const {
    const std::string_view name = family == Endpoint::Family::v6 ? "IPv6" : "IPv4";
    return fmt::format("{}: {}", name, is_over ? says : "no answer");
  }
};

class Attempts {
 public:
  // name: of the whole, for errors.
  Attempts(std::vector<Endpoint> addresses, Duration delay, std::string name)
      : addresses_(std::move(addresses)), errors_(addresses_.size()), delay_(delay), name_(std::move(name)) {}
  // Resolves the addresses, each family by itself; late answers join those that are tried already.
  Attempts(HostPort host, std::vector<Question> questions, const Ask& ask, Duration delay, std::string name)
      : delay_(delay), name_(std::move(name)), host_(std::move(host)), ask_(&ask), questions_(std::move(questions)) {}

  Task<std::unique_ptr<SocketStream>> run(TimePoint until, Duration limit);

 private:
  Task<> all();
  Task<> look_up(Question& question);
  void add(const std::vector<Endpoint>& answer);
  [[nodiscard]] bool is_asking() const noexcept { return !std::ranges::all_of(questions_, &Question::is_over); }
  Task<> wait_for_answer();
  Task<> wait_for_preferred();
  Task<> start_all();
  Task<> attempt(std::size_t index);
  [[noreturn]] void fail() const;
  [[noreturn]] void fail_to_resolve() const;
  [[nodiscard]] std::string why_too_late(Duration limit) const;
  [[nodiscard]] std::string what_each_said() const;

  std::vector<Endpoint> addresses_;
  std::vector<std::optional<Error>> errors_;  // of each address, once it has failed
  std::size_t started_ = 0;
  Duration delay_;
  std::string name_;
  HostPort host_;
  const Ask* ask_ = nullptr;
  std::vector<Question> questions_;  // the preferred family first
  Event answered_;
  Event last_failed_;  // the attempt that was started last
  TaskGroup group_;
  std::unique_ptr<SocketStream> stream_;
};

Task<std::unique_ptr<SocketStream>> Attempts::run(TimePoint until, Duration limit) {
  try {
    co_await timeout(until - Loop::current().backend().now(), all());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
    if (stream_) co_return std::move(stream_);  // in the same moment
    throw Error(ErrorKind::timed_out, "connect to", name_, why_too_late(limit));
  }
  if (!stream_) fail();
  co_return std::move(stream_);
}

Task<> Attempts::all() {
  for (Question& question : questions_) group_.spawn(look_up(question));
  group_.spawn(start_all());
  co_await group_.join();
}

// --- addresses ---

Task<> Attempts::look_up(Question& question) {
  try {
    add(co_await (*ask_)(host_.host, *host_.port, question.family));
    question.says = "no address";
  } catch (const ResolveError& error) {
    question.error = std::current_exception();
    question.reason = error.reason();
    question.says = gai_strerror(error.reason());
  } catch (const Error& error) {
    question.error = std::current_exception();
    question.says = error.code().message();
  }
  question.is_over = true;
  answered_.set();
}

// Addresses that were not tried yet are sorted again, so that the families alternate.
void Attempts::add(const std::vector<Endpoint>& answer) {
  using enum Endpoint::Family;
  Endpoint::Family first = questions_.front().family;
  if (started_ != 0) first = addresses_[started_ - 1].family() == v6 ? v4 : v6;
  std::vector<Endpoint> waiting(addresses_.begin() + static_cast<std::ptrdiff_t>(started_), addresses_.end());
  waiting.insert(waiting.end(), answer.begin(), answer.end());
  addresses_.resize(started_);
  for (const Endpoint& address : interleave_families(waiting, first)) addresses_.push_back(address);
  errors_.resize(addresses_.size());
}

Task<> Attempts::wait_for_answer() {
  answered_.clear();
  co_await answered_.wait();
}

Task<> Attempts::wait_for_preferred() {
  while (!questions_.front().is_over) co_await wait_for_answer();
}

// --- attempts ---

Task<> Attempts::start_all() {
  while (addresses_.empty() && is_asking()) co_await wait_for_answer();
  if (is_asking()) co_await race(wait_for_preferred(), sleep(resolution_delay));
  while (true) {
    while (started_ == addresses_.size()) {
      if (!is_asking()) co_return;
      co_await wait_for_answer();
    }
    last_failed_.clear();
    group_.spawn(attempt(started_++));
    const bool was_last = started_ == addresses_.size() && !is_asking();
    if (stream_ || was_last) co_return;
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

// --- errors ---

void Attempts::fail() const {
  if (addresses_.empty()) fail_to_resolve();
  const bool had_trouble = std::ranges::any_of(questions_, &Question::had_trouble);
  if (errors_.size() == 1 && !had_trouble) throw Error(*errors_.front());
  const Error* first = &*errors_.front();
  for (const auto& error : errors_) {
    if (first->kind() == ErrorKind::unreachable) first = &*error;
  }
  throw Error(first->kind(), "connect to", name_, what_each_said());
}

void Attempts::fail_to_resolve() const {
  const Question& first = questions_.front();
  const bool all_say_the_same =
      std::ranges::all_of(questions_, [&](const Question& question) { return question.says == first.says; });
  if (all_say_the_same && first.error) std::rethrow_exception(first.error);
  std::string text;
  for (const Question& question : questions_) text.append(text.empty() ? "" : ", ").append(question.text());
  throw Error(ErrorKind::address, "resolve", host_.host, text);
}

std::string Attempts::why_too_late(Duration limit) const {
  const std::string within = format_duration(limit);
  if (!addresses_.empty()) return fmt::format("no connection within {}: {}", within, what_each_said());
  std::string text = "no name server answered within " + within;
  for (const Question& question : questions_) {
    if (question.is_over) text.append("; ").append(question.text());
  }
  return text;
}

std::string Attempts::what_each_said() const {
  std::string text;
  for (std::size_t index = 0; index < addresses_.size(); ++index) {
    if (index != 0) text += ", ";
    text += addresses_[index].to_string() + ": ";
    text += errors_[index] ? errors_[index]->code().message() : index < started_ ? "no answer" : "not tried yet";
  }
  for (const Question& question : questions_) {
    if (!question.is_over || question.had_trouble()) text.append(", its other addresses by ").append(question.text());
  }
  return text;
}

}  // namespace

Task<std::unique_ptr<SocketStream>> connect(Address to) { return connect_one(to); }

Task<std::unique_ptr<SocketStream>> connect(std::vector<Endpoint> addresses, ConnectOptions options) {
  if (addresses.empty()) throw Error(ErrorKind::address, "connect", "", "no address to connect to");
  const TimePoint until = later(Loop::current().backend().now(), options.limit);
  const std::string name = addresses.size() == 1 ? addresses.front().to_string()
                                                 : "any of " + std::to_string(addresses.size()) + " addresses";
  Attempts attempts(std::move(addresses), options.attempt_delay, name);
  co_return co_await attempts.run(until, options.limit);
}

// The text is copied before the task starts, since its owner may be destroyed by then.
Task<std::unique_ptr<SocketStream>> connect(std::string_view host_and_port, ConnectOptions options) {
  return connect(std::string(host_and_port), options, look_up);
}

Task<std::unique_ptr<SocketStream>> connect(std::string host_and_port, ConnectOptions options, Ask ask) {
  if (host_and_port.starts_with("unix:")) {
    const Address address = Address::of(host_and_port, Family::local);
    co_return co_await timeout(options.limit, connect_one(address));
  }
  auto target = parse_host_port(host_and_port);
  if (!target || !target->port) {
    throw Error(ErrorKind::invalid, "connect to", host_and_port, "give HOST:PORT, an IPv6 address as [ADDRESS]:PORT");
  }
  if (target->host.empty()) target->host = "localhost";
  const TimePoint until = later(Loop::current().backend().now(), options.limit);
  if (const auto numeric = Endpoint::from_ip(target->host, *target->port)) {
    co_return co_await connect(std::vector{*numeric}, options);
  }
  std::vector<Question> questions{{.family = Endpoint::Family::v6}, {.family = Endpoint::Family::v4}};
  if (is_loopback_name(target->host)) questions = {{.family = Endpoint::Family::none}};
  Attempts attempts(std::move(*target), std::move(questions), ask, options.attempt_delay, std::move(host_and_port));
  co_return co_await attempts.run(until, options.limit);
}

}  // namespace coax
