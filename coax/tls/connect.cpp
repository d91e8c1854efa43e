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

}  // namespace

Task<std::unique_ptr<Stream>> connect(std::string_view host_and_port, const ClientContext& context,
                                      ConnectOptions options) {
  return connect_to(std::string(host_and_port), context, options);
}

}  // namespace coax::tls
