// http_templates PORT FOLDER [HOST]: GET / shows the guest book, GET /sign?name=NAME&page=ADDRESS adds a guest.
#include "coax/coax.hpp"

using coax::http::Request;
using coax::http::Response;
using coax::http::Value;

coax::Task<> serve(const coax::Arguments& given) {
  const coax::http::Templates templates(std::string(given["FOLDER"]), {.reload = true});
  templates.compile("guests.html");  // a fault of the template stops the program here
  Value guests = Value::list();      // one loop, thus one thread: no lock
  coax::http::App app;
  app.get("/", [&](Request&) { return Response::html(templates.render("guests.html", Value{{"guests", guests}})); });
  app.get("/sign", [&](Request& request) {
    guests.append(Value{{"name", request.query("name")}, {"page", request.query("page")}});
    return Response::text("thank you\n");
  });
  co_await coax::serve({.listen = given.address()}, coax::http::handler(std::move(app)));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT FOLDER [HOST]", serve); }
