// http_proxy PORT UPSTREAM: a reverse proxy for the HTTP server at UPSTREAM ("HOST:PORT"). Bodies are streamed in both
// directions, so that any length needs the same memory and the slower side sets the pace. WebSockets and other upgrades
// are tunnelled. One connection to the server for each request.
#include "coax/coax.hpp"
#include "coax/codec/url.hpp"

using coax::BytesView;
using coax::Task;
using coax::http::BodyReader;
using coax::http::BodyWriter;
using coax::http::Fields;
using coax::http::Request;
using coax::http::Response;

namespace {

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

// One exchange with the server.
class Upstream {
 public:
  explicit Upstream(std::string_view method) : method_(method), parser_(method, {.body_bytes_max = SIZE_MAX}) {}
  Task<> connect(std::string_view where) {
    stream_ = co_await coax::connect(where, {.limit = std::chrono::seconds(5)});
  }
  coax::Stream& stream() { return *stream_; }

  Task<> send_request(const Request& request, const BodyReader& body) {
    std::vector<coax::http::Field> fields;
    for (const auto& field : request.fields()) {
      if (!is_hop_by_hop(field.name, request.fields())) fields.push_back(field);
    }
    const std::string peer = request.peer().ip();
    const std::string length = std::to_string(body.length().value_or(0));
    const std::string upgrade(wanted_protocol(request));
    const std::string host(request.host().empty() ? "localhost" : request.host());  // HTTP/1.0 may have none
    fields.push_back({"Host", host});
    if (expects_continue(request)) fields.push_back({"Expect", "100-continue"});
    fields.push_back({"X-Forwarded-For", peer});
    fields.push_back({"Via", "1.1 coax"});
    fields.push_back({"Connection", upgrade.empty() ? "close" : "Upgrade"});
    if (!upgrade.empty()) fields.push_back({"Upgrade", upgrade});
    if (body.length()) fields.push_back({"Content-Length", length});
    is_chunked_ = !body.length() && !body.at_end();
    if (is_chunked_) fields.push_back({"Transfer-Encoding", "chunked"});
    std::string head;
    coax::http1::append_request_head(head, request.method(), origin_form(request.target()), fields);
    co_await stream_->send(head);
  }
  Task<> send_body(BodyReader& body) {
    while (const BytesView part = co_await body.recv()) {
      const std::string size = fmt::format("{:x}\r\n", part.size());
      const std::array<BytesView, 3> chunk{size, part, "\r\n"};
      co_await (is_chunked_ ? stream_->send(chunk) : stream_->send(part));
    }
    if (is_chunked_) co_await stream_->send("0\r\n\r\n");
  }
  // The head of the response, or of an interim one.
  Task<> recv_any_head() {
    if (parser_.head_done()) parser_.reset(method_);
    while (!parser_.head_done()) {
      if (unread_.empty()) co_await recv();
      feed();
    }
  }
  Task<> recv_head() {
    do co_await recv_any_head();
    while (is_interim());
  }
  bool has_head() const { return parser_.head_done(); }
  bool is_interim() const { return parser_.head().status / 100 == 1 && parser_.head().status != 101; }
  // A part of its body; empty: the end.
  Task<std::string> recv_body() {
    while (parser_.body().empty() && !parser_.done()) {
      co_await recv();
      feed();
    }
    co_return std::exchange(parser_.body(), {});
  }
  const coax::http1::Head& head() const { return parser_.head(); }
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

Task<Response> response_of(std::shared_ptr<Upstream> server) {
  Response response{.status = server->head().status};
  const Fields fields = server->head().view();
  const bool is_upgrade = response.status == 101;
  for (const auto& [name, value] : fields) {
    const bool is_protocol = (is_upgrade || response.status == 426) && coax::equal_ignoring_case(name, "Upgrade");
    const bool is_kept = is_protocol || !is_hop_by_hop(name, fields);
    if (is_kept) response.header(std::string(name), std::string(value));
  }
  if (is_upgrade) {
    response.body = coax::http::Upgrade{[server](coax::Connection& client, std::string early) {
      return tunnel(client.stream(), early, server);
    }};
    co_return response;
  }
  const auto produce = [server](BodyWriter& body) -> Task<> {
    while (true) {
      const std::string part = co_await server->recv_body();
      if (part.empty()) co_return;
      co_await body.send(part);
    }
  };
  response.body = coax::http::StreamedBody{.producer = produce, .length = server->head().content_length};
  co_return response;
}

// The server may answer before it has the whole body; the rest of it is then discarded. Once it has the body, it has a
// minute to answer.
Task<> exchange(Upstream& server, const Request& request, BodyReader& body) {
  co_await server.send_request(request, body);
  if (expects_continue(request)) {  // the server decides whether it wants the body; one that says nothing gets it
    const auto decide = [&]() -> Task<> {
      do co_await server.recv_any_head();
      while (server.is_interim() && server.head().status != 100);
    };
    co_await coax::race(decide(), coax::sleep(std::chrono::seconds(1)));
    if (server.has_head() && !server.is_interim()) co_return;
  }
  const auto send = [&]() -> Task<> {
    co_await server.send_body(body);
    co_await coax::sleep(std::chrono::seconds(60));
    throw coax::Error(coax::ErrorKind::timed_out, "read a response from", server.stream().peer_name(), "no answer");
  };
  co_await coax::race(server.recv_head(), send());
}

Task<Response> forward(std::string_view upstream, const Request& request, BodyReader& body) {
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
  Response response = co_await response_of(server);
  co_return response;
}

coax::http::App proxy(std::string upstream) {
  coax::http::App app({.headers = {}});
  const auto handle = [upstream = std::move(upstream)](Request& request, BodyReader& body) {
    return forward(upstream, request, body);
  };
  app.any("/{path...}", handle, {.body_bytes_max = SIZE_MAX});
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
