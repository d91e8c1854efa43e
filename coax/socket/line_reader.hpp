// LineReader: reads a blocking socket line by line; Lines is its counterpart for a stream. SocketReader::line() is for
// streams that have more than lines.
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
  // Borrows the socket. While it exists, nothing else may receive from it. line_bytes_max: of a line without its line
  // end. refuse_foreign: a peer that speaks HTTP, TLS or SSH gets an answer in its protocol, and next() throws
  // ForeignProtocolError; false for programs that read the lines of such a protocol themselves.
  explicit LineReader(Socket& socket, std::size_t line_bytes_max = 64_KiB, bool refuse_foreign = true) noexcept
      : reader_(std::in_place, socket, ReaderOptions{.refuse_foreign = refuse_foreign}), decoder_(line_bytes_max) {}
  // Starts with the reader's buffered bytes, and leaves the bytes after the last returned line in it.
  explicit LineReader(SocketReader& reader, std::size_t line_bytes_max = 64_KiB) noexcept
      : reader_(reader), decoder_(line_bytes_max) {}

  // The socket's timeout is for a whole line. After it no byte is lost, and the next call continues.
  // Returns: the next line without its LF or CRLF, valid until the next call; at the end of the stream the bytes
  // without a line end, then nothing.
  // Throws: LineTooLong for a line above the limit; the next call continues with the next line.
  std::optional<BytesView> next();

 private:
  OwnedOrBorrowed<SocketReader> reader_;
  LineDecoder decoder_;
};

}  // namespace coax
