// The common part of all loads: the command line, connections, and the measurement of an interval.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <fstream>
#include <map>

#include "bench/raw.hpp"

namespace bench {

constexpr std::uint64_t second = 1'000'000'000;  // all times are nanoseconds

inline std::uint64_t clock_of(clockid_t which) {
  timespec time{};
  clock_gettime(which, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * second + static_cast<std::uint64_t>(time.tv_nsec);
}
inline std::uint64_t now() { return clock_of(CLOCK_MONOTONIC); }

// `VERB --name value... --flag...`
class Options {
 public:
  Options(int argc, char** argv) {
    for (int index = 2; index < argc; ++index) {
      const std::string_view word = argv[index];
      if (!word.starts_with("--")) throw std::invalid_argument("expected an option, not " + std::string(word));
      const bool has_value = index + 1 < argc && !std::string_view(argv[index + 1]).starts_with("--");
      values_[std::string(word.substr(2))] = has_value ? argv[++index] : "";
    }
  }
  [[nodiscard]] bool has(const std::string& name) const { return values_.contains(name); }
  [[nodiscard]] std::string text(const std::string& name, const std::string& fallback) const {
    const auto found = values_.find(name);
    return found == values_.end() ? fallback : found->second;
  }
  template <typename Number = std::size_t>
  [[nodiscard]] Number number(const std::string& name, Number fallback) const {
    return has(name) ? number_of<Number>(values_.at(name)) : fallback;
  }
  [[nodiscard]] sockaddr_in target() const {
    if (!has("port")) throw std::invalid_argument("--port is missing");
    return address_of(text("host", "127.0.0.1"), number<std::uint16_t>("port", 0));
  }
  // At least one.
  [[nodiscard]] std::size_t count(const std::string& name, std::size_t fallback) const {
    const auto value = number(name, fallback);
    if (value == 0) throw std::invalid_argument("--" + name + " must be at least 1");
    return value;
  }
  [[nodiscard]] std::uint64_t nanoseconds(const std::string& name, double fallback_seconds) const {
    return static_cast<std::uint64_t>(number(name, fallback_seconds) * static_cast<double>(second));
  }

 private:
  std::map<std::string, std::string> values_;
};

// A connection from one of 127.0.0.1, 127.0.0.2, ..., each used for 8,000 connections. To other hosts the kernel
// chooses.
inline int connect_to(const sockaddr_in& target, std::size_t index) {
  const int fd = check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  set_no_delay(fd);
  if (ntohl(target.sin_addr.s_addr) >> 24 == 127) {
    const int on = 1;
    check(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on), "IP_BIND_ADDRESS_NO_PORT");
    sockaddr_in source{};
    source.sin_family = AF_INET;
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + static_cast<std::uint32_t>(index / 8000));
    check(bind(fd, generic(source), sizeof source), "bind the source address");
  }
  check(connect(fd, generic(target), sizeof target), "connect");
  check(fcntl(fd, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
  return fd;
}

// A histogram of durations: 64 classes for each power of two, thus an error of at most 1.6 %.
class Histogram {
 public:
  void add(std::uint64_t value) {
    ++classes_[class_of(value)];
    ++count_;
    max_ = std::max(max_, value);
  }
  void clear() { *this = {}; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  [[nodiscard]] std::uint64_t quantile(double part) const {
    auto left = static_cast<std::uint64_t>(part * static_cast<double>(count_));
    for (std::size_t index = 0; index < classes_.size(); ++index) {
      if (classes_[index] > left) return std::min(start_of(index), max_);
      left -= classes_[index];
    }
    return max_;
  }

 private:
  static constexpr unsigned bits = 6;
  static std::size_t class_of(std::uint64_t value) {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    const unsigned shift = width > bits + 1 ? width - bits - 1 : 0;
    return (std::size_t{shift} << bits) + (value >> shift);
  }
  static std::uint64_t start_of(std::size_t index) {
    const std::size_t shift = index < (2U << bits) ? 0 : (index >> bits) - 1;
    return (index - (shift << bits)) << shift;
  }

  std::vector<std::uint64_t> classes_ = std::vector<std::uint64_t>(64U << bits);
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

// The CPU time of all threads of processes (ids separated by commas), as the scheduler accounts it.
inline std::uint64_t cpu_of_processes(std::string_view pids) {
  std::uint64_t sum = 0;
  if (const std::size_t comma = pids.find(','); comma != std::string_view::npos) {
    sum = cpu_of_processes(pids.substr(comma + 1));
    pids = pids.substr(0, comma);
  }
  const std::string pid(pids);
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + pid + "/task")) {
    std::ifstream file(thread.path() / "schedstat");
    std::uint64_t ran = 0;
    if (!(file >> ran)) throw std::runtime_error("cannot read the schedstat of process " + pid);
    sum += ran;
  }
  return sum;
}

// Reports when a count has not changed for --stall seconds.
class StallWatch {
 public:
  explicit StallWatch(const Options& options) : stall_max_(options.nanoseconds("stall", 10)) {}

  bool stalls(std::uint64_t count) {
    const std::uint64_t time = now();
    if (count != count_ || changed_at_ == 0) {
      count_ = count;
      changed_at_ = time;
    }
    return time - changed_at_ > stall_max_;
  }

 private:
  std::uint64_t stall_max_;
  std::uint64_t count_ = 0;
  std::uint64_t changed_at_ = 0;
};

// The end of a run, when all is answered: it half-closes, and the server may send nothing but its end, and before it
// what `may_end` permits. A server that keeps a half-closed connection open is read for 200 ms.
template <typename Connections, typename MayEnd>
void expect_silence(const Connections& connections, Epoll& epoll, ReceiveBuffer& buffer, const MayEnd& may_end) {
  for (const auto& connection : connections) connection.channel.end_sending();
  std::size_t open = connections.size();
  const std::uint64_t until = now() + second / 5;
  while (open != 0 && now() < until) {
    for (const epoll_event& event : epoll.wait(10)) {
      if ((event.events & (EPOLLIN | ended_events)) == 0) continue;
      const auto& channel = connections[event.data.u32].channel;
      const bool is_open = channel.drain(buffer, true, [&](std::string_view bytes) {
        if (!may_end(bytes)) throw std::runtime_error("the server sent more than it was asked for");
        return true;
      });
      if (is_open) continue;
      --open;
      close(channel.fd());
    }
  }
}

// Warms up, then measures an interval, which is extended until a message was completed in it. A server that stops
// answering ends the program.
class Meter {
 public:
  explicit Meter(const Options& options)
      : stall_(options),
        server_(options.text("server-pid", "")),
        duration_(options.nanoseconds("seconds", 2)),
        warm_up_(options.nanoseconds("warm-up", options.number("seconds", 2.0) / 4)) {}

  // Called once a turn, with the count of messages so far. Returns: false when the interval has ended.
  bool turn(std::uint64_t messages) {
    const std::uint64_t time = now();
    if (begin_ == 0) begin_ = time + warm_up_;
    if (stall_.stalls(messages)) throw std::runtime_error("the server stalls: nothing comes any more");
    if (!measuring_ && time >= begin_) {
      measuring_ = true;
      latency.clear();
      start_ = reading(messages);
    } else if (measuring_ && time >= start_.time + duration_ && messages > start_.messages) {
      end_ = reading(messages);
      return false;
    }
    return true;
  }
  // When the measured interval began; 0 before.
  [[nodiscard]] std::uint64_t start() const { return start_.time; }
  // After the interval, until all is answered. Throws when there is no progress.
  void wait_for_rest(std::uint64_t answered, std::uint64_t asked) {
    if (!stall_.stalls(answered)) return;
    throw std::runtime_error("the server did not answer " + std::to_string(asked - answered) + " of " +
                             std::to_string(asked) + " messages");
  }
  // `each`: the deliveries of one message.
  void print(std::uint64_t each = 1) const {
    const std::uint64_t messages = (end_.messages - start_.messages) * each;
    const auto count = static_cast<double>(messages);
    std::printf("{\"messages\": %llu, \"seconds\": %.6f, \"per_second\": %.1f, \"client_cpu_us\": %.4f",
                static_cast<unsigned long long>(messages), seconds(end_.time - start_.time),
                count / seconds(end_.time - start_.time), microseconds(end_.client - start_.client) / count);
    if (!server_.empty()) std::printf(", \"server_cpu_us\": %.4f", microseconds(end_.server - start_.server) / count);
    std::printf(", \"p50_us\": %.2f, \"p99_us\": %.2f, \"max_us\": %.2f}\n", microseconds(latency.quantile(0.5)),
                microseconds(latency.quantile(0.99)), microseconds(latency.max()));
  }

  Histogram latency;

 private:
  struct Reading {
    std::uint64_t time = 0;
    std::uint64_t client = 0;
    std::uint64_t server = 0;
    std::uint64_t messages = 0;
  };
  [[nodiscard]] Reading reading(std::uint64_t messages) const {
    return {.time = now(),
            .client = clock_of(CLOCK_PROCESS_CPUTIME_ID),
            .server = server_.empty() ? 0 : cpu_of_processes(server_),
            .messages = messages};
  }
  static double seconds(std::uint64_t time) { return static_cast<double>(time) / 1e9; }
  static double microseconds(std::uint64_t time) { return static_cast<double>(time) / 1e3; }

  StallWatch stall_;
  std::string server_;
  std::uint64_t duration_;
  std::uint64_t warm_up_;
  std::uint64_t begin_ = 0;
  bool measuring_ = false;
  Reading start_;
  Reading end_;
};

}  // namespace bench
