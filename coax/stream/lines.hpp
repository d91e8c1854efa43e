// Lines: reads a stream line by line. Reader::line() is for streams that have more than lines.
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
  std::size_t line_bytes_max = 64_KiB;  // of a line, without its LF or CRLF
  // For peers that send no line ends, where each send is a message. Until the first line end was received, a pause of
  // this length ends a line.
  std::optional<Duration> pause = {};
  // Whether a peer that speaks HTTP, TLS or SSH is refused: it gets an answer in its protocol, and next() throws
  // ForeignProtocolError. False for programs that read the lines of such a protocol themselves. A borrowed reader has
  // an option of its own.
  bool refuse_foreign = true;
};

class Lines {
 public:
  // While it exists, nothing else may receive from the stream.
  explicit Lines(Stream& stream, const LinesOptions& options = {}) noexcept
      : reader_(std::in_place, stream, ReaderOptions{.refuse_foreign = options.refuse_foreign}),
        decoder_(options.line_bytes_max),
        pause_(to_milliseconds(options.pause)) {}
  // Starts with the reader's buffered bytes, and leaves the bytes after the last returned line in it.
  explicit Lines(Reader& reader, const LinesOptions& options = {}) noexcept
      : reader_(reader), decoder_(options.line_bytes_max), pause_(to_milliseconds(options.pause)) {}

  // Returns: the next line without its line end, valid until the next call; at the end of the stream the bytes without
  // a line end, then nothing.
  // Throws: LineTooLong for a line above the limit, after which the next call continues with the next line.
  // Cancelled: no byte is lost.
  Task<std::optional<BytesView>> next();
  // Before next(), for servers with many silent clients: next() is a coroutine, fill() an operation without a frame.
  // Whether next() would wait for the first byte of a line: then fill() may be awaited before it.
  [[nodiscard]] bool is_idle() const noexcept {
    return reader_->buffered().empty() && !reader_->at_end() && !decoder_.has_incomplete_line();
  }
  // Throws, and when cancelled: as next().
  [[nodiscard]] Reader::Fill fill() {
    received_ = true;
    return reader_->fill();
  }
  // The stream has ended, and the last line that next() returned had no line end.
  [[nodiscard]] bool at_end() const noexcept { return reader_->at_end(); }

 private:
  static std::optional<Milliseconds> to_milliseconds(std::optional<Duration> pause) noexcept {
    return pause ? std::optional(milliseconds(*pause)) : std::nullopt;
  }
  Task<bool> fill_until_pause();
  std::optional<BytesView> take(const LineEvent& event) const;

  OwnedOrBorrowed<Reader> reader_;
  LineDecoder decoder_;
  std::optional<Milliseconds> pause_;
  bool received_ = false;  // bytes that a borrowed reader had before wait for the first receive, not for a pause
};

}  // namespace coax
