// web_proxied LISTEN: a site for others, behind a reverse proxy on this machine. LISTEN: "HOST:PORT" or "unix:/path".
#include "coax/coax.hpp"

namespace http = coax::http;
using http::Request;

coax::Task<> serve(const coax::Arguments& given) {
  http::App app;
  app.use(http::trusted_proxies({.networks = {coax::Network::parse("127.0.0.0/8")}, .local_sockets = true}));
  app.use(http::access_log()).use(http::security_headers());
  app.get("/", [](Request& request) {
    return http::Response::text(fmt::format("{} over {}\n", request.peer().ip(), request.is_secure() ? "TLS" : "TCP"));
  });
  co_await coax::serve({.listen = std::string(given["LISTEN"])}, http::handler(std::move(app)));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "LISTEN", serve); }
