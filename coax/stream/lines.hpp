// Lines: a stream read line by line. Reader::line() is for streams that have more than lines.
#pragma once

#include <optional>

#include "coax/base/borrowed.hpp"
#include "coax/base/units.hpp"
#include "coax/codec/lines.hpp"
#include "coax/stream/reader.hpp"
#include "coax/stream/stream.hpp"
#include "coax/task/task.hpp"

namespace coax {

struct LinesOptions {
  std::size_t line_bytes_max = 64_KiB;  // of a line without its LF or CRLF
  // For peers that send no line ends (each of their sends is a message): until the first line end comes, what came is a
  // line as soon as nothing more follows for so long.
  std::optional<Duration> pause = {};
  // Whether a peer that speaks HTTP, TLS or SSH instead is refused: it gets an answer in its protocol, and next()
  // throws ForeignProtocolError. False for those who read the lines of such a protocol themselves. A borrowed reader
  // has an option of its own.
  bool refuse_foreign = true;
};

class Lines {
 public:
  // Nothing else may receive from the stream meanwhile.
  explicit Lines(Stream& stream, const LinesOptions& options = {}) noexcept
      : reader_(std::in_place, stream, ReaderOptions{.refuse_foreign = options.refuse_foreign}),
        decoder_(options.line_bytes_max),
        pause_(options.pause) {}
  // Goes on where the reader stands; what follows the last line given stays in the reader.
  explicit Lines(Reader& reader, const LinesOptions& options = {}) noexcept
      : reader_(reader), decoder_(options.line_bytes_max), pause_(options.pause) {}

  // The next line without its line end, valid until the next call; at the end of the stream what stands without one,
  // then nothing. Throws Error(protocol) on a line above the limit; the next call goes on after it. Cancelled: nothing
  // is lost.
  Task<std::optional<BytesView>> next();
  // The stream has ended: the line that next() gave last had no line end.
  [[nodiscard]] bool at_end() const noexcept { return reader_->at_end(); }

 private:
  Task<bool> fill_until_pause();
  std::optional<BytesView> take(const LineEvent& event) const;

  OwnedOrBorrowed<Reader> reader_;
  LineDecoder decoder_;
  std::optional<Duration> pause_;
  bool unfinished_ = false;  // bytes may stand without a line end
};

}  // namespace coax
