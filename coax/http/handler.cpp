// An app as a handler for serve(): HTTP/1.1 on each connection, and then perhaps another protocol.
#include "coax/http/http1_private.hpp"

namespace coax::http {

namespace {

using Step = Http1Connection::Step;

// Not inlined: its frame would become part of the one that lives as long as a WebSocket does.
[[gnu::noinline]] Task<std::unique_ptr<Http1Connection::HandOver>> speak_http(coax::Connection& connection,
                                                                              const Site& site) {
  Http1Connection http(connection, site);
  Stream& stream = connection.stream();
  while (true) {
    const Step step = http.answer();
    if (http.has_responses() && (step != Step::handler || !http.queue_responses())) {
      const std::span<const BytesView> responses = http.responses();
      if (responses.size() == 1) {
        co_await stream.send(responses[0]);
      } else {
        co_await stream.send(responses);
      }
      http.responses_are_sent();
    }
    switch (step) {
      case Step::request: {
        http.rest();
        const BytesView bytes = co_await stream.recv();
        http.feed(bytes);
        break;
      }
      case Step::rest: co_await http.read_rest(); break;
      case Step::handler: co_await http.run_handler(); break;
      case Step::response: co_await http.send_streamed(); break;
      case Step::room: break;
      case Step::nothing: co_return http.hand_over();
    }
  }
}

// The peer knows the reason already, or cannot receive it any more.
bool is_of_peer(const Error& error) noexcept {
  return error.kind() == ErrorKind::disconnected || error.kind() == ErrorKind::protocol ||
         error.kind() == ErrorKind::overloaded || error.kind() == ErrorKind::timed_out;
}

// Not inlined either.
[[gnu::noinline]] Task<> run_upgrade(coax::Connection& connection, Http1Connection::HandOver& over) {
  co_await over.upgrade->run(connection, std::move(over.early));
}
[[gnu::noinline]] Task<> end_websocket(ws::WebSocket& socket, std::uint16_t code) {
  co_await socket.close(code);
  co_await socket.wait_closed();
}

// The parser and its buffers are released before another protocol begins, unless its handler has a parameter for the
// request.
Task<> speak(coax::Connection& connection, const Site& site) {
  std::unique_ptr<Http1Connection::HandOver> over = co_await speak_http(connection, site);
  if (!over) co_return;
  connection.set_busy(false);
  if (over->upgrade) {
    co_await run_upgrade(connection, *over);
    co_return;
  }
  ws::WebSocket socket(connection.stream(), ws::Role::server, site.options().websocket, over->early);
  detail::WebSocketHandler& handler = *over->websocket;
  if (!over->exchange) over.reset();
  std::exception_ptr failure;
  try {
    co_await handler.function(socket, connection, over ? &*over->exchange->request : nullptr);
  } catch (const Cancelled&) {
    throw;
  } catch (const Error& error) {
    const bool is_after_close = error.kind() == ErrorKind::disconnected && socket.close_sent();
    if (is_of_peer(error) && !is_after_close) throw;
    if (!is_after_close) failure = std::current_exception();
  } catch (...) {
    failure = std::current_exception();
  }
  // RFC 6455, section 7.4.1
  co_await end_websocket(socket, failure ? 1011 : connection.draining() ? 1001 : 1000);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

Handler handler(App app) {
  return {[site = std::make_shared<const Site>(std::move(app))](coax::Connection& connection) {
    return speak(connection, *site);
  }};
}

}  // namespace coax::http
