// web_https PORT CERT KEY [HOST]: a site for others, over TLS. A renewed certificate is used within an hour.
#include "coax/coax.hpp"
#include "coax/tls/tls.hpp"

using namespace std::chrono_literals;
namespace http = coax::http;
namespace tls = coax::tls;

http::App app() {
  http::App app({.keep_alive = 30s});
  app.use(http::access_log()).use(http::request_id());
  app.use(http::security_headers({.hsts_max_age = 365 * 24h}));
  app.use(http::rate_limit({.requests = 300, .period = 1min}));
  app.use(http::timeout(30s));
  app.get("/", [](http::Request&) { return http::Response::html("<!doctype html><title>Hello</title><p>Hello\n"); });
  return app;
}

coax::Task<> reload_certificate(tls::ServerContext& context) {
  while (true) {
    for (const std::string& warning : context.warnings()) coax::log::warning("{}", warning);
    co_await coax::sleep(1h);
    try {
      context.reload_if_changed();
    } catch (const coax::Error& error) {  // the old one stays
      coax::log::error("{}", error.what());
    }
  }
}

coax::Task<> serve(const coax::Arguments& given) {
  const tls::Identity identity{.certificate_file = std::string(given["CERT"]), .key_file = std::string(given["KEY"])};
  const auto context = std::make_shared<tls::ServerContext>(tls::ServerOptions{.identities = {identity}});
  co_await coax::race(reload_certificate(*context),
                      coax::serve({.listen = given.address()}, tls::handler(context, http::handler(app()))));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT CERT KEY [HOST]", serve); }
