// A WebSocket client, from its URL:
//
//   const auto socket = co_await coax::ws::connect("ws://127.0.0.1:8080/chat");
//   while (auto message = co_await socket->recv()) coax::print_line("{}", coax::printable(message.data));
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coax/http/websocket.hpp"
#include "coax/stream/connector.hpp"

namespace coax::ws {

struct ClientOptions {
  std::vector<std::string> protocols = {};  // subprotocols, the preferred one first
  // In addition to those of the handshake: Authorization, Cookie, Origin.
  std::vector<std::pair<std::string, std::string>> headers = {};
  Options websocket = {};
  Duration open_limit = std::chrono::seconds(30);  // of name lookup, connecting, TLS and handshake together
  Connector tls = {};                              // for wss: tls::connector()
  Connector connector = {};                        // for ws; empty: coax::connect()
};

namespace detail {
struct OwnedStream {
  std::unique_ptr<Stream> owned;
};
}  // namespace detail

// The WebSocket and its connection. The destructor closes it with 1001, if it is open, without a wait; a program that
// needs to know that its last messages were received calls close() and wait_closed().
class Client final : private detail::OwnedStream, public WebSocket {
 public:
  // After client_handshake().
  Client(std::unique_ptr<Stream> stream, const Options& options, const Handshake& handshake);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();
};

// Connects to "ws://HOST[:PORT]/PATH?QUERY" or "wss:...". The options are copied. Redirects are not followed.
// Throws: Error(invalid) for a malformed URL, and for wss without ClientOptions::tls; Error(timed_out) after
// open_limit; else as Connector and client_handshake().
Task<std::unique_ptr<Client>> connect(std::string_view url);
Task<std::unique_ptr<Client>> connect(std::string_view url, const ClientOptions& options);

// The wait before each further attempt doubles, from the first to the longest; half of it is random, so that the
// clients of a server that has restarted do not all come at once. A connection that has lasted for longer than the
// longest wait starts again with the first.
struct ReconnectOptions {
  Duration first = std::chrono::seconds(1);
  Duration longest = std::chrono::minutes(1);
};

namespace detail {
using Session = std::move_only_function<Task<>(Client&)>;
Task<> keep_connected(std::string url, ClientOptions options, Session session, ReconnectOptions reconnect);
}  // namespace detail

// Connects, calls `session`, a function Task<>(Client&), and connects again when it has returned or the connection has
// failed. It ends only by cancellation or an exception.
// Throws: what another attempt would not change: a malformed URL, a certificate, a status of the server from 300 to
// 499 except 408, 425 and 429; and what `session` throws, unless it is an Error of its connection.
template <class F>
Task<> keep_connected(std::string_view url, const ClientOptions& options, F session, ReconnectOptions reconnect = {}) {
  return detail::keep_connected(std::string(url), options, std::move(session), reconnect);
}

}  // namespace coax::ws
