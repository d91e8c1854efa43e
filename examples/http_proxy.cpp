// http_proxy PORT UPSTREAM: a reverse proxy for the HTTP server at UPSTREAM ("HOST:PORT"). Bodies are streamed in both
// directions, so that any length needs the same memory and the slower side sets the pace. WebSockets and other upgrades
// are tunnelled. One connection to the server for each request.
#include <charconv>

#include "coax/coax.hpp"
#include "coax/codec/url.hpp"

using coax::BytesView;
using coax::Task;
using coax::http::BodyReader;
using coax::http::BodyWriter;
using coax::http::Field;
using coax::http::Fields;
using coax::http::Request;
using coax::http::Response;

namespace {

constexpr std::chrono::minutes one_minute(1);  // for the server, to read a part of the body, and to answer

// Fields about one connection, and those that framing writes anew (RFC 9110, section 7.6.1).
bool is_hop_by_hop(std::string_view name, const Fields& fields) {
  for (const char* own : {"Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding",
                          "Upgrade", "Content-Length", "Expect", "Host"}) {
    if (coax::equal_ignoring_case(name, own)) return true;
  }
  return fields.has_token("Connection", name);
}

// HTTP/1.0 has neither (RFC 9110, sections 7.8 and 10.1.1).
bool expects_continue(const Request& request) {
  return request.protocol() != "HTTP/1.0" && request.fields().has_token("Expect", "100-continue");
}
std::string_view wanted_protocol(const Request& request) {
  const bool is_upgrade = request.protocol() != "HTTP/1.0" && request.fields().has_token("Connection", "upgrade");
  return is_upgrade ? request.header("Upgrade") : "";
}

// "/x?y" of "http://host/x?y" (RFC 9112, section 3.2.2); its host is that of the request.
std::string origin_form(std::string_view target) {
  const auto absolute = coax::parse_absolute_target(target);
  if (!absolute) return std::string(target);
  return (absolute->rest.starts_with('/') ? "" : "/") + std::string(absolute->rest);
}

// The elements of all fields of that name as one list, with ours at the end.
std::string list_with(std::string_view own, std::string_view name, const Fields& fields) {
  std::string list;
  for (const auto& field : fields) {
    if (coax::equal_ignoring_case(field.name, name) && !field.value.empty()) list.append(field.value).append(", ");
  }
  return list.append(own);
}

// How many more proxies may pass on an OPTIONS or TRACE request (RFC 9110, section 7.6.2).
std::optional<unsigned> hops_left(const Request& request) {
  if (request.method() != "OPTIONS" && request.method() != "TRACE") return std::nullopt;
  const std::string_view text = request.header("Max-Forwards");
  unsigned hops = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), hops);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return hops;
}

