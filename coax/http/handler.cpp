// An app as a handler for serve(): HTTP/1.1 on each connection, and then perhaps another protocol.
#include <stdexcept>

#include "coax/http/http1_private.hpp"

namespace coax::http {

namespace {

using HandOver = std::unique_ptr<Http1Connection::HandOver>;  // null: the connection has ended

// Not inlined: its frame would become part of the one that lives as long as a WebSocket does.
[[gnu::noinline]] Task<> speak_http(coax::Connection& connection, const Site& site, HandOver& over) {
  Http1Connection http(connection, site);
  Stream& stream = connection.stream();
  while (true) {
    const Http1Connection::Step step = http.answer();
    if (http.has_responses() && (step != Http1Connection::Step::handler || !http.queue_responses())) {
      const std::span<const BytesView> responses = http.responses();
      if (responses.size() == 1) {
        co_await stream.send(responses[0]);
      } else {
        co_await stream.send(responses);
      }
      http.responses_are_sent();
    }
    switch (step) {
      case Http1Connection::Step::request: {
        http.rest();
        const BytesView bytes = co_await stream.recv();
        http.feed(bytes);
        break;
      }
      case Http1Connection::Step::rest: co_await http.read_rest(); break;
      case Http1Connection::Step::handler: co_await http.run_handler(); break;
      case Http1Connection::Step::response: co_await http.send_streamed(); break;
      case Http1Connection::Step::room: break;
      case Http1Connection::Step::nothing: over = http.hand_over(); co_return;
    }
  }
}

// A kind of error that has ended the connection, when it is of this connection.
bool may_end_connection(const Error& error) noexcept {
  return error.kind() == ErrorKind::disconnected || error.kind() == ErrorKind::protocol ||
         error.kind() == ErrorKind::overloaded || error.kind() == ErrorKind::timed_out;
}

// Not inlined either, as the next ones.
[[gnu::noinline]] Task<> run_upgrade(coax::Connection& connection, const HandOver& over) {
  co_await over->upgrade->run(connection, std::move(over->handshake.early));
}

// Releases what the handler does not need.
[[gnu::noinline]] Task<> run_handler(coax::Connection& connection, ws::WebSocket& socket, HandOver& over) {
  detail::WebSocketHandler& handler = *over->websocket;
  if (!over->exchange) over.reset();
  return handler.function(socket, connection, over ? &*over->exchange->request : nullptr);
}

// As a failure of the handler: serve() would take a timeout, for example of a database, for one of this connection.
[[noreturn]] void rethrow_failure(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    if (may_end_connection(error)) throw std::runtime_error(error.what());
    throw;
  }
}

[[gnu::noinline]] Task<> end_websocket(coax::Connection& connection, ws::WebSocket& socket,
                                       const std::exception_ptr& failure) {
  co_await socket.close(failure ? 1011 : connection.draining() ? 1001 : 1000);  // RFC 6455, section 7.4.1
  co_await socket.wait_closed();
  if (failure) rethrow_failure(failure);
}

// The exception that is being handled ended a WebSocket's handler.
// Returns: the handler's failure, to be reported once the WebSocket is closed; nothing: it has been closed already.
// Throws: the exception again when the connection cannot, or need not, be closed by a frame.
[[gnu::noinline]] std::exception_ptr failure_of_handler(const coax::Connection& connection,
                                                        const ws::WebSocket& socket) {
  try {
    throw;
  } catch (const Cancelled&) {
    throw;
  } catch (const Error& error) {
    if (!may_end_connection(error) || error.peer() != connection.peer_name()) return std::current_exception();
    if (error.kind() == ErrorKind::disconnected && socket.close_sent()) return nullptr;
    throw;
  } catch (...) {
    return std::current_exception();
  }
}

// The parser and its buffers are released before another protocol begins, unless its handler has a parameter for the
// request. One variable for all stages, so that the frame, which lives as long as a WebSocket does, is small.
Task<> speak(coax::Connection& connection, const Site& site) {
  HandOver over;
  Task<> stage = speak_http(connection, site, over);
  co_await stage;
  if (!over) co_return;
  connection.set_busy(false);
  if (over->upgrade) {
    stage = run_upgrade(connection, over);
    co_await stage;
    co_return;
  }
  ws::WebSocket socket(connection.stream(), ws::Role::server, *over->options, over->handshake);
  std::exception_ptr failure;
  try {
    stage = run_handler(connection, socket, over);
    co_await stage;
  } catch (...) {
    failure = failure_of_handler(connection, socket);
  }
  stage = end_websocket(connection, socket, failure);
  co_await stage;
}

}  // namespace

Handler handler(App app) {
  return {[site = std::make_shared<const Site>(std::move(app))](coax::Connection& connection) {
    return speak(connection, *site);
  }};
}

}  // namespace coax::http
