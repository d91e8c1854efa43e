// Development mode: the page with the reason of a failure, and a main() in one line.
#include "coax/base/log.hpp"
#include "coax/http/negotiate.hpp"
#include "coax/http/site_private.hpp"
#include "coax/http/template_program_private.hpp"
#include "coax/server/serve.hpp"
#include "coax/task/run.hpp"

namespace coax::http {

namespace {

constexpr const char* page = R"(<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>500 Internal Server Error</title>
<style>
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
  body { max-width: 60rem; margin: 3rem auto; padding: 0 1rem }
  h1 { font-size: 1.3rem }
  pre { padding: 1rem; border-left: .3rem solid #c33; white-space: pre-wrap; overflow-wrap: anywhere }
  td { padding-right: 1rem; vertical-align: top; overflow-wrap: anywhere }
</style>
<h1>{{ method }} {{ target }} failed</h1>
<pre>{{ reason }}</pre>
<table>
{% for name, value in fields.items() %}<tr><td>{{ name }}<td>{{ value }}
{% end %}</table>
<p>This page is shown because <code>AppOptions::development</code> is set.
)";

}  // namespace

Response development_page(Request& request, std::string_view reason) {
  const std::string_view accept = request.header("Accept");
  if (accept.empty() || preferred(accept, {"text/plain", "application/json", "text/html"}) != "text/html") {
    return error_response(request, StatusError(500, reason));
  }
  static const Templates pages = Templates::in_memory({{"500.html", page}});
  Value fields = Value::object();
  for (const auto& [name, value] : request.fields()) fields.set(name, value);
  return Response::html(pages.render("500.html", {{"method", request.method()},
                                                  {"target", request.target()},
                                                  {"reason", reason},
                                                  {"fields", std::move(fields)}}),
                        500);
}

int run(App app, std::string listen) {
  app.options_.development = true;
  const auto tell = [](const Address& address) {
    log::info("http://{}/ in development mode: responses have the reasons of errors; Ctrl-C ends it",
              address.to_string());
  };
  templates::in_development = true;
  const int exit_code = coax::run(serve({.listen = std::move(listen), .on_listen = tell}, handler(std::move(app))));
  templates::in_development = false;
  return exit_code;
}

}  // namespace coax::http
