// compression: responses in the content codings that a client accepts: zstd, br and gzip (RFC 9110, section 8.4).
//
//   app.use(coax::http::compression());
//
// A page with a secret and with text of the client in one compressed response over TLS reveals the secret by its length
// (BREACH): let such a handler send "Cache-Control: no-transform". The tokens of csrf_token() are safe.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

#include "coax/base/units.hpp"
#include "coax/http/router.hpp"

namespace coax::http {

// Whether content of this media type, in lower case and without parameters, becomes shorter: texts, JSON, XML, SVG,
// WebAssembly, and fonts that are not compressed.
bool is_compressible_type(std::string_view type) noexcept;

struct CompressionOptions {
  std::size_t bytes_min = 1_KiB;  // shorter bodies of a known length are sent as they are
  // Of all bodies of the process that are compressed while they are sent; above, the next ones are sent as they are.
  std::size_t memory_bytes_max = 256_MiB;
  std::function<bool(std::string_view type)> is_compressible = is_compressible_type;
};

// Compresses bodies of compressible types, by Accept-Encoding. Each BodyWriter::send() of a streamed body reaches the
// client by itself, so that events and lines arrive in time. Bodies of up to 32 KiB keep a Content-Length; longer ones
// and files are compressed while they are sent, on threads beside the loop.
// All responses of these types get "Vary: Accept-Encoding", and compressed ones a weak ETag.
// Memory: for each compressed body of unknown length while it lasts, such as server-sent events, 270 KiB (gzip),
// 280 KiB (zstd) or 600 KiB (br); for a long body of known length 270 KiB, 1.7 MiB or 2.1 MiB.
// Left as they are: parts of files, statuses 204, 206 and 304, "Cache-Control: no-transform", responses that have
// Content-Encoding, Content-Range, or a digest (RFC 9530).
Middleware compression(CompressionOptions options = {});

}  // namespace coax::http
