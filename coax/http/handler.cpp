// An app as a handler for serve(): HTTP/1.1 on each connection, and then perhaps another protocol.
#include "coax/http/http1_private.hpp"

namespace coax::http {

namespace {

using Step = Http1Connection::Step;

// Not inlined: its frame would become part of the one that lives as long as a WebSocket does.
[[gnu::noinline]] Task<Http1Connection::HandOver> speak_http(coax::Connection& connection, const Site& site) {
  Http1Connection http(connection, site);
  Stream& stream = connection.stream();
  while (true) {
    const Step step = http.answer();
    if (http.has_responses() && (step != Step::handler || !http.queue_responses())) {
      co_await stream.send(http.responses());
      http.responses_are_sent();
    }
    switch (step) {
      case Step::request: {
        http.rest();
        const Bytes bytes = co_await stream.recv();
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

// What the parser and its buffers take is released before another protocol begins, unless its handler asks for the
// request.
Task<> speak(coax::Connection& connection, const Site& site) {
  Http1Connection::HandOver over = co_await speak_http(connection, site);
  if (!over.upgrade) co_return;
  connection.set_busy(false);
  co_await over.upgrade->run(connection, std::move(over.early));
}

}  // namespace

Handler handler(App app) {
  return {[site = std::make_shared<const Site>(std::move(app))](coax::Connection& connection) {
    return speak(connection, *site);
  }};
}

}  // namespace coax::http
