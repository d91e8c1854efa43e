// From the URL of a WebSocket to an open one, once or again and again.
#include "coax/http/websocket_client.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <random>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/text.hpp"
#include "coax/http/deflate_private.hpp"
#include "coax/net/endpoint.hpp"
#include "coax/task/scope.hpp"

namespace coax::ws {

namespace {

struct Url {
  bool is_secure = false;
  std::string host_and_port;  // to connect to
  std::string host;           // of the field Host: without the usual port
  std::string target;
};

[[noreturn]] void refuse(std::string_view url, std::string_view reason) {
  throw Error(ErrorKind::invalid, "open a WebSocket at", url, reason);
}

// RFC 6455, section 3.
Url parse_url(std::string_view text) {
  const std::size_t scheme_end = std::min(text.find("://"), text.size());
  const std::string_view scheme = text.substr(0, scheme_end);
  Url url{.is_secure = equal_ignoring_case(scheme, "wss")};
  if (!url.is_secure && !equal_ignoring_case(scheme, "ws")) {
    refuse(text, "a URL of a WebSocket begins with ws:// or wss://");
  }
  const std::string_view rest = text.substr(std::min(scheme_end + 3, text.size()));
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  const std::string_view target = rest.substr(authority.size());
  if (target.contains('#')) refuse(text, "a URL of a WebSocket has no fragment (#)");
  if (authority.contains('@')) refuse(text, "a name and a password belong into the header Authorization");
  const auto parts = parse_host_port(authority);
  if (!parts || parts->host.empty() || parts->port == 0 || authority.ends_with(':')) {
    refuse(text, "after :// there is HOST or HOST:PORT");
  }
  const std::uint16_t usual_port = url.is_secure ? 443 : 80;
  const std::string host = parts->host.contains(':') ? "[" + parts->host + "]" : parts->host;
  const std::uint16_t port = parts->port.value_or(usual_port);
  url.host_and_port = fmt::format("{}:{}", host, port);
  url.host = port == usual_port ? host : url.host_and_port;
  url.target = (target.starts_with('/') ? "" : "/") + std::string(target);
  return url;
}

Task<std::unique_ptr<Stream>> connect_to(std::string where) { co_return co_await coax::connect(where); }

Task<std::unique_ptr<Client>> open(Url url, const ClientOptions& options) {
  const Connector& connector = url.is_secure ? options.tls : options.connector;
  auto stream = co_await (connector ? connector(url.host_and_port) : connect_to(url.host_and_port));
  const std::vector<std::string_view> protocols(options.protocols.begin(), options.protocols.end());
  std::vector<http1::Field> headers;
  for (const auto& [name, value] : options.headers) headers.push_back({name, value});
  HandshakeOptions of_handshake{.protocols = protocols, .headers = headers, .limit = options.open_limit};
  const DeflateOptions& deflate = options.websocket.deflate;
  if (deflate.enabled) of_handshake.deflate = within_budget(deflate);
  const Handshake handshake = co_await client_handshake(*stream, url.host, url.target, of_handshake);
  co_return std::make_unique<Client>(std::move(stream), options.websocket, handshake);
}

Task<std::unique_ptr<Client>> open_in_time(std::string text, ClientOptions options) {
  Url url = parse_url(text);
  if (url.is_secure && !options.tls) refuse(text, "wss needs TLS: set the option `tls`, to coax::tls::connector()");
  check(options.websocket.deflate);
  try {
    co_return co_await timeout(options.open_limit, open(std::move(url), options));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out || error.operation() != "wait") throw;
  }
  throw Error(ErrorKind::timed_out, "open a WebSocket at", text,
              fmt::format("no answer within {}", format_duration(options.open_limit)));
}

// Whether another attempt to connect could succeed.
bool is_transient(const Error& error) noexcept {
  if (const auto* refused = dynamic_cast<const HandshakeError*>(&error)) {
    const int status = refused->status();
    return status >= 500 || status == 408 || status == 425 || status == 429;
  }
  switch (error.kind()) {
    case ErrorKind::timed_out:
    case ErrorKind::refused:
    case ErrorKind::unreachable:
    case ErrorKind::disconnected:
    case ErrorKind::overloaded:
    case ErrorKind::address:  // a name that cannot be resolved now
    case ErrorKind::protocol:
    case ErrorKind::truncated:
    case ErrorKind::other: return true;
    default: return false;
  }
}

}  // namespace

Client::Client(std::unique_ptr<Stream> stream, const Options& options, const Handshake& handshake)
    : detail::OwnedStream{std::move(stream)}, WebSocket(*owned, Role::client, options, handshake) {}

Client::~Client() { close_now(close_code::going_away); }

Task<std::unique_ptr<Client>> connect(std::string_view url) { return open_in_time(std::string(url), {}); }

Task<std::unique_ptr<Client>> connect(std::string_view url, const ClientOptions& options) {
  return open_in_time(std::string(url), options);
}

Task<> detail::keep_connected(std::string url, ClientOptions options, Session session, ReconnectOptions reconnect) {
  std::minstd_rand random(std::random_device{}());
  Duration wait = reconnect.first;
  while (true) {
    std::string reason;
    const TimePoint began = Clock::now();
    std::unique_ptr<Client> client;
    try {
      client = co_await connect(url, options);
      co_await session(*client);
      reason = fmt::format("{} has closed with {}", client->stream().peer_name(), client->peer_close_code());
    } catch (const Error& error) {
      if (client ? error.peer() != client->stream().peer_name() : !is_transient(error)) throw;
      reason = error.what();
    }
    client.reset();
    if (Clock::now() - began > reconnect.longest) wait = reconnect.first;
    const double part = std::uniform_real_distribution(0.5, 1.0)(random);
    const Duration actual = std::chrono::duration_cast<Duration>(wait * part);
    log::info("{}: {}; connecting again in {}", url, reason, format_duration(actual));
    co_await sleep(actual);
    wait = std::min(2 * wait, reconnect.longest);
  }
}

}  // namespace coax::ws
