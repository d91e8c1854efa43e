// web PORT [HOST] [FOLDER] [CERT] [KEY]: an application of the framework, over TLS when it has a certificate: /hello,
// /json, /table (a template of 50 rows), the files of FOLDER under /files; over WebSocket an echo at /, and /room,
// which sends each message to all its members.
#include "coax/coax.hpp"
#include "coax/tls/tls.hpp"

namespace {

namespace http = coax::http;
namespace tls = coax::tls;
using coax::ws::WebSocket;
using http::Request;
using http::Response;
using http::Value;

struct Todo {
  std::int64_t id = 7;
  std::string title = "Write the report";
  bool done = false;
  std::vector<std::string> tags = {"work", "today"};
  static constexpr auto members() {
    using http::member;
    return std::tuple(member("id", &Todo::id), member("title", &Todo::title), member("done", &Todo::done),
                      member("tags", &Todo::tags));
  }
};

// As bench/peers/tornado_server.py.
const auto templates = http::Templates::in_memory(
    {{"table.html",
      "<!doctype html><title>{{ title }}</title><table>{% for row in rows %}<tr><td>{{ row[\"id\"] }}</td>"
      "<td>{{ row[\"name\"] }}</td><td>{{ row[\"price\"] }}</td></tr>{% end %}</table>"}});

Response table(Request&) {
  Value::List rows;
  for (int id = 1; id <= 50; ++id) {
    rows.push_back(Value{{"id", id}, {"name", fmt::format("Item <{}> & more", id)}, {"price", 100 * id}});
  }
  return Response::html(
      templates.render("table.html", Value{{"title", "Items"}, {"rows", Value::list(std::move(rows))}}));
}

coax::Task<> echo(WebSocket& socket) {
  while (const auto message = co_await socket.recv()) co_await socket.send(message);
}

coax::Topic room(coax::ws::Prepared::forms);

coax::Task<> read(WebSocket& socket) {
  while (const auto message = co_await socket.recv()) {
    const coax::ws::Prepared prepared(message.kind, message.data);
    co_await room.ready();
    room.publish_now(prepared.frames());
  }
}

coax::Task<> member(WebSocket& socket) {
  coax::Outbox outbox({.form = socket.form()});
  const auto subscription = room.subscribe(outbox);
  co_await coax::race(read(socket), drain(outbox, socket.stream()));
}

coax::Task<> serve(const coax::Arguments& given) {
  http::App app;
  app.get("/hello", [](Request&) { return Response::text("Hello world!"); });
  app.get("/json", [](Request&) { return Response::json(http::to_json(Todo())); });
  app.get("/table", table);
  app.websocket("/", echo);
  app.websocket("/room", member);
  if (const std::string_view folder = given["FOLDER"]; !folder.empty()) {
    app.mount("/files", http::folder(std::string(folder), {.precompressed = false}));
  }
  const coax::ServeOptions options{.listen = given.address()};
  if (given["CERT"].empty()) return coax::serve(options, http::handler(std::move(app)));
  const auto context = std::make_shared<tls::ServerContext>(tls::ServerOptions{
      .identities = {{.certificate_file = std::string(given["CERT"]), .key_file = std::string(given["KEY"])}}});
  return coax::serve(options, tls::handler(context, http::handler(std::move(app))));
}

}  // namespace

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST] [FOLDER] [CERT] [KEY]", serve); }
