// web_showcase PORT [HOST] [STATIC_FOLDER] [--login-limit N]: all features of the web framework; GET / lists them.
// Without a STATIC_FOLDER, it serves files of its own below /static. N: wrong logins of one address in a minute, 10 by
// default.
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>

#include "coax/coax.hpp"
#include "coax/codec/url.hpp"

namespace http = coax::http;
using namespace coax::literals;
using namespace std::chrono_literals;
using coax::Task;
using http::BodyReader;
using http::BodyWriter;
using http::Request;
using http::Response;
using http::Value;

namespace {

// --- pages ---

constexpr const char* base_html = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{% block title %}Coax{% end %}</title>
<link rel="stylesheet" href="/style.css">
<main>{% block body %}{% end %}</main>
</html>
)";

constexpr const char* index_html = R"({% extends "base.html" %}
{% block title %}Coax showcase{% end %}
{% block body %}
<h1>Coax showcase</h1>
<p>Every feature of the web framework once. {% if user %}You are {{ user }}.{% end %}
<table>
{% for link in links %}<tr><td><a href="{{ link.path }}">{{ link.path }}</a><td>{{ link.about }}
{% end %}</table>
{% end %}
)";

constexpr const char* login_html = R"({% extends "base.html" %}
{% block title %}Log in{% end %}
{% block body %}
<h1>Log in</h1>
{% if message %}<p role="alert">{{ message }}</p>{% end %}
<form method="post">
<input type="hidden" name="_csrf" value="{{ token }}">
<label>Name <input name="username" value="{{ name }}" autocomplete="username" autofocus required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button>
</form>
{% end %}
)";

constexpr const char* private_html = R"({% extends "base.html" %}
{% block title %}Private{% end %}
{% block body %}
<h1>Hello, {{ user }}</h1>
<form method="post" action="/logout">
<input type="hidden" name="_csrf" value="{{ token }}">
<button>Log out</button>
</form>
{% end %}
)";

constexpr const char* template_html = R"({% extends "base.html" %}
{% block title %}One value in four places{% end %}
{% block body %}
<p id="text">{{ value }}</p>
<input value="{{ value }}">
<a href="/query?q={{ value }}">search</a>
<script>const value = {{ value }};</script>
{% end %}
)";

