// TLS for serve(): the handshake in front of a handler, and in the middle of a connection (STARTTLS).
//
//   const tls::ServerOptions options{.identities = {{"cert.pem", "key.pem"}}};
//   const auto context = std::make_shared<tls::ServerContext>(options);
//   co_await serve({.listen = "0.0.0.0:8443"}, tls::handler(context, answer));
#pragma once

#include <memory>
#include <optional>

#include "coax/server/connection.hpp"
#include "coax/stream/reader.hpp"
#include "coax/tls/context.hpp"
#include "coax/tls/stream.hpp"

namespace coax::tls {

// "No limit" is std::nullopt.
struct HandshakeLimits {
  // Connections that are in their handshake, or end after it has failed; with one more, the oldest of them is closed.
  std::optional<std::size_t> at_once_max = 2'000;
  // From one IPv4 address or IPv6 /64; one more is closed at once. Loopback and Unix sockets are not counted.
  std::optional<std::size_t> per_host_max = 64;
};

// A handler that makes the handshake on each connection and then calls `inner`, with the tls::Stream as
// Connection::stream(). A verified client certificate becomes Connection::principal(), with the common name of its
// subject, or the whole subject when it does not have one common name. Authorities that are trusted together must not
// give the same name to different clients. A failed handshake is logged and ends only its connection; a client that
// speaks HTTP gets a response 400.
Handler handler(std::shared_ptr<const ServerContext> context, Handler inner, const HandshakeLimits& limits = {});

// The TLS of a connection that handler() or secure() has begun: for alpn(), server_name(), peer_certificate(). Null for
// a connection without TLS.
Stream* stream_of(Connection& connection) noexcept;

// Begins TLS on a connection that is open, as STARTTLS and similar commands do, and makes the handshake. The answer to
// the command must have been sent. It sets Connection::principal(), as handler() does.
// Returns: the new top stream, which ends with the connection.
// Throws: Error(protocol) when bytes are buffered in `reader`: an attacker could have put commands there before the
// handshake that would count as sent after it (CVE-2011-0411); else as Stream::handshake().
Task<Stream*> secure(Connection& connection, const ServerContext& context, const Reader& reader);

}  // namespace coax::tls
