// coax doctor: the limits and settings of this machine, and what to change.
#include <fmt/core.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "app/commands/commands.hpp"
#include "app/console/report.hpp"
#include "app/version.hpp"
#include "coax/coax.hpp"

namespace coax::app {

namespace {

// A line of the report. Advice only when there is something to improve.
struct Finding {
  std::string name;
  std::string text;
  std::string advice = {};
};

// The content of a small file of /proc, without the line's end; empty: there is none.
std::string read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}
std::string kernel_setting(std::string_view name) { return read_line(fmt::format("/proc/sys/{}", name)); }

std::vector<std::uint64_t> numbers(const std::string& text) {
  std::istringstream words(text);
  std::vector<std::uint64_t> all;
  for (std::uint64_t number = 0; words >> number;) all.push_back(number);
  return all;
}

std::string variable(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): never set by us
  return value == nullptr ? "" : value;
}

Finding back_end() {
  try {
    const auto backend = make_backend();
    const std::string chosen = variable("COAX_BACKEND");
    return {"back-end", fmt::format("{}, {}", backend->name(),
                                    chosen.empty() ? std::string("the default") : "by COAX_BACKEND=" + chosen)};
  } catch (const Error& error) {
    return {"back-end", "none", error.what()};
  }
}

Finding io_uring() {
  const std::string refusal = why_no_uring();
  if (!refusal.empty()) return {"io_uring", "no: " + refusal};
  return {"io_uring", "can be had with COAX_BACKEND=uring or auto"};
}

Finding spinning() {
  const unsigned cores = std::thread::hardware_concurrency();
  if (variable("COAX_SPIN") == "off") return {"spinning", "off, by COAX_SPIN=off"};
  if (cores < 2) return {"spinning", "off: there is one core"};
  return {"spinning", fmt::format("a busy loop looks for {} us before it sleeps (COAX_SPIN=off forbids it)",
                                  std::chrono::duration_cast<std::chrono::microseconds>(Spin::max).count())};
}

Finding open_files() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  Finding finding{"open files", fmt::format("{} for a process, of which coax serve takes all", limit.rlim_max)};
  if (limit.rlim_max < 65'536) {
    finding.advice =
        "each connection is an open file: for more, raise the hard limit (LimitNOFILE= of a service, "
        "/etc/security/limits.conf), or let io_uring hold them (COAX_BACKEND=uring)";
  }
  return finding;
}

Finding backlog() {
  const std::string most = kernel_setting("net/core/somaxconn");
  if (most.empty()) return {"backlog", "unknown"};
  Finding finding{"backlog", most + " connections may wait to be accepted"};
  if (std::atoi(most.c_str()) < 1024)
    finding.advice = "sysctl -w net.core.somaxconn=4096, for crowds that come at once";
  return finding;
}

Finding buffers(std::string name, std::string_view setting) {
  const auto sizes = numbers(kernel_setting(setting));
  if (sizes.size() != 3) return {std::move(name), "unknown"};
  return {std::move(name), fmt::format("{} at first, up to {}", format_size(sizes[1]), format_size(sizes[2]))};
}

Finding congestion() {
  const std::string used = kernel_setting("net/ipv4/tcp_congestion_control");
  if (used.empty()) return {"congestion", "unknown"};
  Finding finding{"congestion",
                  fmt::format("{}, of {}", used, kernel_setting("net/ipv4/tcp_available_congestion_control"))};
  if (used == "bbr") finding.advice = "bbr paces loopback, too: within a machine others move large data twice as fast";
  return finding;
}

Finding outgoing_ports() {
  const auto range = numbers(kernel_setting("net/ipv4/ip_local_port_range"));
  if (range.size() != 2) return {"ports", "unknown"};
  Finding finding{"ports", fmt::format("{} to {}: {} connections at most to one address and port", range[0], range[1],
                                       range[1] - range[0] + 1)};
  if (range[1] - range[0] < 10'000) finding.advice = "sysctl -w net.ipv4.ip_local_port_range='32768 60999'";
  return finding;
}

Finding ipv6() {
  const int native = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (native < 0) return {"IPv6", "no", "\"::\" cannot be listened on: use 0.0.0.0"};
  ::close(native);
  if (kernel_setting("net/ipv6/conf/all/disable_ipv6") == "1") {
    return {"IPv6", "switched off", "sysctl -w net.ipv6.conf.all.disable_ipv6=0"};
  }
  return {"IPv6", "yes"};
}

std::vector<Finding> examine() {
  utsname system{};
  ::uname(&system);
  return {
      {"system", fmt::format("{} {} on {}, {} cores", system.sysname, system.release, system.machine,
                             std::thread::hardware_concurrency())},
      back_end(),
      io_uring(),
      spinning(),
      open_files(),
      backlog(),
      buffers("receive buffer", "net/ipv4/tcp_rmem"),
      buffers("send buffer", "net/ipv4/tcp_wmem"),
      congestion(),
      outgoing_ports(),
      ipv6(),
  };
}

void print_findings(const std::vector<Finding>& findings) {
  print("Coax {}\n\n", COAX_VERSION);
  for (const Finding& finding : findings) print("  {:<15} {}\n", finding.name, finding.text);
  if (std::ranges::all_of(findings, [](const Finding& finding) { return finding.advice.empty(); })) return;
  print("\nWhat could be better:\n");
  for (const Finding& finding : findings) {
    if (!finding.advice.empty()) print("  {:<15} {}\n", finding.name, finding.advice);
  }
}

void print_findings_as_json(const std::vector<Finding>& findings) {
  boost::json::array all;
  for (const Finding& finding : findings) {
    boost::json::object one{{"name", finding.name}, {"text", finding.text}};
    if (!finding.advice.empty()) one["advice"] = finding.advice;
    all.push_back(std::move(one));
  }
  print_json(boost::json::object{{"version", COAX_VERSION}, {"findings", std::move(all)}});
}

Run configure_doctor(CLI::App& command) {
  auto json = std::make_shared<bool>(false);
  command.add_flag("--json", *json, "For machines: one object, with advice where there is any");
  return [json] {
    const auto findings = examine();
    *json ? print_findings_as_json(findings) : print_findings(findings);
    const bool can_run = std::ranges::none_of(
        findings, [](const Finding& finding) { return finding.name == "back-end" && !finding.advice.empty(); });
    return can_run ? done : failed;
  };
}

}  // namespace

const Command doctor_command{
    .name = "doctor",
    .summary = "What this machine allows, and what to change for more",
    .details =
        "Exit codes: 0 the report is complete, 1 no event loop can be made here: nothing of Coax will run.\n"
        "\n",
    .examples =
        "  coax doctor\n"
        "  COAX_BACKEND=auto coax doctor\n"
        "  coax doctor --json",
    .configure = configure_doctor,
};

}  // namespace coax::app