constexpr http::MemoryFile style = {.path = "/style.css", .content_type = "text/css; charset=utf-8", .body = R"(
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
td { padding: .15rem 1.5rem .15rem 0; vertical-align: top }
label { display: block; margin: .5rem 0 }
input, button { font: inherit; padding: .3rem .6rem }
[role=alert] { border-left: .3rem solid #c33; padding-left: .7rem }
)"};

Value links() {
  Value list = Value::list();
  for (const auto& [path, about] : std::initializer_list<std::pair<const char*, const char*>>{
           {"/hello/world", "a parameter of the path"},
           {"/item/7", "a number in the path"},
           {"/files/a/b.txt", "the rest of the path"},
           {"/query?a=1&a=2&b=3", "the query"},
           {"/cookie/set?theme=dark", "sets cookies"},
           {"/cookies", "the cookies of the request"},
           {"/session", "visits, counted in a signed cookie"},
           {"/login", "a login: alice, wonderland"},
           {"/private", "needs the login"},
           {"/template?value=<b>%22Tea%22</b>", "escaping by the place"},
           {"/static/", "files"},
           {"/stream?n=10", "lines, one after the other"},
           {"/events", "server-sent events"},
           {"/compress", "compressed as the client asks"},
           {"/slow", "takes a second"},
           {"/error", "fails"},
           {"/redirect", "leads to /hello/world"},
           {"/api/time", "for pages of https://app.example, too"}}) {
    list.append(Value{{"path", path}, {"about", about}});
  }
  return list;
}

// --- requests and responses ---

Value lists_of(const http::Pairs& pairs) {
  std::map<std::string, std::vector<std::string>> lists;
  for (const auto& [name, value] : pairs) lists[name].push_back(value);
  return lists;
}

Response json(const Value& value, int status = 200) { return Response::json(value.to_json() + "\n", status); }

Response refuse(int status, std::string_view reason) {
  return Response::text(fmt::format("{} {}\n", status, reason), status);
}

Task<Response> form(Request& request, BodyReader& body) {
  const http::Form form = co_await http::read_form(request, body, {.fields_bytes_max = 10_MiB});
  Value files = Value::list();
  for (const http::FormFile& file : form.files()) {
    http::Sha256 hash;
    hash.update(co_await file.read());
    files.append({{"name", file.name()},
                  {"filename", file.filename()},
                  {"type", file.content_type()},
                  {"size", file.size()},
                  {"sha256", hash.hexadecimal()}});
  }
  co_return json({{"fields", lists_of(form.fields())}, {"files", std::move(files)}});
}

struct Todo {
  std::string title;
  bool done = false;
  int priority = 1;
  static constexpr auto members() {
    return std::tuple(http::member("title", &Todo::title), http::member("done", &Todo::done),
                      http::member("priority", &Todo::priority).range(1, 5));
  }
};

Response todo(Request& request) { return json(http::to_value(http::read_json<Todo>(request))); }

Task<Response> upload(Request&, BodyReader& body) {
  http::Sha256 hash;
  std::uint64_t size = 0;
  while (const coax::BytesView bytes = co_await body.recv()) {
    hash.update(bytes);
    size += bytes.size();
  }
  co_return json({{"size", size}, {"sha256", hash.hexadecimal()}});
}

Response echo(Request& request) { return json({{"method", request.method()}, {"body", request.body()}}); }

Response set_cookies(Request& request) {
  Response response = json(lists_of(request.query()));
  try {
    for (const auto& [name, value] : request.query()) response.cookie({.name = name, .value = value});
  } catch (const coax::Error& error) {  // a name that is none, a value that is too long
    return refuse(400, error.what());
  }
  return response;
}

Response cookies(Request& request) {
  Value all = Value::object();
  for (const auto& [name, value] : http::parse_cookies(request.fields())) all.set(name, value);
  return json(all);
}

Response count_visits(Request& request, const http::CookieKeys& keys) {
  const auto cookie = http::cookie(request, "visits");
  const std::string before = cookie ? keys.verify("visits", *cookie).value_or("0") : "0";
  std::uint64_t visits = 0;
  std::from_chars(before.data(), before.data() + before.size(), visits);
  ++visits;
  const std::chrono::seconds month = 30 * 24h;
  return json({{"visits", visits}})
      .cookie({.name = "visits", .value = keys.sign("visits", std::to_string(visits), month), .max_age = month})
      .header("Cache-Control", "no-store");
}

// The value stands in a script, which the policy allows by its digest.
Response template_page(Request& request, const http::Templates& templates) {
  Response response = Response::html(templates.render("template.html", {{"value", request.query("value")}}));
  const std::string& page = std::get<std::string>(response.body);
  const std::size_t begin = page.find("<script>") + std::size("<script>") - 1;
  http::Sha256 hash;
  hash.update(page.substr(begin, page.find("</script>") - begin));
  return std::move(response).header("Content-Security-Policy",
                                    fmt::format("default-src 'self'; script-src 'sha256-{}'; frame-ancestors 'none'; "
                                                "base-uri 'none'",
                                                hash.base64()));
}

// --- logins ---

class Logins {
 public:
  Logins(const http::Templates& templates, std::string hash, std::size_t limit)
      : templates_(templates), hash_(std::move(hash)), attempts_(limit, 1min) {}

  Response page(Request& request, int status = 200, std::string_view name = "", std::string_view message = "") {
    const Value data{{"token", http::csrf_token(request)}, {"name", name}, {"message", message}};
    return Response::html(templates_.render("login.html", data), status).header("Cache-Control", "no-store");
  }

  Task<Response> log_in(Request& request, BodyReader& body) {
    const http::Form form = co_await http::read_form(request, body);
    http::check_csrf(request, form);
    const std::string name(form.value("username"));
    const std::string address = request.peer().ip();
    if (!attempts_.attempt(address)) {
      co_return page(request, 429, name, "Too many attempts. Wait a while.")
          .header("Retry-After", std::to_string(attempts_.retry_after(address).count()));
    }
    const std::string known = name == "alice" ? hash_ : "";  // empty: takes as long, and is never right
    if (!co_await http::verify_password(std::string(form.value("password")), known)) {
      co_return page(request, 401, name, "The name or the password is wrong.");
    }
    attempts_.take_back(address);
    http::log_in(request, {.kind = coax::Principal::Kind::user, .name = name});
    const std::string_view next = request.query("next");
    co_return Response{.status = 303}.header("Location", next.empty() ? "/private" : http::safe_redirect_target(next));
  }

  Response private_page(Request& request) {
    const Value data{{"user", request.principal().name}, {"token", http::csrf_token(request)}};
    return Response::html(templates_.render("private.html", data)).header("Cache-Control", "no-store");
  }

  static Task<Response> log_out(Request& request, BodyReader& body) {
    http::check_csrf(request, co_await http::read_form(request, body));
    http::log_out(request);
    co_return Response{.status = 303}.header("Location", "/");
  }

 private:
  const http::Templates& templates_;
  std::string hash_;
  http::AttemptLimit attempts_;
};

// --- streams ---

Task<> send_lines(BodyWriter& body, unsigned count) {
  for (unsigned line = 1; line <= count; ++line) {
    if (line > 1 && count <= 10) co_await coax::sleep(50ms);
    co_await body.send(fmt::format("line {}\n", line));
  }
}

Response stream(Request& request) {
  const std::string_view text = request.query("n");
  unsigned count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count > 100'000) {
    return refuse(400, "n has to be a number from 0 to 100000");
  }
  return Response::stream(Response::text_type,
                          [count](BodyWriter& body) -> Task<> { co_await send_lines(body, count); });
}

