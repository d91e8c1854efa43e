// coax echo: a server that returns all bytes (RFC 862), and a client that verifies it and measures the round trips.
#include <fmt/core.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <cstring>
#include <deque>
#include <memory>
#include <random>

#include "app/commands/commands.hpp"
#include "app/console/datagrams.hpp"
#include "app/console/report.hpp"
#include "app/console/standard_io.hpp"
#include "app/console/target.hpp"
#include "app/console/tls_flags.hpp"
#include "app/signals.hpp"
#include "coax/base/error.hpp"
#include "coax/datagram/transport.hpp"
#include "coax/server/serve.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/task/run.hpp"
#include "coax/task/scope.hpp"
#include "coax/tls/serve.hpp"

namespace coax::app {

namespace {

struct EchoArguments {
  std::vector<std::string> words;
  std::string count_text = "1000";
  unsigned count = 0;  // of count_text, once it was read
  std::string size = "64B";
  std::string timeout;
  bool udp = false;
  bool json = false;

  [[nodiscard]] Transport transport() const noexcept { return udp ? Transport::udp : Transport::tcp; }
};

constexpr std::size_t size_max = 64_MiB;
constexpr std::size_t datagram_bytes_max = 65'507;  // over IPv4
constexpr std::size_t sequence_bytes = 8;
constexpr unsigned count_max = 10'000'000;

void check_is_ip(const Target& target, const EchoArguments& options) {
  if (options.udp && target.is_unix()) throw WrongUsage{"--udp is for HOST:PORT"};
}

// --- the server ---

std::string listening_text(const std::string& address, bool json) {
  if (json) return json_text(boost::json::object{{"event", "listening"}, {"address", address}}) + "\n";
  return safe_text("echo: listening on {}\n", address);
}

Task<> give_back(Stream& peer) {
  while (const BytesView bytes = co_await peer.recv()) co_await peer.send(bytes);
}

Task<> serve_streams(Target target, bool json, std::shared_ptr<const tls::ServerContext> tls, int& code) {
  Announcements announcements;
  ServeOptions options{.listen = target.text()};
  options.drain = Duration::zero();
  options.on_listen = [&](const Address& at) { announcements.say(listening_text(at.to_string(), json)); };
  try {
    Handler handler = give_back;
    if (tls) handler = tls::handler(std::move(tls), std::move(handler));
    co_await race(serve(std::move(options), std::move(handler)), announcements.run());
  } catch (const Error& error) {
    complain("echo", error.what());
    code = exit_code_of(error);
  }
}

Task<> give_back_datagrams(DatagramTransport& transport) {
  while (true) {
    const Datagram datagram = co_await transport.recv_from();
    co_await transport.reply(datagram, datagram.bytes);
  }
}

Task<> serve_datagrams(std::vector<Address> addresses, bool json, int& code) {
  Announcements announcements;
  try {
    const auto at_any = receive_at_any("echo", addresses);
    DatagramTransport& transport = *at_any;
    announcements.say(listening_text(transport.local().to_string(), json));
    co_await race(give_back_datagrams(transport), announcements.run());
  } catch (const Error& error) {
    complain("echo", error.what());
    code = exit_code_of(error);
  }
}

int listen_with(const EchoArguments& options, const TlsFlags& flags) {
  std::vector<std::string> where(options.words.begin() + 1, options.words.end());
  if (where.empty()) where = {"7777"};
  const Target target = target_of(where, options.transport(), Ports::one_or_any);
  check_is_ip(target, options);
  std::shared_ptr<tls::ServerContext> tls = flags.server();
  if (tls) {
    for (const std::string& warning : tls->warnings()) complain("echo", warning);
  }
  ignore_stray_signals();
  int code = done;
  const int ran = options.udp ? run(serve_datagrams(addresses_to_listen_on(target), options.json, code))
                              : run(serve_streams(target, options.json, std::move(tls), code));
  return ran != 0 ? ran : code;
}

// --- the client ---

Duration time_limit(const EchoArguments& options) {
  if (options.timeout.empty()) return std::chrono::seconds(options.udp ? 1 : 5);
  return duration_of("--timeout", options.timeout);
}

// The figures of the final report.
struct Figures {
  std::vector<Duration> round_trips;
  unsigned sent = 0;
  Duration took{};
};

double microseconds(Duration duration) { return std::chrono::duration<double, std::micro>(duration).count(); }

// Sorted: the value that `percent` of them do not exceed.
double percentile(const std::vector<Duration>& sorted, std::size_t percent) {
  const std::size_t rank = (sorted.size() * percent + 99) / 100;
  return microseconds(sorted[std::max<std::size_t>(rank, 1) - 1]);
}

void tell(const Target& target, const EchoArguments& options, Figures& figures) {
  std::ranges::sort(figures.round_trips);
  const std::size_t size = size_of("--size", options.size);
  const double seconds = std::chrono::duration<double>(figures.took).count();
  const auto back = figures.round_trips.size();
  const double rate = seconds > 0 ? static_cast<double>(back) / seconds : 0;
  const std::size_t lost = figures.sent - back;
  if (options.json) {
    boost::json::object object{
        {"target", target.text()}, {"sent", figures.sent}, {"unchanged", back}, {"lost", lost}, {"size", size},
        {"seconds", seconds}};
    if (back != 0) {
      object["p50_us"] = percentile(figures.round_trips, 50);
      object["p99_us"] = percentile(figures.round_trips, 99);
      object["max_us"] = percentile(figures.round_trips, 100);
      object["messages_per_second"] = rate;
    }
    return print_json(object);
  }
  print("{}: {} of {} messages of {} came back unchanged\n", target.text(), back, figures.sent, format_size(size));
  if (back == 0) return;
  print("  round trip  p50 {:.1f} us, p99 {:.1f} us, max {:.1f} us\n", percentile(figures.round_trips, 50),
        percentile(figures.round_trips, 99), percentile(figures.round_trips, 100));
  print("  rate        {:.0f} messages/s, {:.2f} MiB/s each way\n", rate, rate * static_cast<double>(size) / (1 << 20));
}

// Unlikely bytes, different for each message: the block is read from another position.
class Messages {
 public:
  explicit Messages(std::size_t size) : size_(size), block_(size + different_max, '\0') {
    std::minstd_rand random(1);
    for (char& byte : block_) byte = static_cast<char>(random() >> 8);
  }
  [[nodiscard]] BytesView at(unsigned index) const noexcept { return {block_.data() + index % different_max, size_}; }

