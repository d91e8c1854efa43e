// LineReader: a blocking socket read line by line; Lines is the same over a stream.
#pragma once

#include <cstddef>
#include <optional>

#include "coax/base/bytes.hpp"
#include "coax/base/units.hpp"
#include "coax/codec/foreign.hpp"
#include "coax/codec/lines.hpp"
#include "coax/socket/socket.hpp"

namespace coax {

class LineReader {
 public:
  // Borrows the socket; nothing else may receive from it meanwhile. line_bytes_max: of a line without its line end.
  // refuse_foreign: a peer that speaks HTTP, TLS or SSH instead gets an answer in its protocol, and next() throws
  // ForeignProtocolError; false for those who read the lines of such a protocol themselves.
  explicit LineReader(Socket& socket, std::size_t line_bytes_max = 64_KiB, bool refuse_foreign = true) noexcept
      : socket_(socket), decoder_(line_bytes_max), refuse_foreign_(refuse_foreign) {}

  // The next line without its LF or CRLF, valid until the next call; at the end of the stream what stands without one,
  // then nothing. Throws Error(protocol) on a line above the limit; the next call goes on after it. The socket's
  // timeout is for the whole line, however it is cut; it loses nothing: the next call goes on.
  std::optional<Bytes> next();

 private:
  [[nodiscard]] Bytes take(const LineEvent& event) const;

  Socket& socket_;
  LineDecoder decoder_;
  ForeignDetector detector_;
  bool refuse_foreign_;
  bool ended_ = false;
};

}  // namespace coax