Task<> send_events(http::EventWriter& events) {
  const std::string& text = events.last_event_id();
  std::uint64_t last = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), last);
  if (error != std::errc() || end != text.data() + text.size()) last = 0;
  co_await events.send({.retry = 1000ms});
  for (std::uint64_t number = last + 1; last < 5 && number <= 5; ++number) {
    const std::string id = std::to_string(number);
    const std::string data = "event " + id;
    co_await events.send({.id = id, .data = data});
    co_await coax::sleep(50ms);
  }
  co_await coax::sleep(24h);  // cancelled when the client leaves, or the server drains
}

Response events(Request& request) { return http::events(request, send_events, {.keep_alive = 1s}); }

std::string ten_thousand_bytes() {
  std::string text;
  while (text.size() < 10'000) text += "Coax: sockets for C++ the way Python has them. ";
  text.resize(9'999);
  return text + "\n";
}

// --- WebSockets ---

Task<> echo_messages(coax::ws::WebSocket& socket) {
  while (const auto message = co_await socket.recv()) co_await socket.send(message);
}

Task<> send_who(coax::ws::WebSocket& socket, Request& request) {
  Value cookies = Value::object();
  for (const auto& [name, value] : http::parse_cookies(request.fields())) cookies.set(name, value);
  const auto origin = request.fields().find("Origin");
  const Value who{{"query", lists_of(request.query())},
                  {"cookies", std::move(cookies)},
                  {"origin", origin ? Value(*origin) : Value()}};
  co_await socket.send_text(who.to_json());
  co_await echo_messages(socket);
}

Task<> read(coax::ws::WebSocket& socket, coax::Topic& room) {
  while (const auto message = co_await socket.recv()) {
    const coax::ws::Prepared prepared(message.kind, message.data);  // encoded and compressed once for all
    co_await room.ready();  // waits while a member is behind: then this one is not read either
    room.publish_now(prepared.frames());
  }
}

Task<> join(coax::ws::WebSocket& socket, std::shared_ptr<coax::Topic> room) {
  coax::Outbox outbox({.form = socket.form()});  // a member that stops reading is disconnected
  const auto subscription = room->subscribe(outbox);
  co_await coax::race(read(socket, *room), drain(outbox, socket.stream()));
}

// --- files ---

// Files of our own, in a folder that is removed at the end.
class OwnFiles {
 public:
  OwnFiles() : path_((std::filesystem::temp_directory_path() / "coax-showcase-XXXXXX").string()) {
    if (mkdtemp(path_.data()) == nullptr) throw coax::Error(errno, "make a folder", path_);
    using namespace std::string_literals;
    using namespace std::string_view_literals;
    const std::string_view script = "console.log(\"Hello from Coax\");\n";
    write("hello.txt", "Hello from Coax\n");
    write("megabyte.bin", std::string(1_MiB, 'x'));
    write("app.js", script);
    write("app.js.gz",
          "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x4b\xce\xcf\x2b\xce\xcf\x49\xd5\xcb\xc9\x4f\xd7\x50\xf2\x48\xcd\xc9"
          "\xc9\x57\x48\x2b\xca\xcf\x55\x70\xce\x4f\xac\x50\xd2\xb4\xe6\x02\x00\x79\xf9\x8a\x1c\x20\x00\x00\x00"sv);
    write("app.js.br", "\x21\x7c\x00\x04"s + std::string(script) + "\x03");
    write("page.html", "<!doctype html><title>Page</title><script src=\"app.js\"></script><p>A page\n");
    write("folder/index.html", "<!doctype html><title>Folder</title><p>The index of a folder\n");
    write("Grüße aus Köln.txt", "Viele Grüße\n");
  }
  OwnFiles(const OwnFiles&) = delete;
  OwnFiles& operator=(const OwnFiles&) = delete;
  ~OwnFiles() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  void write(const std::filesystem::path& name, std::string_view text) const {
    const std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream file(path, std::ios::binary);
    file << text << std::flush;
    if (!file) throw coax::Error(errno, "write", path.string());
  }

  std::string path_;
};

Response list_folder(std::string_view path, const std::vector<http::FolderEntry>& entries, const http::Templates& all) {
  Value names = Value::list();
  for (const auto& [name, is_folder, size, modified, is_link] : entries) {
    const std::string_view end = is_folder ? "/" : "";
    names.append(Value{{"name", fmt::format("{}{}", name, end)},
                       {"url", fmt::format("./{}{}", coax::percent_encode(name), end)}});
  }
  return Response::html(all.render("folder.html", {{"path", path}, {"names", std::move(names)}}));
}

constexpr const char* folder_html = R"({% extends "base.html" %}
{% block title %}{{ path }}{% end %}
{% block body %}
<h1>{{ path }}</h1>
<ul>
{% for name in names %}<li><a href="{{ name.url }}">{{ name.name }}</a>
{% end %}</ul>
{% end %}
)";

// --- all together ---

std::size_t login_limit(const coax::Arguments& given) {
  if (given["--login-limit"].empty()) return 10;
  const std::string_view text = given["N"];
  std::size_t limit = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (given["--login-limit"] != "--login-limit" || error != std::errc() || end != text.data() + text.size() ||
      limit == 0) {
    throw coax::UsageError("--login-limit N: N is a positive number");
  }
  return limit;
}

void add_middleware(http::App& app) {
  app.use(http::access_log()).use(http::request_id()).use(http::security_headers()).use(http::compression());
}

void add_requests(http::Router& site) {
  site.get("/hello/{name}",
           [](Request& request) { return Response::text(fmt::format("Hello, {}!", request.parameter("name"))); });
  site.get("/item/{id:int}", [](Request& request) { return json({{"id", request.int_parameter("id")}}); });
  site.get("/files/{rest:path}",
           [](Request& request) { return Response::text(std::string(request.parameter("rest"))); });
  site.get("/query", [](Request& request) { return json(lists_of(request.query())); });
  site.post("/form", form, {.body_bytes_max = 10_MiB});
  site.post("/json", todo, {.body_bytes_max = 10_MiB});
  site.post("/upload", upload, {.body_bytes_max = 2_GiB});
  for (const char* method : {"PUT", "PATCH", "DELETE"}) site.route(method, "/echo", echo);
  site.get("/cookie/set", set_cookies).get("/cookies", cookies);
  site.get("/stream", stream).get("/events", events);
  site.get("/compress", [](Request&) { return Response::text(ten_thousand_bytes()); });
  site.get("/slow", [](Request&) -> Task<Response> {
    co_await coax::sleep(1s);
    co_return Response::text("That took a second.\n");
  });
  site.get("/error", [](Request&) -> Response { throw std::runtime_error("the details are in the log only"); });
  site.get("/redirect", [](Request&) { return Response{.status = 302}.header("Location", "/hello/world"); });
}

void add_pages(http::Router& site, const http::Templates& templates, Logins& logins) {
  site.file(style);
  site.get("/", [&](Request& request) {
    return Response::html(templates.render("index.html", {{"links", links()}, {"user", request.principal().name}}));
  });
  site.get("/template", [&](Request& request) { return template_page(request, templates); });
  site.get("/login", [&](Request& request) { return logins.page(request); });
  site.post("/login", [&](Request& request, BodyReader& body) { return logins.log_in(request, body); });
  site.post("/logout", Logins::log_out);
  http::Router members;
  members.use(http::login_required("/login"));
  members.get("/private", [&](Request& request) { return logins.private_page(request); });
  site.mount("/", std::move(members));
}

Task<> serve(const coax::Arguments& given) {
  auto templates = http::Templates::in_memory({{"base.html", base_html},
                                               {"index.html", index_html},
                                               {"login.html", login_html},
                                               {"private.html", private_html},
                                               {"template.html", template_html},
                                               {"folder.html", folder_html}});
  Logins logins(templates, co_await http::hash_password("wonderland"), login_limit(given));
  const http::CookieKeys keys({http::CookieKeys::new_secret()});  // a restart voids all visits
  coax::Topics rooms(coax::ws::Prepared::forms);
  const bool has_folder = !given["STATIC_FOLDER"].empty();
  const std::optional<OwnFiles> own = has_folder ? std::nullopt : std::optional<OwnFiles>(std::in_place);

  http::App app;
  add_middleware(app);
  http::Router site;  // without /api: there, a refusal passes through cors(), too
  site.use(http::sessions()).use(http::csrf_protection());
  add_requests(site);
  add_pages(site, templates, logins);
  app.mount("/", std::move(site));
  app.get("/session", [&](Request& request) { return count_visits(request, keys); });
  app.mount("/static", http::folder(has_folder ? std::string(given["STATIC_FOLDER"]) : own->path(),
                                    {.listing = [&](const Request& request, const auto& entries) {
                                      return list_folder(request.path(), entries, templates);
                                    }}));
  http::Router api;
  api.use(http::cors({.origins = {"https://app.example"}}));
  api.get("/time", [](Request&) { return json({{"time", std::time(nullptr)}}); });
  app.mount("/api", std::move(api));
  app.websocket("/ws/echo", echo_messages, {.protocols = {"echo"}});
  app.websocket("/ws/whoami", send_who);
  app.websocket("/ws/room/{name}", [&](coax::ws::WebSocket& socket, Request& request) {
    return join(socket, rooms[request.parameter("name")]);
  });
  co_await coax::serve({.listen = given.address()}, http::handler(std::move(app)));
}

}  // namespace

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST] [STATIC_FOLDER] [--login-limit] [N]", serve);
}
