// coax resolve: the addresses of a name, in the order in which connect() tries them, or the names of an address; with
// the resolver's error when there are none, and the duration.
#include <fmt/core.h>
#include <netdb.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <memory>

#include "app/commands/commands.hpp"
#include "app/console/report.hpp"
#include "coax/net/idna.hpp"
#include "coax/net/names.hpp"

namespace coax::app {

namespace {

struct ResolveArguments {
  std::vector<std::string> names;
  bool reverse = false;
  bool json = false;
};

struct Target {
  std::string host;
  std::string service;  // empty: none
};

// "name", "name:80", "name:https", "::1", "[::1]:https".
Target target_of(const std::string& text) {
  const auto refuse = [&] {
    throw WrongUsage{
        fmt::format("\"{}\" is not NAME, NAME:PORT or NAME:SERVICE (an IPv6 address with one: "
                    "[ADDRESS]:PORT)",
                    text)};
  };
  Target target{text, {}};
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string::npos) refuse();
    target.host = text.substr(1, end - 1);
    const std::string rest = text.substr(end + 1);
    if (!rest.empty() && (rest.size() == 1 || !rest.starts_with(':'))) refuse();
    if (!rest.empty()) target.service = rest.substr(1);
  } else if (std::ranges::count(text, ':') == 1) {
    target.host = text.substr(0, text.find(':'));
    target.service = text.substr(text.find(':') + 1);
    if (target.service.empty()) refuse();
  }
  if (target.host.empty()) refuse();
  return target;
}

// The EAI_ name of netdb.h, which scripts and manuals use.
std::string_view name_of_reason(int reason) {
  switch (reason) {
    case EAI_AGAIN: return "EAI_AGAIN";
    case EAI_FAIL: return "EAI_FAIL";
    case EAI_NONAME: return "EAI_NONAME";
    case EAI_NODATA: return "EAI_NODATA";
    case EAI_SERVICE: return "EAI_SERVICE";
    case EAI_SYSTEM: return "EAI_SYSTEM";
    default: return "EAI";
  }
}

double milliseconds_since(TimePoint begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

int tell_failure(const std::string& name, const Error& error, TimePoint begin, bool json) {
  const auto* const resolver = dynamic_cast<const ResolveError*>(&error);
  const bool is_service = resolver != nullptr && resolver->reason() == EAI_SERVICE;
  const int code = is_service ? usage : exit_code_of(error);
  if (!json) {
    complain("resolve", fmt::format("{} ({:.1f} ms)", error.what(), milliseconds_since(begin)));
    return code;
  }
  boost::json::object object{{"name", name}, {"error", error.what()}, {"ms", milliseconds_since(begin)}};
  if (resolver != nullptr) object["reason"] = name_of_reason(resolver->reason());
  print_json(object);
  return code;
}

int forward(const std::string& name, bool json) {
  const Target target = target_of(name);
  const TimePoint begin = Clock::now();
  std::vector<AddressInfo> found;
  try {
    found = address_info(target.host, target.service, {.type = SocketType::stream, .canonical_name = true});
  } catch (const Error& error) {
    return tell_failure(name, error, begin, json);
  }
  const double took = milliseconds_since(begin);
  std::vector<Endpoint> addresses;
  for (const AddressInfo& info : found) addresses.push_back(info.address.endpoint());
  addresses = interleave_families(addresses);
  const std::string canonical = found.front().canonical_name;
  const auto text_of = [&](const Endpoint& at) { return target.service.empty() ? at.ip() : at.to_string(); };
  if (json) {
    boost::json::array all;
    for (const Endpoint& address : addresses) {
      boost::json::object one{{"address", address.ip()}, {"version", address.family() == Endpoint::Family::v6 ? 6 : 4}};
      if (!target.service.empty()) one["port"] = address.port();
      all.push_back(std::move(one));
    }
    print_json(
        boost::json::object{{"name", name}, {"canonical", canonical}, {"addresses", std::move(all)}, {"ms", took}});
    return done;
  }
  print("{}{}  ({:.1f} ms)\n", name, canonical != target.host ? " is " + canonical : "", took);
  for (const Endpoint& address : addresses) print("  {}\n", text_of(address));
  return done;
}

int backward(const std::string& text, bool json) {
  const auto address = Endpoint::from_ip(text, 0);
  if (!address) {
    throw WrongUsage{fmt::format("--reverse \"{}\": give an IP address, such as 127.0.0.1 or ::1", text)};
  }
  const TimePoint begin = Clock::now();
  HostEntry entry;
  try {
    entry = host_by_address(*address);
  } catch (const Error& error) {
    return tell_failure(text, error, begin, json);
  }
  const double took = milliseconds_since(begin);
  std::vector<std::string> names{entry.name};
  for (const std::string& alias : entry.aliases) names.push_back(alias);
  if (json) {
    print_json(boost::json::object{
        {"address", address->ip()}, {"names", boost::json::array(names.begin(), names.end())}, {"ms", took}});
    return done;
  }
  print("{}  ({:.1f} ms)\n", address->ip(), took);
  for (const std::string& name : names) print("  {}\n", name);
  return done;
}

int resolve_all(const ResolveArguments& options) {
  int worst = done;
  for (const std::string& name : options.names) {
    worst = std::max(worst, options.reverse ? backward(name, options.json) : forward(name, options.json));
  }
  return worst;
}

Run configure_resolve(CLI::App& command) {
  auto options = std::make_shared<ResolveArguments>();
  command.add_option("names", options->names, "Names to resolve; with --reverse: addresses")
      ->type_name("NAME[:PORT|:SERVICE]")
      ->required();
  command.add_flag("--reverse", options->reverse, "The names of addresses");
  command.add_flag("--json", options->json, "For machines: one object on each line, also for a failure");
  return [options] { return reported("resolve", failed, [&] { return resolve_all(*options); }); };
}

}  // namespace

const Command resolve_command{
    .name = "resolve",
    .summary = "The addresses of a name, or the names of an address",
    .details =
        "Uses the system's resolver: /etc/hosts, then the name servers. The addresses are in the "
        "order in\n"
        "which connecting tries them: the families alternate (RFC 8305).\n"
        "\n"
        "Exit codes: 0 all found; 2 wrong arguments, such as an unknown service; 3 one was not found: the "
        "resolver's reason\n"
        "is printed.\n"
        "\n",
    .examples =
        "  coax resolve localhost\n"
        "  coax resolve example.org:https\n"
        "  coax resolve --reverse 127.0.0.1\n"
        "  coax resolve --json a.example b.example",
    .configure = configure_resolve,
};

}  // namespace coax::app