// The answer to a request that may not be passed on.
Response answer_of_last(const Request& request) {
  const int status = request.method() == "OPTIONS" ? 204 : 405;  // a trace would show cookies to scripts
  return Response{.status = status}.header("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
}

// The request as the server gets it.
std::string head_for_server(const Request& request, const BodyReader& body, bool is_chunked) {
  // Of these, the last two lists are continued; the others would be the client's word for the scheme and the host.
  const auto is_of_proxies = [](std::string_view name) {
    constexpr std::array names{"Forwarded", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-For", "Via"};
    return std::ranges::any_of(names, [name](auto each) { return coax::equal_ignoring_case(name, each); });
  };
  const auto hops = hops_left(request);
  const std::string fewer = std::to_string(hops.value_or(1) - 1);
  std::vector<Field> fields;
  for (const auto& field : request.fields()) {
    const bool is_count = hops && coax::equal_ignoring_case(field.name, "Max-Forwards");
    if (is_hop_by_hop(field.name, request.fields()) || is_of_proxies(field.name) || is_count) continue;
    fields.push_back(field);
  }
  const std::string peer = request.peer().ip();
  const std::string clients = list_with(peer.empty() ? "unknown" : peer, "X-Forwarded-For", request.fields());
  const std::string version(request.protocol().substr(std::string_view("HTTP/").size()));
  const std::string proxies = list_with(version + " coax", "Via", request.fields());
  const std::string length = std::to_string(body.length().value_or(0));
  const std::string_view upgrade = wanted_protocol(request);
  fields.push_back({"Host", request.host().empty() ? "localhost" : request.host()});  // HTTP/1.0 may have none
  if (expects_continue(request)) fields.push_back({"Expect", "100-continue"});
  if (hops) fields.push_back({"Max-Forwards", fewer});
  fields.push_back({"X-Forwarded-For", clients});
  fields.push_back({"X-Forwarded-Proto", request.is_secure() ? "https" : "http"});
  fields.push_back({"Via", proxies});
  fields.push_back({"Connection", upgrade.empty() ? "close" : "Upgrade"});
  if (!upgrade.empty()) fields.push_back({"Upgrade", upgrade});
  if (body.length()) fields.push_back({"Content-Length", length});
  if (is_chunked) fields.push_back({"Transfer-Encoding", "chunked"});
  std::string head;
  coax::http1::append_request_head(head, request.method(), origin_form(request.target()), fields);
  return head;
}

// The connection to the server, for one request.
class Upstream {
 public:
  explicit Upstream(std::string_view method) : method_(method), parser_(method, {.body_bytes_max = SIZE_MAX}) {}
  Task<> connect(std::string_view where) {
    stream_ = co_await coax::connect(where, {.limit = std::chrono::seconds(5)});
  }
  coax::Stream& stream() { return *stream_; }

  Task<> send_head(const Request& request, const BodyReader& body) {
    is_chunked_ = !body.length() && !body.at_end();
    const std::string head = head_for_server(request, body, is_chunked_);
    co_await stream_->send(head);
  }
  Task<> send_body(BodyReader& body) {
    while (const BytesView part = co_await body.recv()) {
      const std::string size = fmt::format("{:x}\r\n", part.size());
      const std::array<BytesView, 3> chunk{size, part, "\r\n"};
      co_await coax::timeout(one_minute, is_chunked_ ? stream_->send(chunk) : stream_->send(part));
    }
    if (is_chunked_) co_await stream_->send("0\r\n\r\n");
  }

  // The head of the next response: of an interim one, or of the final one.
  Task<> recv_head() {
    if (parser_.head_done()) parser_.reset(method_);
    while (!parser_.head_done()) {
      if (unread_.empty()) co_await recv();
      feed();
    }
  }
  const coax::http1::Head& head() const { return parser_.head(); }
  bool is_interim() const { return parser_.head().status / 100 == 1 && parser_.head().status != 101; }

  // Waits until take_body() has a part of the body, or the body is complete.
  Task<> recv_body() {
    while (!parser_.has_body_bytes()) {
      co_await recv();
      feed();
    }
  }
  // Empty: the end.
  std::string take_body() { return std::exchange(parser_.body(), {}); }
  std::string unread() const { return unread_.string(); }

 private:
  Task<> recv() {
    unread_ = co_await stream_->recv();
    if (unread_.empty() && !parser_.finish()) fail("the response is cut short");
  }
  void feed() {
    const auto taken = parser_.feed(unread_);
    if (!taken) fail(taken.error().reason);
    unread_ = unread_.from(*taken);
  }
  [[noreturn]] void fail(std::string_view reason) const {
    throw coax::Error(coax::ErrorKind::protocol, "read a response from", stream_->peer_name(), reason);
  }

  std::string method_;
  std::unique_ptr<coax::SocketStream> stream_;
  coax::http1::ResponseParser parser_;
  BytesView unread_;
  bool is_chunked_ = false;
};

Task<> pump(coax::Stream& from, coax::Stream& to) {
  while (const BytesView bytes = co_await from.recv()) co_await to.send(bytes);
  co_await to.shutdown_send();
}
Task<> tunnel(coax::Stream& client, std::string from_client, std::shared_ptr<Upstream> server) {
  co_await server->stream().send(from_client);
  co_await client.send(server->unread());
  co_await coax::all(pump(client, server->stream()), pump(server->stream(), client));
}

Task<> send_interim(const coax::http1::Head& head, coax::Stream& client) {
  std::vector<Field> fields;
  for (const auto& field : head.fields) {
    if (!is_hop_by_hop(field.name, head.view())) fields.push_back(field);
  }
  std::string bytes;
  coax::http1::append_response_head(bytes, head.status, fields);
  co_await client.send(bytes);
}

// Throws when the client has gone. A client that has only shut down its side still reads, which no call but send() can
// tell: it counts as gone when the server then sends nothing for a second.
Task<> watch_client(BodyWriter& body, std::string_view client) {
  co_await body.wait_disconnected();
  co_await coax::sleep(std::chrono::seconds(1));
  throw coax::Error(coax::ErrorKind::disconnected, "send a body to", client, "it has shut down its side");
}

Task<> copy_body(Upstream& server, BodyWriter& body, std::string_view client) {
  while (true) {
    co_await coax::race(server.recv_body(), watch_client(body, client));
    const std::string part = server.take_body();
    if (part.empty()) co_return;
    co_await body.send(part);
  }
}

Response response_of(std::shared_ptr<Upstream> server, std::string client) {
  Response response{.status = server->head().status};
  const Fields fields = server->head().view();
  const bool is_upgrade = response.status == 101;
  for (const auto& [name, value] : fields) {
    const bool is_protocol = (is_upgrade || response.status == 426) && coax::equal_ignoring_case(name, "Upgrade");
    const bool is_kept = is_protocol || (!is_hop_by_hop(name, fields) && !coax::equal_ignoring_case(name, "Via"));
    if (is_kept) response.header(std::string(name), std::string(value));
  }
  response.header("Via", list_with("1.1 coax", "Via", fields));
  if (is_upgrade) {
    response.body = coax::http::Upgrade{[server](coax::Connection& connection, std::string early) {
      return tunnel(connection.stream(), early, server);
    }};
    return response;
  }
  const auto length = server->head().content_length;
  const auto produce = [server, client](BodyWriter& body) { return copy_body(*server, body, client); };
  response.body = coax::http::StreamedBody{.producer = produce, .length = length};
  return response;
}

// Up to the head of the final response. Interim ones are passed on, though not to HTTP/1.0; 100 asks us for the body.
Task<> recv_response(Upstream& server, const Request& request, coax::Event& wants_body) {
  while (true) {
    co_await server.recv_head();
    if (!server.is_interim()) co_return;
    if (server.head().status == 100) {
      wants_body.set();
    } else if (request.protocol() != "HTTP/1.0") {
      co_await send_interim(server.head(), request.connection().stream());
    }
  }
}

// Ends with an error only: when the client's body cannot be read, or the server is late.
Task<> send_request(Upstream& server, const Request& request, BodyReader& body, coax::Event& wants_body) {
  try {
    co_await server.send_head(request, body);
    // The server decides whether it wants the body; one that says nothing gets it.
    if (expects_continue(request)) co_await coax::race(wants_body.wait(), coax::sleep(std::chrono::seconds(1)));
    co_await server.send_body(body);
  } catch (const coax::Error& error) {
    const bool is_of_server = error.peer() == server.stream().peer_name();
    if (!is_of_server || error.kind() != coax::ErrorKind::disconnected) throw;
    // It may have answered before it closed the connection; otherwise recv_response() throws.
  }
  co_await coax::sleep(one_minute);
  throw coax::Error(coax::ErrorKind::timed_out, "read a response from", server.stream().peer_name(), "no answer");
}

// The server may answer before it has the whole body, and then close: so the answer is read while the request is sent.
// The rest of the body is discarded.
Task<> exchange(Upstream& server, const Request& request, BodyReader& body) {
  coax::Event wants_body;
  co_await coax::race(recv_response(server, request, wants_body), send_request(server, request, body, wants_body));
}

Task<Response> forward(std::string_view upstream, const Request& request, BodyReader& body) {
  if (hops_left(request) == 0U) co_return answer_of_last(request);
  const auto server = std::make_shared<Upstream>(request.method());
  try {
    co_await server->connect(upstream);
    co_await exchange(*server, request, body);
  } catch (const coax::Error& error) {
    if (error.peer() == request.connection().peer_name()) throw;  // the client's own fault
    coax::log::warning("{}", error.what());
    const bool is_late = error.kind() == coax::ErrorKind::timed_out;
    co_return Response::text(is_late ? "504 Gateway Timeout\n" : "502 Bad Gateway\n", is_late ? 504 : 502);
  }
  const bool is_upgrade = server->head().status == 101;
  if (is_upgrade &&
      !coax::equal_ignoring_case(server->head().find("Upgrade").value_or("?"), wanted_protocol(request))) {
    co_return Response::text("502 Bad Gateway: the server switches to another protocol than the one asked for\n", 502);
  }
  co_return response_of(server, request.connection().peer_name());
}

coax::http::App proxy(std::string upstream) {
  coax::http::App app({.headers = {}});
  const auto handle = [upstream = std::move(upstream)](Request& request, BodyReader& body) {
    return forward(upstream, request, body);
  };
  app.any("/{path:path}", handle, {.body_bytes_max = SIZE_MAX});
  app.any("*", handle);  // OPTIONS, for the whole server
  return app;
}

}  // namespace

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT UPSTREAM [HOST]", [](const coax::Arguments& given) {
    auto app = proxy(std::string(given["UPSTREAM"]));
    return coax::serve({.listen = given.address()}, coax::http::handler(std::move(app)));
  });
}
