// More connections than the limit on open files: a server on io_uring with three loops, whose rings have tables of
// descriptors of their own, and client processes that exchange messages on all connections.
// Usage: many [CONNECTIONS]
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "coax/coax.hpp"

namespace {

constexpr int loops = 3;
constexpr int passes = 3;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

coax::Task<> echo(coax::Connection& connection) {
  coax::Stream& peer = connection.stream();
  while (const coax::Received bytes = co_await peer.recv()) co_await peer.send(bytes);
}

// Writes its port to the pipe.
int serve(int report) {
  ::setenv("COAX_BACKEND", "uring", 1);
  coax::raise_descriptor_limit();
  coax::ServeOptions options{.listen = "0.0.0.0:0"};
  options.limits.connections_max = std::nullopt;
  options.limits.idle = std::nullopt;
  options.drain = std::chrono::seconds(1);
  options.on_listen = [report](const coax::Address& at) {
    const std::uint16_t port = at.endpoint().port();
    if (::write(report, &port, sizeof port) != sizeof port) fail("tell the port");
  };
  return coax::run(coax::serve(std::move(options), echo), {.threads = loops});
}

int connect_to(std::uint16_t port, int client) {
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
  // Each client has an address of its own, and thus enough ports.
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + static_cast<unsigned>(client));
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("make a socket");
  const timeval limit{.tv_sec = 20, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("connect");
  return fd;
}

// Holds its connections until the pipe `hold` is closed. Writes a byte to `report` when each has exchanged a message.
int hold_connections(std::uint16_t port, int client, int count, int report, int hold) {
  coax::raise_descriptor_limit();
  std::vector<int> all;
  for (int index = 0; index < count; ++index) all.push_back(connect_to(port, client));
  for (int pass = 0; pass < passes; ++pass) {
    const std::string message = "message " + std::to_string(pass);
    for (const int fd : all) {
      if (::send(fd, message.data(), message.size(), MSG_NOSIGNAL) < 0) fail("send");
    }
    std::string answer(message.size(), '\0');
    for (const int fd : all) {
      if (::recv(fd, answer.data(), answer.size(), MSG_WAITALL) < 0) fail("recv");
      if (answer != message) fail("the echo is wrong");
    }
  }
  char byte = 1;
  if (::write(report, &byte, 1) != 1) fail("tell");
  return ::read(hold, &byte, 1) == 0 ? 0 : 1;
}

template <class Body>
pid_t in_child(Body body) {
  const pid_t child = ::fork();
  if (child < 0) fail("fork");
  if (child == 0) std::_Exit(body());
  return child;
}

std::size_t open_files(pid_t process) {
  const auto folder = std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(folder), end(folder)));
}

std::size_t resident_bytes(pid_t process) {
  std::ifstream pages("/proc/" + std::to_string(process) + "/statm");
  std::size_t all = 0;
  std::size_t resident = 0;
  pages >> all >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

int main(int count, char** arguments) {
  const int connections = count > 1 ? std::atoi(arguments[1]) : 50'000;
  int report[2];
  int hold[2];
  if (::pipe(report) != 0 || ::pipe(hold) != 0) fail("make a pipe");
  const pid_t server = in_child([&] {
    ::close(hold[0]);
    ::close(hold[1]);
    return serve(report[1]);
  });
  std::uint16_t port = 0;
  if (::read(report[0], &port, sizeof port) != sizeof port) fail("start the server");
  const std::size_t before = resident_bytes(server);
  std::vector<pid_t> clients;
  for (int client = 0; client < loops; ++client) {
    const int share = connections / loops + (client < connections % loops ? 1 : 0);
    clients.push_back(in_child([&] {
      ::close(hold[1]);
      return hold_connections(port, client, share, report[1], hold[0]);
    }));
  }
  ::close(report[1]);
  int ready = 0;
  for (char byte = 0; ready < loops && ::read(report[0], &byte, 1) == 1;) ++ready;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  std::printf(
      "{\"connections\": %d, \"ready_clients\": %d, \"limit_on_open_files\": %llu, \"open_files_of_the_server\": %zu, "
      "\"user_bytes_per_connection\": %zu}\n",
      connections, ready, static_cast<unsigned long long>(limit.rlim_max), open_files(server),
      (resident_bytes(server) - before) / static_cast<std::size_t>(connections));
  ::close(hold[1]);
  bool good = ready == loops;
  for (const pid_t client : clients) {
    int status = 0;
    ::waitpid(client, &status, 0);
    good = good && status == 0;
  }
  ::kill(server, SIGTERM);
  int status = 0;
  ::waitpid(server, &status, 0);
  return good && status == 0 ? 0 : 1;
}
