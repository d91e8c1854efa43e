// web_guestbook PORT [FILE] [HOST]: a guest book with accounts. Messages, accounts and sessions are in one file of
// SQLite, by default guestbook.db.
#include "coax/coax.hpp"
#include "coax/store/database.hpp"
#include "coax/store/sessions.hpp"

namespace http = coax::http;
using coax::Task;
using http::Request;
using http::Response;

constexpr const char* base_html = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Guest book</title>
<link rel="stylesheet" href="/style.css">
<header>
<h1><a href="/">Guest book</a></h1>
{% if user %}<form method="post" action="/logout">
<input type="hidden" name="_csrf" value="{{ token }}">
<span>{{ user }}</span> <button>Log out</button>
</form>{% else %}<a href="/login">Log in</a>{% end %}
</header>
<main>{% block body %}{% end %}</main>
</html>
)";

constexpr const char* index_html = R"({% extends "base.html" %}
{% block body %}
{% if user %}<form method="post" action="/messages">
<input type="hidden" name="_csrf" value="{{ token }}">
<label>Your message <textarea name="text" rows="3" maxlength="1000" required></textarea></label>
<button>Sign</button>
</form>{% end %}
{% for message in messages %}<article>
<p>{{ message["text"] }}</p>
<footer>{{ message["author"] }}, <time>{{ message["time"] }}</time></footer>
</article>
{% end %}
{% if not messages %}<p>No messages yet.</p>{% end %}
{% end %}
)";

constexpr const char* login_html = R"({% extends "base.html" %}
{% block body %}
<h2>Log in</h2>
{% if message %}<p role="alert">{{ message }}</p>{% end %}
<form method="post" action="/login">
<input type="hidden" name="_csrf" value="{{ token }}">
<label>Name <input name="name" maxlength="30" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button> <button formaction="/register">Create an account</button>
</form>
{% end %}
)";

