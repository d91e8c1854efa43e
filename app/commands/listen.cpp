// coax listen: waits for a connection, and then is coax connect from the other side.
#include <fmt/core.h>

#include <deque>
#include <memory>

#include "app/commands/commands.hpp"
#include "app/console/datagrams.hpp"
#include "app/console/relay.hpp"
#include "app/console/report.hpp"
#include "app/console/target.hpp"
#include "app/console/tls_flags.hpp"
#include "app/signals.hpp"
#include "coax/base/error.hpp"
#include "coax/net/accept_error.hpp"
#include "coax/net/listen_error.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/task/run.hpp"
#include "coax/task/scope.hpp"

namespace coax::app {

namespace {

struct ListenArguments {
  std::vector<std::string> target;
  bool keep_open = false;
  bool udp = false;
};

class Server {
 public:
  Server(const RelayOptions& options, bool keep_open, std::shared_ptr<const tls::ServerContext> tls)
      : options_(options), keep_open_(keep_open), tls_(std::move(tls)), transcript_(options.form, options.lines) {}

  // Throws: Error when it cannot listen.
  Task<> run(const std::vector<Address>& addresses);
  [[nodiscard]] int code() const noexcept { return code_; }

 private:
  Task<> listen_on(const std::vector<Address>& addresses);
  Task<std::unique_ptr<Stream>> accept();
  Task<std::unique_ptr<Stream>> accept_secure();
  Task<> accept_for_handshake();
  Task<> run_handshakes();
  Task<> shake_hands(std::unique_ptr<Stream> stream);
  Task<> accept_at(SocketListener& listener);
  void refuse_others() noexcept;
  Task<> serve();
  Task<> serve_clients();

