// A few tasks try the ports, each takes the next one, so that a host that does not answer costs one time limit for each
// group. There are as many tasks as this process may open sockets. When the descriptors run out all the same, a port is
// tried again once another socket was closed.
#include "app/commands/check.hpp"

#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <filesystem>
#include <optional>

#include "app/commands/commands.hpp"
#include "app/console/report.hpp"
#include "coax/base/error.hpp"
#include "coax/net/names.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/task/offload.hpp"
#include "coax/task/run.hpp"
#include "coax/task/scope.hpp"

namespace coax::app {

namespace {

constexpr std::size_t at_once_max = 64;
constexpr std::size_t descriptors_reserve = 8;  // /etc/services, a second address of a host

// How many more sockets this process may open.
std::size_t sockets_at_once() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return at_once_max;
  std::error_code failure;
  std::size_t open = 1;
  for (std::filesystem::directory_iterator each("/proc/self/fd", failure), end; !failure && each != end; ++open) {
    each.increment(failure);
  }
  if (limit.rlim_cur <= open + descriptors_reserve) return 1;
  return std::min<std::size_t>(at_once_max, limit.rlim_cur - open - descriptors_reserve);
}

constexpr std::size_t told_each_max = 32;  // with more ports, only those that answer are printed

class Check {
 public:
  Check(const Target& target, Duration limit, bool json)
      : target_(target), limit_(limit), json_(json), results_(target.ports.last - target.ports.first + 1U) {}

  Task<> run();
  [[nodiscard]] int code() const;

 private:
  struct Result {
    std::string address;  // the one that answered
    std::string error;
    ErrorKind kind = ErrorKind::other;
    double milliseconds = 0;
    bool known = false;
  };

  Task<> work();
  Task<> try_port(std::uint16_t port, Result& result);
  Task<> try_while_descriptors_lack(std::uint16_t port, Result& result);
  void tell_those_that_are_known();
  void tell(std::uint16_t port, const Result& result) const;
  [[nodiscard]] std::size_t answering() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(results_, [](const Result& each) { return each.known && each.error.empty(); }));
  }

  const Target& target_;
  Duration limit_;
  bool json_;
  std::vector<Endpoint> addresses_;
  std::vector<Result> results_;
  std::size_t next_ = 0;
  std::size_t told_ = 0;
  std::size_t connecting_ = 0;
  Event closed_;  // one of our sockets was closed
};

Task<> Check::run() {
  if (!target_.is_unix()) {
    const std::string host = target_.host.empty() ? "localhost" : target_.host;
    const auto look_up = [host] { return interleave_families(resolve(host, 0)); };
    const auto found = [&]() -> Task<> { addresses_ = co_await offload(look_up, abandon_on_cancel); };
    co_await within(limit_, "resolve", host, found());
  }
  TaskGroup group;
  for (std::size_t count = 0; count < std::min(sockets_at_once(), results_.size()); ++count) group.spawn(work());
  co_await group.join();
  const auto lacking = std::ranges::find(results_, ErrorKind::overloaded, &Result::kind);
  if (lacking != results_.end()) complain("connect", lacking->error + " (ulimit -n): not every port could be tried");
  if (!json_ && results_.size() > 1) {
    print("{} of {} ports answer\n", answering(), results_.size());
  }
}

Task<> Check::work() {
  while (next_ != results_.size()) {
    const std::size_t index = next_++;
    co_await try_while_descriptors_lack(static_cast<std::uint16_t>(target_.ports.first + index), results_[index]);
    results_[index].known = true;
    tell_those_that_are_known();
  }
}

Task<> Check::try_while_descriptors_lack(std::uint16_t port, Result& result) {
  while (true) {
    ++connecting_;
    co_await try_port(port, result);
    --connecting_;
    closed_.set();
    if (result.kind != ErrorKind::overloaded || connecting_ == 0) co_return;
    closed_.clear();
    result = {};
    co_await closed_.wait();
  }
}

Task<> Check::try_port(std::uint16_t port, Result& result) {
  const TimePoint began = Clock::now();
  std::vector<Endpoint> there;
  for (const Endpoint& address : addresses_) {
    if (auto endpoint = Endpoint::from_ip(address.ip(), port)) there.push_back(*endpoint);
  }
  try {
    const auto stream = target_.is_unix()
                            ? co_await within(limit_, "connect to", target_.unix_name, connect(target_.unix_name))
                            : co_await connect(std::move(there), {.limit = limit_});
    result.address = stream->peer_name();
  } catch (const Error& error) {
    result.error = error.what();
    result.kind = error.kind();
  }
  result.milliseconds = std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

// In the order of the ports.
void Check::tell_those_that_are_known() {
  for (; told_ != results_.size() && results_[told_].known; ++told_) {
    tell(static_cast<std::uint16_t>(target_.ports.first + told_), results_[told_]);
  }
  flush_output();
}

std::string_view word_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::refused: return "closed";
    case ErrorKind::timed_out: return "no answer";
    case ErrorKind::unreachable: return "unreachable";
    case ErrorKind::overloaded: return "not tried";
    default: return "failed";
  }
}

void Check::tell(std::uint16_t port, const Result& result) const {
  const bool answers = result.error.empty();
  const std::string_view state = answers ? "open" : word_of(result.kind);
  std::string service;
  try {
    service = target_.is_unix() ? "" : service_name(port, "tcp");
  } catch (const Error&) {  // the port has no name
  }
  if (json_) {
    boost::json::object object{{"target", target_.text_with(port)}, {"state", state}};
    if (!target_.is_unix()) object["port"] = port;
    if (!service.empty()) object["service"] = service;
    if (answers) object["address"] = result.address;
    if (!answers) object["error"] = result.error;
    object["ms"] = result.milliseconds;
    return print_json(object);
  }
  if (!answers && results_.size() > told_each_max) return;
  print("{:<28} {:<12} {:.1f} ms{}\n", target_.text_with(port), state, result.milliseconds,
        service.empty() ? "" : "  " + service);
}

// A failure of this machine proves nothing about a port.
int Check::code() const {
  const bool was_tried = std::ranges::none_of(
      results_, [](const Result& each) { return each.known && each.kind == ErrorKind::overloaded; });
  if (!was_tried) return failed;
  const std::size_t count = answering();
  return count == results_.size() ? done : count == 0 ? unavailable : failed;
}

Task<> run_check(Check& check, int& code) {
  try {
    co_await check.run();
    code = check.code();
  } catch (const Error& error) {
    complain("connect", error.what());
    code = exit_code_of(error);
  }
}

}  // namespace

int check_ports(const Target& target, Duration limit, bool json) {
  Check check(target, limit, json);
  int code = failed;
  const int ran = run(run_check(check, code));
  return ran != 0 ? ran : code;
}

}  // namespace coax::app