constexpr http::MemoryFile style = {.path = "/style.css", .content_type = "text/css; charset=utf-8", .body = R"(
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: auto; padding: 0 1rem; overflow-wrap: anywhere }
header { display: flex; justify-content: space-between; align-items: center; gap: 1rem }
h1 { font-size: 1.5rem }
h1 a { color: inherit; text-decoration: none }
label { display: block; margin: .75rem 0 }
input, textarea { display: block; box-sizing: border-box; width: 100% }
input, textarea, button { padding: .5rem .75rem; font: inherit }
input, textarea { border: 1px solid #8888; border-radius: .375rem }
button { border: 0; border-radius: .375rem; background: #26a; color: #fff; cursor: pointer }
button ~ button { background: #666 }
article { margin: 1.5rem 0; padding-left: 1rem; border-left: .25rem solid #38b }
article p { margin: 0; white-space: pre-line }
footer { opacity: .75; font-size: .875rem }
[role=alert] { padding: .5rem 1rem; border-left: .25rem solid #c33 }
)"};

constexpr const char* schema = R"(
create table if not exists accounts (name text primary key collate nocase, hash text not null);
create table if not exists messages (id integer primary key, author text not null, text text not null,
                                     time text not null default (strftime('%Y-%m-%d %H:%M', 'now')));
)";

class Guestbook {
 public:
  explicit Guestbook(coax::store::Database database) : database_(std::move(database)) {}

  Response page(Request& request, std::string_view name, http::Value data, int status = 200) {
    data.set("user", request.principal().name);
    // A token is in the session: visitors who only read get none.
    if (!request.principal().name.empty() || name == "login.html") data.set("token", http::csrf_token(request));
    return Response::html(templates_.render(name, data), status).header("Cache-Control", "no-store");
  }

  Task<Response> index(Request& request) {
    const auto messages = co_await database_.execute("select * from messages order by id desc limit 100");
    co_return page(request, "index.html", {{"messages", messages.to_value()}});
  }

  Task<Response> sign(Request& request) {
    const http::Form form = co_await checked_form(request);
    std::string text(coax::trim(form.value("text")));
    std::erase(text, '\r');  // a form sends CR LF for a line break, which a browser counts as one character
    if (text.empty() || coax::count_characters(text) > 1000) throw http::StatusError(422, "1 to 1000 characters");
    co_await database_.execute("insert into messages (author, text) values (?, ?)", request.principal().name, text);
    co_return Response::redirect("/");
  }

  Response login_page(Request& request, int status = 200, std::string_view message = "") {
    return page(request, "login.html", {{"message", message}}, status);
  }

  Task<Response> log_in(Request& request) {
    const http::Form form = co_await checked_form(request);
    const std::string name(coax::trim(form.value("name")));
    if (!attempts_.attempt(name)) co_return login_page(request, 429, "Too many attempts. Wait a while.");
    const auto found = co_await database_.execute("select * from accounts where name = ?", name);
    const std::string hash = found.empty() ? "" : found[0]["hash"].text();  // empty: takes as long, and is never right
    if (!co_await http::verify_password(std::string(form.value("password")), hash)) {
      co_return login_page(request, 403, "The name or the password is wrong.");
    }
    attempts_.succeeded(name);
    co_return welcome(request, found[0]["name"].text());
  }

  Task<Response> register_account(Request& request) {
    const http::Form form = co_await checked_form(request);
    const std::string name(coax::trim(form.value("name")));
    const std::string password(form.value("password"));
    if (name.empty() || coax::count_characters(name) > 30 || coax::has_control(name)) {
      co_return login_page(request, 422, "A name has 1 to 30 characters.");
    }
    if (coax::count_characters(password) < 8) {
      co_return login_page(request, 422, "A password has 8 characters or more.");
    }
    if (password.size() > http::password_bytes_max) {
      co_return login_page(request, 422, "This password is too long: 1024 bytes are the most.");
    }
    const std::string hash = co_await http::hash_password(password);
    const auto added = co_await database_.execute("insert or ignore into accounts values (?, ?)", name, hash);
    if (added.changes() == 0) co_return login_page(request, 409, "Another guest has this name.");
    co_return welcome(request, name);
  }

  static Task<Response> log_out(Request& request) {
    co_await checked_form(request);
    http::log_out(request);
    co_return Response::redirect("/");
  }

 private:
  static Task<http::Form> checked_form(Request& request) {
    http::Form form = co_await http::read_form(request);
    http::check_csrf(request, form);
    co_return form;
  }
  static Response welcome(Request& request, std::string name) {
    http::log_in(request, {.kind = coax::Principal::Kind::user, .name = std::move(name)});
    return Response::redirect("/");
  }

  coax::store::Database database_;
  http::AttemptLimit attempts_;
  http::Templates templates_ =
      http::Templates::in_memory({{"base.html", base_html}, {"index.html", index_html}, {"login.html", login_html}});
};

Task<> serve(const coax::Arguments& given) {
  const auto database = co_await coax::store::Database::open(std::string(given.get("FILE", "guestbook.db")));
  co_await database.execute(schema);
  Guestbook book(database);
  http::App app;
  app.use(http::access_log()).use(http::security_headers());
  app.use(http::sessions({.store = co_await coax::store::sqlite_sessions(database)})).use(http::csrf_protection());
  app.file(style);
  app.get("/", [&](Request& request) { return book.index(request); });
  app.get("/login", [&](Request& request) { return book.login_page(request); });
  app.post("/login", [&](Request& request) { return book.log_in(request); });
  app.post("/register", [&](Request& request) { return book.register_account(request); });
  http::Router members;
  members.use(http::login_required("/login"));
  members.post("/messages", [&](Request& request) { return book.sign(request); });
  members.post("/logout", Guestbook::log_out);
  app.mount("/", std::move(members));
  co_await coax::serve({.listen = given.address()}, http::handler(std::move(app)));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [FILE] [HOST]", serve); }
