// App: a Router with the options of the whole server.
//
//   coax::http::App app;
//   app.get("/hello/{name}", [](coax::http::Request& request) { return coax::http::Response::text("Hello!"); });
//   app.websocket("/echo", echo);
//   coax::run(coax::serve({.listen = "127.0.0.1:8080"}, coax::http::handler(std::move(app))));
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coax/base/units.hpp"
#include "coax/codec/http1.hpp"
#include "coax/http/router.hpp"
#include "coax/http/status_error.hpp"
#include "coax/server/connection.hpp"

namespace coax::http {

// A request whose path ends with a slash, when only the same path without it has a route; or the other way round.
enum class TrailingSlash : std::uint8_t {
  redirect,  // 308 to the path of the route
  strict,    // 404
};

struct AppOptions {
  http1::Limits message = {};  // its body_bytes_max applies to routes without one
  // The total of bodies in memory at one time, on all connections; above: 503. They are counted as they arrive. Bodies
  // read by a BodyReader do not count.
  std::size_t bodies_bytes_max = 256_MiB;
  Duration head = std::chrono::seconds(10);  // from a request's first byte to the end of its head
  Duration body = std::chrono::seconds(60);  // and to the end of its body; of a BodyReader: between two reads
  // The least rate of a body in bytes a second, over the time that the server waits for it: not while a handler does
  // not read. Slower: 408. The first `body_grace` does not count, and bytes that arrive faster make up for pauses of up
  // to `body`. Nothing: no least rate, for clients that send a body while they make it.
  std::optional<std::size_t> body_rate_min = 240;
  Duration body_grace = std::chrono::seconds(5);
  Duration keep_alive = std::chrono::seconds(75);  // between two requests, and before the first
  ws::Options websocket = {};
  // The response to an exception of a handler has its reason, and is a page for a browser; each request is logged. Only
  // on the machine where the app is developed: reasons may have secrets.
  bool development = false;
  TrailingSlash trailing_slash = TrailingSlash::redirect;
  // Sent with each response.
  Pairs headers = {{"X-Content-Type-Options", "nosniff"}};
  // Empty: any. Otherwise a request whose Host, without its port, is neither an IP address nor one of these is answered
  // with 421: protects a server on the local machine from DNS rebinding.
  std::vector<std::string> hosts = {};
  // "HOST" or "HOST:PORT" of other origins whose pages may open WebSockets here, besides the one in Host.
  std::vector<std::string> origins = {};
};

// Makes the response to an error. A status of 200 becomes that of the error; the server adds the headers that belong to
// the status, such as Allow. When it throws, the default response is sent.
// Thread: it is called on each loop of the server.
using ErrorHandler = std::move_only_function<Response(Request&, const StatusError&) const>;

// For App::errors(): each error is JSON, {"errors":[{"field":"","message":"Not Found"}]}.
Response json_error(Request& request, const StatusError& error);

class App : public Router {
 public:
  // Throws: Error(invalid) when a header of the options cannot be one, or body_rate_min is 0; and as ws::check().
  explicit App(AppOptions options = {});

  // The one place for the form of all errors: what handlers and middleware throw, and what the server answers by
  // itself: 404, 405, 413, 422, 429, 500 and so on. Another exception is a 500, whose reason is the phrase of the
  // status.
  //
  //   app.errors(http::json_error);
  //
  // Without it, an error is JSON if the client prefers application/json, otherwise a text; a ValidationError is JSON
  // unless the client prefers text. Responses that a handler returns are left as they are; so are the errors of
  // requests whose head cannot be read, and the pages of development mode.
  // Throws: Error(invalid) for an empty function.
  App& errors(ErrorHandler handler);

 private:
  friend class Site;
  friend int run(App app, std::string listen);
  AppOptions options_;
  ErrorHandler errors_;
};

// For serve(): speaks HTTP/1.1 on each connection. Errors that the head determines (no such path, another method, a
// body that is too long) are answered before the body is read.
Handler handler(App app);

// For the main() of an app while it is developed: serves it in development mode (AppOptions::development), prints its
// URL, and runs until SIGINT or SIGTERM. Meanwhile Templates reload what has changed.
//
//   int main() { return coax::http::run(app()); }
//
// Returns: the exit code: 0, or 1 after an error, which is printed on standard error.
int run(App app, std::string listen = "127.0.0.1:8000");

}  // namespace coax::http
