// Ports in /proc (proc(5)), and probes by bind(2). The tables are read line by line: a machine may have a million
// connections.
#include "coax/net/ports.hpp"

#include <dirent.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <tuple>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/net/address.hpp"
#include "coax/net/file_descriptor.hpp"

namespace coax {

namespace {

constexpr unsigned state_time_wait = 6;
constexpr unsigned state_listen = 10;

// All of the text, or nothing.
template <class Number>
std::optional<Number> number_of(std::string_view text, int base = 10) noexcept {
  Number number{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Words that are separated by white space.
class Words {
 public:
  explicit Words(std::string_view text) noexcept : rest_(text) {}
  // Empty: no more words.
  std::string_view next() noexcept {
    rest_ = trim(rest_);
    const std::string_view word = rest_.substr(0, rest_.find_first_of(" \t"));
    rest_.remove_prefix(word.size());
    return word;
  }

 private:
  std::string_view rest_;
};

// "0100007F:1F90": words of 32 bits in the byte order of this machine, each written as a number.
std::optional<Endpoint> endpoint_of(std::string_view text) noexcept {
  const std::size_t colon = text.find(':');
  if (colon != 8 && colon != 32) return std::nullopt;
  const auto port = number_of<std::uint16_t>(text.substr(colon + 1), 16);
  if (!port) return std::nullopt;
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t at = 0; at < colon; at += 8) {
    const auto word = number_of<std::uint32_t>(text.substr(at, 8), 16);
    if (!word) return std::nullopt;
    std::memcpy(bytes.data() + at / 2, &*word, sizeof *word);
  }
  return Endpoint::from_address(std::span(bytes).first(colon / 2), *port);
}

}  // namespace

std::string_view to_string(Transport transport) noexcept { return transport == Transport::tcp ? "tcp" : "udp"; }

std::string_view to_string(PortClass port_class) noexcept {
  switch (port_class) {
    case PortClass::privileged: return "privileged";
    case PortClass::well_known: return "well-known";
    case PortClass::registered: return "registered";
    case PortClass::dynamic: return "dynamic";
  }
  return "";
}

unsigned unprivileged_port_start() {
  return number_of<unsigned>(first_line("/proc/sys/net/ipv4/ip_unprivileged_port_start")).value_or(1024);
}

PortClass class_of_port(std::uint16_t port, unsigned unprivileged_from) noexcept {
  if (port < unprivileged_from) return PortClass::privileged;
  if (port < 1024) return PortClass::well_known;
  return port < 49152 ? PortClass::registered : PortClass::dynamic;
}

PortRange ephemeral_ports() {
  const std::string line = first_line("/proc/sys/net/ipv4/ip_local_port_range");
  Words words(line);
  const auto first = number_of<std::uint16_t>(words.next());
  const auto last = number_of<std::uint16_t>(words.next());
  return first && last ? PortRange{*first, *last} : PortRange{32768, 60999};
}

std::optional<PortRange> parse_port_range(std::string_view text) noexcept {
  const std::size_t dash = text.find('-');
  const auto first = number_of<std::uint16_t>(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : number_of<std::uint16_t>(text.substr(dash + 1));
  if (!first || !last || *first == 0 || *last < *first) return std::nullopt;
  return PortRange{*first, *last};
}

PortState probe_port(Transport transport, const Endpoint& at) {
  const bool is_v6 = at.family() == Endpoint::Family::v6;
  const bool is_tcp = transport == Transport::tcp;
  const FileDescriptor probe(
      ::socket(is_v6 ? AF_INET6 : AF_INET, (is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0));
  if (!probe) throw Error(errno, "make a socket");
  const int v6_only = at.is_wildcard() ? 0 : 1;
  const int reuse = is_tcp ? 1 : 0;  // for UDP this would share a port that is in use
  if ((is_v6 && ::setsockopt(probe.native(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only) != 0) ||
      ::setsockopt(probe.native(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse) != 0) {
    throw Error(errno, "set an option of a socket");
  }
  const Address address(at);
  if (::bind(probe.native(), address.get(), static_cast<socklen_t>(address.native().size())) == 0) {
    return PortState::free;
  }
  const int reason = errno;
  if (reason == EADDRINUSE) return PortState::held;
  if (reason == EACCES || reason == EPERM) return PortState::not_permitted;
  throw Error(reason, "bind to", address.to_string(), listen_advice(reason, address));
}

// --- processes ---

std::optional<SocketRow> parse_socket_row(std::string_view line) noexcept {
  Words words(line);
  std::array<std::string_view, 10> columns;
  for (std::string_view& column : columns) column = words.next();
  if (!columns[0].ends_with(':')) return std::nullopt;
  const auto local = endpoint_of(columns[1]);
  const auto remote = endpoint_of(columns[2]);
  const auto state = number_of<unsigned>(columns[3], 16);
  const auto user = number_of<uid_t>(columns[7]);
  const auto inode = number_of<std::uint64_t>(columns[9]);
  if (!local || !remote || !state || !user || !inode) return std::nullopt;
  return SocketRow{.local = *local, .remote = *remote, .state = *state, .user = *user, .inode = *inode};
}

std::optional<std::uint64_t> parse_socket_link(std::string_view link) noexcept {
  constexpr std::string_view head = "socket:[";
  if (!link.starts_with(head) || !link.ends_with(']')) return std::nullopt;
  return number_of<std::uint64_t>(link.substr(head.size(), link.size() - head.size() - 1));
}

namespace {

struct Found {
  PortHolder holder;
  std::uint64_t inode;
};

std::string name_of_user(uid_t user) {
  constexpr std::size_t buffer_bytes = 16 << 10;
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(buffer_bytes);
  if (::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return {};
  return found->pw_name;
}

void read_table(const char* path, Transport transport, const std::function<bool(const PortHolder&)>& wanted,
                std::vector<Found>& all) {
  std::ifstream table(path);
  for (std::string line; std::getline(table, line);) {
    const auto row = parse_socket_row(line);
    if (!row || row->state == state_time_wait) continue;
    const bool listening = transport == Transport::tcp ? row->state == state_listen : row->remote.port() == 0;
    PortHolder holder{
        .transport = transport, .local = row->local, .remote = row->remote, .listening = listening, .user = row->user};
    if (!wanted(holder)) continue;
    holder.user_name = name_of_user(row->user);
    all.push_back({std::move(holder), row->inode});
  }
}

struct CloseFolder {
  void operator()(DIR* folder) const noexcept { ::closedir(folder); }
};

// Calls visit(name) for each number in the folder; does nothing without the right to read it.
template <class Visit>
void for_each_number(const std::string& path, Visit visit) {
  const std::unique_ptr<DIR, CloseFolder> folder(::opendir(path.c_str()));
  if (!folder) return;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread uses the folder
  while (const dirent* entry = ::readdir(folder.get())) {
    if (const auto number = number_of<pid_t>(static_cast<const char*>(entry->d_name))) visit(*number);
  }
}

std::optional<std::uint64_t> inode_behind(const std::string& path) {
  std::array<char, 64> link{};
  const auto size = ::readlink(path.c_str(), link.data(), link.size());
  if (size <= 0) return std::nullopt;
  return parse_socket_link({link.data(), static_cast<std::size_t>(size)});
}

// Skips a process that ends meanwhile, or that this user may not inspect.
void find_processes(std::vector<Found>& all) {
  std::multimap<std::uint64_t, PortHolder*> by_inode;
  for (Found& found : all) {
    if (found.inode != 0) by_inode.emplace(found.inode, &found.holder);
  }
  if (by_inode.empty()) return;
  for_each_number("/proc", [&](pid_t id) {
    const std::string own = "/proc/" + std::to_string(id);
    for_each_number(own + "/fd", [&](int descriptor) {
      const auto inode = inode_behind(own + "/fd/" + std::to_string(descriptor));
      if (!inode) return;
      const auto [first, last] = by_inode.equal_range(*inode);
      for (auto each = first; each != last; ++each) {
        auto& processes = each->second->processes;
        if (processes.empty() || processes.back().id != id) processes.push_back({id, first_line(own + "/comm")});
      }
    });
  });
}

}  // namespace

std::vector<PortHolder> port_holders(const std::function<bool(const PortHolder&)>& wanted) {
  std::vector<Found> all;
  read_table("/proc/net/tcp", Transport::tcp, wanted, all);
  read_table("/proc/net/tcp6", Transport::tcp, wanted, all);
  read_table("/proc/net/udp", Transport::udp, wanted, all);
  read_table("/proc/net/udp6", Transport::udp, wanted, all);
  find_processes(all);
  std::vector<PortHolder> holders;
  for (Found& found : all) holders.push_back(std::move(found.holder));
  std::ranges::sort(holders, {}, [](const PortHolder& holder) {
    return std::tuple(holder.local.port(), holder.transport, !holder.listening, holder.local, holder.remote);
  });
  return holders;
}

std::vector<PortHolder> listeners() {
  return port_holders([](const PortHolder& holder) { return holder.listening; });
}

std::vector<PortHolder> holders_of_ports(const PortRange& ports) {
  return port_holders([&](const PortHolder& holder) { return ports.contains(holder.local.port()); });
}

}  // namespace coax
