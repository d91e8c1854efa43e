// tls_http PORT CERT KEY [HOST]: examples/http_hello over TLS.
#include "coax/coax.hpp"
#include "coax/tls/tls.hpp"

using coax::http::Request;
using coax::http::Response;

coax::Task<> serve(const coax::Arguments& given) {
  coax::http::App app;
  app.get("/hello", [](Request&) { return Response::text("Hello world!"); });
  const auto context = std::make_shared<coax::tls::ServerContext>(coax::tls::ServerOptions{
      .identities = {{.certificate_file = std::string(given["CERT"]), .key_file = std::string(given["KEY"])}}});
  return coax::serve({.listen = given.address()}, coax::tls::handler(context, coax::http::handler(std::move(app))));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT CERT KEY [HOST]", serve); }
