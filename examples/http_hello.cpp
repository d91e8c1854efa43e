// http_hello PORT [HOST]: GET /hello greets, POST /echo answers with what was sent.
#include "coax/coax.hpp"

using coax::http::Request;
using coax::http::Response;

int main(int argc, char** argv) {
  if (argc < 2) return fmt::print(stderr, "usage: http_hello PORT [HOST]\n"), 2;
  coax::http::App app;
  app.get("/hello", [](Request&) { return Response::text("Hello world!"); });
  app.post("/echo", [](Request& request) { return Response::text(std::move(request.body())); });
  return coax::run(coax::serve({.listen = fmt::format("{}:{}", argc > 2 ? argv[2] : "127.0.0.1", argv[1])},
                               coax::http::handler(std::move(app))));
}
