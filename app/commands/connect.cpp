// coax connect: standard input and output over a connection, as nc and socat do; and a check which ports of a host
// answer.
#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "app/commands/check.hpp"
#include "app/commands/commands.hpp"
#include "app/commands/connect_websocket.hpp"
#include "app/console/datagrams.hpp"
#include "app/console/relay.hpp"
#include "app/console/report.hpp"
#include "app/console/target.hpp"
#include "app/console/tls_flags.hpp"
#include "app/signals.hpp"
#include "coax/base/error.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/task/run.hpp"
#include "coax/task/scope.hpp"

namespace coax::app {

namespace {

struct ConnectArguments {
  std::vector<std::string> target;
  std::string timeout;
  std::string reconnect;
  bool check = false;
  bool udp = false;
  bool verbose = false;
};

// How a connection is made.
struct Means {
  Duration limit;
  std::optional<Duration> reconnect;
  std::optional<TlsClient> tls;
  bool verbose = false;  // describes TLS on standard error
};

class Client {
 public:
  Client(Target target, const RelayOptions& options, const Means& means)
      : target_(std::move(target)), options_(options), means_(means), transcript_(options.form, options.lines) {}

  Task<> run();
  [[nodiscard]] int code() const noexcept { return code_; }

 private:
  Task<bool> connect_once();
  Task<> keep_connecting();

