// LineReader: a blocking socket read line by line; Lines is the same over a stream. SocketReader::line() is for streams
// that have more than lines.
#pragma once

#include <cstddef>
#include <optional>

#include "coax/base/borrowed.hpp"
#include "coax/base/bytes.hpp"
#include "coax/base/units.hpp"
#include "coax/codec/lines.hpp"
#include "coax/socket/reader.hpp"
#include "coax/socket/socket.hpp"

namespace coax {

class LineReader {
 public:
  // Borrows the socket; nothing else may receive from it meanwhile. line_bytes_max: of a line without its line end.
  // refuse_foreign: a peer that speaks HTTP, TLS or SSH instead gets an answer in its protocol, and next() throws
  // ForeignProtocolError; false for those who read the lines of such a protocol themselves.
  explicit LineReader(Socket& socket, std::size_t line_bytes_max = 64_KiB, bool refuse_foreign = true) noexcept
      : reader_(std::in_place, socket, ReaderOptions{.refuse_foreign = refuse_foreign}), decoder_(line_bytes_max) {}
  // Goes on where the reader stands; what follows the last line given stays in the reader.
  explicit LineReader(SocketReader& reader, std::size_t line_bytes_max = 64_KiB) noexcept
      : reader_(reader), decoder_(line_bytes_max) {}

  // The next line without its LF or CRLF, valid until the next call; at the end of the stream what stands without one,
  // then nothing. Throws Error(protocol) on a line above the limit; the next call goes on after it. The socket's
  // timeout is for the whole line, however it is cut; it loses nothing: the next call goes on.
  std::optional<BytesView> next();

 private:
  OwnedOrBorrowed<SocketReader> reader_;
  LineDecoder decoder_;
};

}  // namespace coax