 private:
  static constexpr std::size_t different_max = 251;
  std::size_t size_;
  std::string block_;
};

Task<> send_and_compare(Stream& stream, BytesView message) {
  std::size_t have = 0;
  const auto compare = [&]() -> Task<> {
    while (have != message.size()) {
      const BytesView bytes = co_await stream.recv();
      if (bytes.empty()) {
        throw Error(ErrorKind::disconnected, "recv the echo from", stream.peer_name(),
                    fmt::format("it finished after {} of {} bytes of a message", have, message.size()));
      }
      const std::size_t size = std::min(bytes.size(), message.size() - have);
      const auto wrong = std::ranges::mismatch(bytes.first(size), message.from(have).first(size));
      if (wrong.in2 != message.from(have).first(size).end() || size != bytes.size()) {
        const auto at = static_cast<std::size_t>(wrong.in1 - bytes.begin());
        throw Error(ErrorKind::protocol, "recv the echo from", stream.peer_name(),
                    fmt::format("byte {} of a message came back changed, or was never sent", have + at));
      }
      have += size;
    }
  };
  co_await all(stream.send(message), compare());
}

Task<> talk_over_stream(const Target& target, const EchoArguments& options, const std::optional<TlsClient>& tls,
                        Figures& figures) {
  const Duration limit = time_limit(options);
  const Messages messages(size_of("--size", options.size));
  const auto stream = co_await connect_with_tls(target.text(), {.limit = limit}, tls);
  const TimePoint began = Clock::now();
  while (figures.sent != options.count) {
    const TimePoint sent = Clock::now();
    const BytesView message = messages.at(figures.sent++);
    co_await within(limit, "recv the echo from", stream->peer_name(), send_and_compare(*stream, message));
    const TimePoint now = Clock::now();
    figures.round_trips.push_back(now - sent);
    figures.took = now - began;
  }
}

// The message with its number in front, so that a late answer is not mistaken for the next one.
std::string numbered(BytesView message, std::uint64_t number) {
  std::string text = message.string();
  std::memcpy(text.data(), &number, sequence_bytes);
  return text;
}

// False: a late answer, to a message that was given up.
bool is_answer(BytesView answer, const std::string& message, const std::string& peer) {
  if (answer.text() == message) return true;
  const bool is_other = answer.size() == message.size() &&
                        answer.text().substr(0, sequence_bytes) != std::string_view(message).substr(0, sequence_bytes);
  if (is_other) return false;
  throw Error(ErrorKind::protocol, "recv the echo from", peer,
              fmt::format("a datagram of {} bytes came back changed", message.size()));
}

Task<> wait_for_answer(DatagramTransport& transport, const std::string& message) {
  const std::string peer = transport.peer().to_string();
  while (true) {
    const Datagram datagram = co_await transport.recv_from();
    if (is_answer(datagram.bytes, message, peer)) co_return;
  }
}

enum class Answer : std::uint8_t { came, missing, refused };

// For one message. A refusal is not the end: the peer may start at any time.
Task<Answer> ask(DatagramTransport& transport, const std::string& message, Duration limit) {
  try {
    co_await transport.send(message);
    co_await timeout(limit, wait_for_answer(transport, message));
    co_return Answer::came;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::timed_out) co_return Answer::missing;
    if (error.kind() == ErrorKind::refused) co_return Answer::refused;
    throw;
  }
}

Task<> talk_over_datagrams(const Target& target, const EchoArguments& options, Figures& figures) {
  const Duration limit = time_limit(options);
  const Messages messages(size_of("--size", options.size));
  DatagramPeer peer = co_await DatagramPeer::find(target, limit);
  constexpr unsigned refused_max = 10;
  constexpr Duration refused_pause = std::chrono::milliseconds(100);
  unsigned refused_in_a_row = 0;
  const TimePoint began = Clock::now();
  while (figures.sent != options.count) {
    const TimePoint sent = Clock::now();
    const std::string message = numbered(messages.at(figures.sent), figures.sent);
    ++figures.sent;
    const Answer answer = co_await ask(peer.transport(), message, limit);
    figures.took = Clock::now() - began;
    const bool may_go_on = answer == Answer::refused && figures.round_trips.empty();
    if (may_go_on && peer.go_on()) {
      --figures.sent;
      continue;
    }
    if (answer == Answer::came) figures.round_trips.push_back(Clock::now() - sent);
    refused_in_a_row = answer == Answer::refused ? refused_in_a_row + 1 : 0;
    const bool refused_all = refused_in_a_row == options.count;
    if (refused_in_a_row == refused_max || refused_all) {
      throw Error(ErrorKind::refused, "recv the echo from", peer.transport().peer().to_string(),
                  fmt::format("no server listens there: {} datagrams in a row were refused", refused_in_a_row));
    }
    if (answer == Answer::refused && figures.sent != options.count) co_await sleep(std::min(limit, refused_pause));
  }
}

Task<> talk(const Target& target, const EchoArguments& options, const std::optional<TlsClient>& tls, int& code) {
  Figures figures;
  try {
    co_await (options.udp ? talk_over_datagrams(target, options, figures)
                          : talk_over_stream(target, options, tls, figures));
    if (figures.round_trips.size() != figures.sent) code = failed;
  } catch (const Error& error) {
    complain("echo", error.what());
    code = figures.sent == 0 || error.kind() == ErrorKind::refused ? exit_code_of(error) : failed;
  } catch (const Cancelled&) {
    code = failed;
  }
  if (figures.sent != 0) tell(target, options, figures);
}

int talk_with(EchoArguments options, const TlsFlags& flags) {
  options.count = count_of("--count", options.count_text, count_max);
  const Target target = target_of(options.words, options.transport(), Ports::one);
  check_is_ip(target, options);
  const std::size_t size = size_of("--size", options.size);
  const std::size_t least = options.udp ? sequence_bytes : 1;
  const std::size_t most = options.udp ? datagram_bytes_max : size_max;
  if (size < least || size > most) {
    throw WrongUsage{fmt::format("--size {}: give {} to {}", options.size, format_size(least), format_size(most))};
  }
  time_limit(options);
  const std::optional<TlsClient> tls = flags.client();
  int code = done;
  const int ran = run(talk(target, options, tls, code));
  return ran != 0 ? ran : code;
}

Run configure_echo(CLI::App& command) {
  auto options = std::make_shared<EchoArguments>();
  command
      .add_option("where", options->words,
                  "\"listen\" and an address [7777 on this machine], or the server: HOST:PORT, PORT or unix:PATH")
      ->type_name("[listen] TARGET")
      ->expected(1, 3)
      ->required();
  command.add_option("--count", options->count_text, "Number of messages, sent one after the other [1000]")
      ->type_name("N");
  command.add_option("--size", options->size, "Size of each message [64B]")->type_name("SIZE");
  command.add_option("--timeout", options->timeout, "Time limit of connecting, and of each message [5s; --udp: 1s]")
      ->type_name("TIME");
  command.add_flag("-u,--udp", options->udp, "Datagrams; a late answer counts as lost");
  command.add_flag("--json", options->json, "For machines: one object");
  auto tls = std::make_shared<TlsFlags>(command, TlsFlags::Side::both);
  return [options, tls] {
    return reported("echo", unavailable, [&] {
      if (options->udp && tls->given()) throw WrongUsage{"--tls is for connections, without --udp"};
      return options->words.front() == "listen" ? listen_with(*options, *tls) : talk_with(*options, *tls);
    });
  };
}

}  // namespace

const Command echo_command{
    .name = "echo",
    .summary = "Return all bytes (RFC 862); test and measure such a server",
    .details =
        "The next message is sent after the echo of the last, so that the times are round-trip times.\n"
        "\n"
        "Exit codes: 0 all were returned unchanged (the server: Ctrl-C); 1 a byte differs, one was lost, or the "
        "connection\n"
        "broke; 2 wrong arguments; 3 no answer, or the address cannot be listened on.\n"
        "\n",
    .examples =
        "  coax echo listen                   a server at 127.0.0.1:7777\n"
        "  coax echo listen :7000             for everybody\n"
        "  coax echo 7777\n"
        "  coax echo --udp 192.168.1.5:7000   how many are lost?\n"
        "  coax echo 192.168.1.5:7000 --count 100 --size 1MiB\n"
        "  coax echo listen --tls :7000       coax echo --tls HOST:7000 measures it\n"
        "  coax echo unix:/tmp/echo.sock --json",
    .configure = configure_echo,
};

}  // namespace coax::app
