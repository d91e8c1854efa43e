// http_hello PORT [HOST]: GET /hello greets, POST /echo returns the body of the request.
#include "coax/coax.hpp"

using coax::http::Request;
using coax::http::Response;

coax::Task<> serve(const coax::Arguments& given) {
  coax::http::App app;
  app.get("/hello", [](Request&) { return Response::text("Hello world!"); });
  app.post("/echo", [](Request& request) { return Response::text(std::move(request.body())); });
  return coax::serve({.listen = given.address()}, coax::http::handler(std::move(app)));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST]", serve); }