  RelayOptions options_;
  bool keep_open_;
  std::shared_ptr<const tls::ServerContext> tls_;  // null: plain text
  StandardInput input_;
  Transcript transcript_;
  std::deque<SocketListener> listeners_;
  std::deque<std::unique_ptr<SocketStream>> accepted_;
  TaskGroup* handshakes_ = nullptr;
  std::size_t handshakes_under_way_ = 0;
  Event handshake_ended_;
  Event others_are_refused_;
  std::deque<std::unique_ptr<Stream>> secured_;  // their handshakes are complete
  Event arrived_;
  bool is_exhausted_ = false;  // the last accept failed
  int code_ = done;
};

Task<> Server::run(const std::vector<Address>& addresses) {
  co_await listen_on(addresses);
  try {
    co_await serve();
  } catch (const Cancelled&) {  // Ctrl-C: the normal end of an endless transfer
    code_ = keep_open_ || !options_.input ? done : failed;
  }
}

Task<> Server::listen_on(const std::vector<Address>& addresses) {
  std::uint16_t port = 0;  // all addresses of a name use one port
  for (const Address& address : addresses) {
    const Endpoint endpoint = address.endpoint();
    const bool chosen = endpoint.family() != Endpoint::Family::none && endpoint.port() == 0 && port != 0;
    const Address at = chosen ? Address(*Endpoint::from_ip(endpoint.ip(), port)) : address;
    try {
      listeners_.emplace_back(at);
    } catch (const Error& error) {
      const bool is_last = listeners_.empty() && &address == &addresses.back();
      if (is_last || !lacks_address(error.code().value())) throw;
      complain("listen", fmt::format("{}; without it", error.what()));
      continue;
    }
    port = listeners_.back().local().port();
    const std::string where = listeners_.back().address().to_string();
    complain("listen", "listening on " + where);
    co_await transcript_.listening(where);
  }
}

Task<> Server::serve() { co_await race(run_handshakes(), serve_clients()); }

// Until it is cancelled.
Task<> Server::run_handshakes() {
  co_await task_group([this](TaskGroup& group) -> Task<> {
    handshakes_ = &group;
    Event never;
    co_await never.wait();
  });
}

Task<> Server::serve_clients() {
  do {
    std::unique_ptr<Stream> stream = co_await (tls_ ? accept_secure() : accept());
    if (!keep_open_) refuse_others();
    const Outcome outcome = co_await run_relay("listen", std::move(stream), input_, transcript_, options_);
    code_ = outcome.code;
    if (!outcome.may_go_on) co_return;
  } while (keep_open_);
}

// The next client whose handshake succeeds; slow ones delay no other.
Task<std::unique_ptr<Stream>> Server::accept_secure() {
  constexpr std::size_t handshakes_max = 64;
  while (secured_.empty()) {
    handshake_ended_.clear();
    if (handshakes_under_way_ < handshakes_max) {
      co_await race(accept_for_handshake(), handshake_ended_.wait());
    } else {
      co_await handshake_ended_.wait();
    }
  }
  auto stream = std::move(secured_.front());
  secured_.pop_front();
  co_return stream;
}

Task<> Server::accept_for_handshake() { handshakes_->spawn(shake_hands(co_await accept())); }

Task<> Server::shake_hands(std::unique_ptr<Stream> stream) {
  const struct Count {
    Server& of;
    explicit Count(Server& server) : of(server) { ++of.handshakes_under_way_; }
    ~Count() {
      --of.handshakes_under_way_;
      of.handshake_ended_.set();
    }
  } count(*this);
  auto secure = std::make_unique<tls::Stream>(std::move(stream), *tls_);
  try {
    if (co_await race(secure->handshake(), others_are_refused_.wait()) == 0) secured_.push_back(std::move(secure));
  } catch (const Error& error) {
    complain("listen", error.what());
  }
}

// The next client of any of the addresses.
Task<std::unique_ptr<Stream>> Server::accept() {
  if (accepted_.empty()) {
    TaskGroup group;
    for (SocketListener& listener : listeners_) group.spawn(accept_at(listener));
    arrived_.clear();
    if (accepted_.empty()) co_await race(arrived_.wait(), group.join());
    group.cancel();
    co_await group.join();
  }
  auto stream = std::move(accepted_.front());
  accepted_.pop_front();
  co_return stream;
}

Task<> Server::accept_at(SocketListener& listener) {
  while (true) {
    const SocketListener::Accepted accepted = co_await listener.accept();
    if (accepted.error == 0) {
      accepted_.push_back(SocketStream::adopt(accepted.native));
      arrived_.set();
      is_exhausted_ = false;
      co_return;
    }
    const Error error(accepted.error, "accept on", listener.address().to_string());
    if (classify_accept_error(accepted.error) == AcceptError::fatal) throw Error(error);
    if (!std::exchange(is_exhausted_, true)) complain("listen", fmt::format("{}; clients wait", error.what()));
    co_await sleep(std::chrono::milliseconds(100));
  }
}

// As the kernel does with connections in the backlog: also one that was accepted in the same moment on another address.
void Server::refuse_others() noexcept {
  listeners_.clear();
  for (const auto& other : accepted_) other->abort();
  accepted_.clear();
  others_are_refused_.set();
  secured_.clear();
}

// UDP: the sender of the first datagram is the peer; with --keep-open the sender of the last.
Task<> run_datagrams(const std::vector<Address>& addresses, const RelayOptions& options, int& code) {
  StandardInput input;
  Transcript transcript(options.form, false);
  try {
    const auto at_any = receive_at_any("listen", addresses);
    DatagramTransport& transport = *at_any;
    const std::string where = transport.local().to_string();
    complain("listen", "listening on " + where);
    co_await transcript.listening(where);
    DatagramRelay relay("listen", transport, input, transcript, options);
    const Outcome outcome = co_await run_relay("listen", relay, transcript);
    code = outcome.code;
  } catch (const Error& error) {
    complain("listen", error.what());
    code = exit_code_of(error);
  } catch (const Cancelled&) {
    code = options.another_follows || !options.input ? done : failed;
  }
}

Task<> run_server(const std::vector<Address>& addresses, const RelayOptions& options, bool keep_open,
                  std::shared_ptr<const tls::ServerContext> tls, int& code) {
  Server server(options, keep_open, std::move(tls));
  try {
    co_await server.run(addresses);
    code = server.code();
  } catch (const Error& error) {
    complain("listen", error.what());
    code = exit_code_of(error);
  }
}

int listen_with(const ListenArguments& given, const RelayFlags& flags, const TlsFlags& tls_flags) {
  const Target target = target_of(given.target, given.udp ? Transport::udp : Transport::tcp, Ports::one_or_any);
  if (given.udp && target.is_unix()) throw WrongUsage{"--udp is for ADDRESS:PORT"};
  RelayOptions options = flags.options();
  options.another_follows = given.keep_open;
  std::shared_ptr<tls::ServerContext> tls = tls_flags.server();
  if (tls && given.udp) throw WrongUsage{"--tls is for connections, without --udp"};
  if (tls) {
    for (const std::string& warning : tls->warnings()) complain("listen", warning);
  }
  const std::vector<Address> addresses = addresses_to_listen_on(target);
  ignore_stray_signals();
  int code = failed;
  if (given.udp) {
    options = for_datagrams(options);
    const int ran = run(run_datagrams(addresses, options, code));
    return ran != 0 ? ran : code;
  }
  const int ran = run(run_server(addresses, options, given.keep_open, std::move(tls), code));
  return ran != 0 ? ran : code;
}

Run configure_listen(CLI::App& command) {
  auto given = std::make_shared<ListenArguments>();
  command
      .add_option("target", given->target,
                  "PORT (this machine only), ADDRESS:PORT, :PORT (all addresses), or unix:PATH; port 0: any")
      ->type_name("TARGET")
      ->expected(1, 2)
      ->required();
  command.add_flag("--keep-open", given->keep_open,
                   "Serve one client after the other, until Ctrl-C; the input is sent to the present one");
  command.add_flag("-u,--udp", given->udp,
                   "Datagrams: the first sender is the peer (with --keep-open the last); ends when the input has ended "
                   "and nothing arrived for --wait [1s]");
  auto flags = std::make_shared<RelayFlags>(command);
  auto tls = std::make_shared<TlsFlags>(command, TlsFlags::Side::server);
  return [given, flags, tls] {
    return reported("listen", unavailable, [&] { return listen_with(*given, *flags, *tls); });
  };
}

}  // namespace

const Command listen_command{
    .name = "listen",
    .summary = "Wait for a client, and relay standard input and output",
    .details =
        "When standard input ends, coax shuts down its side (half-close) and prints what the client still sends, until "
        "the\n"
        "client has finished, too. At a terminal it ends as soon as the client has finished. It serves one client at\n"
        "a time: without --keep-open other clients are refused, with it they wait.\n"
        "\n"
        "Exit codes: 0 both sides have finished; 1 the connection failed, or was given up, or Ctrl-C; 2 wrong "
        "arguments; 3\n"
        "the address cannot be listened on. With --keep-open or --no-input, Ctrl-C is the usual end: 0.\n"
        "\n",
    .examples =
        "  coax listen 7000                            talk to the first client, from this machine\n"
        "  coax listen :7000 > disk.img                receive a file from anywhere\n"
        "  coax listen :7000 < disk.img                send a file to the first client\n"
        "  coax listen --keep-open --no-input --json 7000 >> events\n"
        "  coax listen --tls :7000                     with a certificate of your own authority (coax cert)\n"
        "  coax listen --hex unix:/tmp/debug.sock",
    .configure = configure_listen,
};

}  // namespace coax::app
