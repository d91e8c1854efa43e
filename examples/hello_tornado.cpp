// hello_tornado [PORT]: the first program of Tornado's tutorial: "Hello, world" at http://127.0.0.1:5000/.
#include "coax/coax.hpp"

coax::http::App make_app() {
  coax::http::App app;
  app.get("/", [](coax::http::Request&) { return coax::http::Response::html("Hello, world"); });
  return app;
}

int main(int argc, char** argv) {
  return coax::http::run(make_app(), fmt::format("127.0.0.1:{}", argc > 1 ? argv[1] : "5000"));
}
