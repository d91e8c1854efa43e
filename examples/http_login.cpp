// http_login PORT [HOST]: one account, ada with the password "tea": GET / needs the login, which is kept in a session.
#include "coax/coax.hpp"

using coax::Principal;
using coax::http::BodyReader;
using coax::http::Request;
using coax::http::Response;

Response form(Request& request, int status) {
  return Response::html("<form method=\"post\"><input type=\"hidden\" name=\"_csrf\" value=\"" +
                            coax::http::csrf_token(request) +
                            "\"><input name=\"name\"><input name=\"password\" type=\"password\"><button>Log in</button>"
                            "</form>\n",
                        status);
}

coax::Task<> serve(const coax::Arguments& given) {
  const std::string hash = co_await coax::http::hash_password("tea");  // a program would read it from its store
  coax::http::AttemptLimit attempts(10, std::chrono::minutes(15));
  coax::http::App app;
  app.use(coax::http::access_log()).use(coax::http::security_headers());
  app.use(coax::http::sessions()).use(coax::http::csrf_protection());
  app.use(coax::http::login_required("/login"));
  app.get("/", [](Request& request) { return Response::text("Hello " + request.principal().name + "\n"); });
  app.get("/login", [](Request& request) { return form(request, 200); });
  app.post("/login", [&](Request& request, BodyReader& body) -> coax::Task<Response> {
    const coax::http::Form fields = co_await coax::http::read_form(request, body);
    coax::http::check_csrf(request, fields);
    const std::string name(fields.value("name"));
    if (!attempts.attempt(name)) throw coax::http::StatusError(429, "log in", name, "too many attempts, wait a while");
    const std::string known = name == "ada" ? hash : "";  // empty: takes as long, and is never right
    const bool is_right = co_await coax::http::verify_password(std::string(fields.value("password")), known);
    if (!is_right) co_return form(request, 403);
    attempts.succeeded(name);
    coax::http::log_in(request, {.kind = Principal::Kind::user, .name = name});
    co_return Response::redirect(coax::http::safe_redirect_target(request.query("next")));
  });
  app.post("/logout", [](Request& request) {
    coax::http::log_out(request);
    return Response::redirect("/login");
  });
  co_await coax::serve({.listen = given.address()}, coax::http::handler(std::move(app)));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST]", serve); }
