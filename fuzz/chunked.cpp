// Invariant: the data of a chunked body, and where it ends or fails, do not depend on how the bytes are split; there is
// never more data than was announced; encoding data in chunks and decoding it returns the same data (RFC 9112, section
// 7.1).
#include "coax/codec/chunked.hpp"

#include <fmt/format.h>

#include <string>

#include "fuzz/input.hpp"

namespace {

using coax::fuzz::require;

struct Body {
  std::string data;
  std::string end;          // what stopped it
  std::size_t taken_bytes;  // of the input
  friend bool operator==(const Body&, const Body&) = default;
};

Body decode(const coax::fuzz::Pieces& pieces) {
  coax::http1::ChunkedDecoder decoder;
  Body body{.data = "", .end = "cut off", .taken_bytes = 0};
  for (const auto& piece : pieces) {
    for (coax::BytesView rest = std::span(piece); rest;) {
      const std::size_t before = rest.size();
      const auto data = decoder.next(rest);
      body.taken_bytes += before - rest.size();
      if (!data) {
        body.end = data.error();
        return body;
      }
      body.data += data->text();
      require(body.data.size() <= decoder.announced_bytes());
      if (decoder.done()) {
        require(body.data.size() == decoder.announced_bytes());
        body.end = "done";
        return body;
      }
      require(*data || !rest);
    }
  }
  return body;
}

std::string in_chunks(std::string_view data, std::size_t chunk_bytes) {
  std::string out;
  for (; !data.empty(); data.remove_prefix(std::min(chunk_bytes, data.size()))) {
    const std::string_view chunk = data.substr(0, chunk_bytes);
    out += fmt::format("{:x};a=\"b\"\r\n{}\r\n", chunk.size(), chunk);
  }
  return out + "0\r\nTrailer: 1\r\n\r\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = coax::fuzz::text_of(data, size);
  coax::fuzz::require_same_however_cut(input, decode);
  if (size == 0) return 0;
  const std::string wire = in_chunks(input, data[0] % 40U + size / 20 + 1);
  const Body whole{.data = std::string(input), .end = "done", .taken_bytes = wire.size()};
  require(decode(coax::fuzz::cut(wire + "next", 7)) == whole);
  return 0;
}
