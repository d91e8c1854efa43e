// Connecting with TLS: a TCP connection first, then the handshake.
#include "coax/net/endpoint.hpp"
#include "coax/tls/stream.hpp"

namespace coax::tls {

namespace {

Task<std::unique_ptr<Stream>> connect_to(std::string where, ClientContext context, ConnectOptions options) {
  const auto target = parse_host_port(where);
  const std::string host = target ? target->host : std::string();
  auto stream = std::make_unique<Stream>(co_await coax::connect(where, options), context, host);
  co_await stream->handshake();
  co_return stream;
}

Task<std::unique_ptr<coax::Stream>> connect_any(std::string where, ClientContext context) {
  co_return co_await connect_to(std::move(where), std::move(context), {});
}

}  // namespace

Task<std::unique_ptr<Stream>> connect(std::string_view host_and_port, const ClientContext& context,
                                      ConnectOptions options) {
  return connect_to(std::string(host_and_port), context, options);
}

Connector connector(const ClientContext& context) {
  return [context](std::string where) { return connect_any(std::move(where), context); };
}

}  // namespace coax::tls