  Target target_;
  RelayOptions options_;
  const Means& means_;
  StandardInput input_;
  Transcript transcript_;
  int code_ = done;
};

Task<> Client::run() {
  try {
    co_await keep_connecting();
  } catch (const Cancelled&) {  // Ctrl-C: the normal end of an endless transfer
    code_ = means_.reconnect || !options_.input ? done : failed;
  }
}

Task<> Client::keep_connecting() {
  while (true) {
    const bool again = co_await connect_once();
    if (!again) co_return;
    co_await sleep(*means_.reconnect);
  }
}

// True: continue with another connection.
Task<bool> Client::connect_once() {
  std::unique_ptr<Stream> stream;
  std::string failure;
  Exit failure_code = unavailable;
  try {
    stream = co_await connect_with_tls(target_.text(), {.limit = means_.limit}, means_.tls);
    if (means_.verbose) print_tls("connect", static_cast<const tls::Stream&>(*stream));
  } catch (const Error& error) {
    failure = error.what();
    failure_code = exit_code_of(error);
  }
  if (!stream) {
    complain("connect", failure);
    co_await transcript_.failed(failure);
    code_ = failure_code;
    co_return means_.reconnect.has_value();
  }
  const Outcome outcome = co_await run_relay("connect", std::move(stream), input_, transcript_, options_);
  code_ = outcome.code;
  co_return means_.reconnect&& outcome.may_go_on && !input_.ended();
}

// UDP has no connection that could be refused: an error is reported only after a datagram was sent.
Task<> run_datagrams(Target target, const RelayOptions& options, Duration limit, int& code) {
  StandardInput input;
  Transcript transcript(options.form, false);
  DatagramPeer peer;
  try {
    peer = co_await DatagramPeer::find(target, limit);
    DatagramRelay relay("connect", peer, input, transcript, options);
    const Outcome outcome = co_await run_relay("connect", relay, transcript);
    code = outcome.code;
  } catch (const Error& error) {
    complain("connect", error.what());
    code = exit_code_of(error);
  } catch (const Cancelled&) {
    code = options.input ? failed : done;
  }
}

Task<> run_client(Target target, const RelayOptions& options, const Means& means, int& code) {
  Client client(std::move(target), options, means);
  co_await client.run();
  code = client.code();
}

int connect_websocket(const ConnectArguments& given, const RelayFlags& flags, const TlsFlags& tls,
                      const WebSocketFlags& websocket) {
  using namespace std::chrono_literals;
  if (given.target.size() != 1 || given.check || given.udp || !given.reconnect.empty()) {
    throw WrongUsage{"a WebSocket is one URL, without --check, --udp and --reconnect"};
  }
  const std::string& url = given.target.front();
  if (tls.given() && !is_secure_websocket_url(url)) throw WrongUsage{"instead of --tls, write wss:// in the URL"};
  const Duration limit = given.timeout.empty() ? 30s : duration_of("--timeout", given.timeout);
  return websocket.connect(url, flags.options(), limit, tls.client(is_secure_websocket_url(url)), given.verbose);
}

int connect_with(const ConnectArguments& given, const RelayFlags& flags, const TlsFlags& tls,
                 const WebSocketFlags& websocket) {
  using namespace std::chrono_literals;
  if (std::ranges::any_of(given.target, is_websocket_url)) return connect_websocket(given, flags, tls, websocket);
  if (websocket.any()) {
    throw WrongUsage{"--binary, --header, --protocol, --origin and --ping are for the URL of a WebSocket: ws://..."};
  }
  const Target target =
      target_of(given.target, given.udp ? Transport::udp : Transport::tcp, given.check ? Ports::range : Ports::one);
  if (given.check && (!given.reconnect.empty() || flags.any_but_json())) {
    throw WrongUsage{"--check only connects: of the other options it takes --json and --timeout"};
  }
  if (given.udp && (given.check || !given.reconnect.empty() || target.is_unix())) {
    throw WrongUsage{
        "--udp is for HOST:PORT, without --check and --reconnect: nothing tells whether a UDP port is listened on "
        "but an answer (coax echo --udp asks for one)"};
  }
  RelayOptions options = flags.options();
  const Duration usual = given.check ? 3s : 30s;
  const Duration limit = given.timeout.empty() ? usual : duration_of("--timeout", given.timeout);
  Means means{.limit = limit, .reconnect = {}, .tls = tls.client(), .verbose = given.verbose};
  if (means.tls && (given.udp || given.check)) throw WrongUsage{"--tls is for a connection, without --udp and --check"};
  if (means.verbose && !means.tls) throw WrongUsage{"--verbose describes TLS: give --tls"};
  if (!given.reconnect.empty()) means.reconnect = duration_of("--reconnect", given.reconnect);
  options.another_follows = means.reconnect.has_value();
  if (given.check) return check_ports(target, limit, options.form == Form::json);
  if (means.reconnect) ignore_stray_signals();
  int code = failed;
  if (given.udp) {
    options = for_datagrams(options);
    const int ran = run(run_datagrams(target, options, limit, code));
    return ran != 0 ? ran : code;
  }
  const int ran = run(run_client(target, options, means, code));
  return ran != 0 ? ran : code;
}

Run configure_connect(CLI::App& command) {
  auto given = std::make_shared<ConnectArguments>();
  command
      .add_option("target", given->target,
                  "Where to: HOST:PORT, HOST PORT, PORT of this machine, unix:PATH, ws://HOST[:PORT]/PATH or "
                  "wss://...")
      ->type_name("TARGET")
      ->expected(1, 2)
      ->required();
  command.add_option("--timeout", given->timeout, "Time limit of resolving and connecting [30s]")->type_name("TIME");
  command
      .add_option("--reconnect", given->reconnect,
                  "When it fails or ends, connect again after this time, until the input has ended")
      ->type_name("TIME");
  command.add_flag("--check", given->check,
                   "Send nothing: print which ports of a range answer, each within --timeout "
                   "[3s]");
  command.add_flag("-u,--udp", given->udp,
                   "Datagrams: ends when the input has ended and nothing arrived for --wait [1s]");
  command.add_flag("-v,--verbose", given->verbose,
                   "With --tls: print the protocol, the cipher suite and the certificates; ws: also the handshake "
                   "and the close");
  auto flags = std::make_shared<RelayFlags>(command);
  auto tls = std::make_shared<TlsFlags>(command, TlsFlags::Side::client);
  auto websocket = std::make_shared<WebSocketFlags>(command);
  return [given, flags, tls, websocket] {
    return reported("connect", unavailable, [&] { return connect_with(*given, *flags, *tls, *websocket); });
  };
}

}  // namespace

const Command connect_command{
    .name = "connect",
    .summary = "Standard input and output over a connection; which ports answer",
    .details =
        "When standard input ends, coax shuts down its side (half-close) and prints what the peer still sends, until "
        "the\n"
        "peer has finished, too. At a terminal it ends as soon as the peer has finished. Received bytes are written\n"
        "unchanged; to a terminal, without control characters.\n"
        "\n"
        "WebSocket (ws://, wss://): a line is a text message, a message a line. When the input has ended and nothing\n"
        "arrived for --wait [1s], it is closed with 1000. Exit code 1: closed with another code than 1000 and 1001.\n"
        "\n"
        "Exit codes: 0 both sides have finished (--check: all ports answer); 1 the connection failed, or was given up, "
        "or\n"
        "Ctrl-C (--check: some ports answer); 2 wrong arguments; 3 no answer. With --reconnect or --no-input, "
        "Ctrl-C\n"
        "is the usual end: 0.\n"
        "\n",
    .examples =
        "  coax connect 192.168.1.5:7000                     talk to a server\n"
        "  printf 'GET / HTTP/1.0\\n\\n' | coax connect --crlf example.org:http\n"
        "  coax connect backup.example 7000 < disk.img       send a file\n"
        "  echo ping | coax connect --udp 192.168.1.5:7000   one datagram, and the answers\n"
        "  coax connect --hex unix:/run/service.sock         see every byte of both sides\n"
        "  coax connect --tls -v example.org:443             TLS, and what its certificate says\n"
        "  coax connect --check 192.168.1.5:8000-8010        which of these answer?\n"
        "  coax connect wss://example.org/chat               the messages of a WebSocket, as lines\n"
        "  tail -f log | coax connect --reconnect 5s 192.168.1.5:7000",
    .configure = configure_connect,
};

}  // namespace coax::app
