// Lines in a stream of bytes, split anywhere: LF or CRLF ends a line. Pure: no descriptor, no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "coax/base/bytes.hpp"

namespace coax {

struct LineEvent {
  enum class Kind : std::uint8_t {
    line,      // without its line end
    too_long,  // reported once, without its bytes; later bytes of the line are dropped
  };
  Kind kind = Kind::line;
  BytesView bytes;  // valid until the next call of feed(), next() or rest()
};

// Feed, then call next() until it returns nothing; only then may the fed bytes be released or more be fed:
//   lines.feed(bytes);
//   while (auto event = lines.next()) ...
// A line that is complete within the fed bytes is a view of them. Memory is held only for an incomplete line, at most
// line_bytes_max.
class LineDecoder {
 public:
  // line_bytes_max: of a line without its line end; capped at 4 GiB.
  explicit LineDecoder(std::size_t line_bytes_max) noexcept;

  // Borrows the bytes.
  void feed(BytesView bytes) noexcept { lent_ = bytes; }
  std::optional<LineEvent> next();
  // The fed bytes after the last event. None once next() has returned nothing.
  [[nodiscard]] BytesView unread() const noexcept { return lent_; }
  // Returns the bytes without a line end (at the end of the stream, or after a pause) as a line; the next fed byte
  // starts a new one. Nothing when there are none, or when too_long was reported for them.
  std::optional<LineEvent> rest();
  // Whether bytes were received after the last line end; rest() ends their line.
  [[nodiscard]] bool has_incomplete_line() const noexcept { return dropping_ || (!held_.empty() && !held_was_lent_); }
  // Whether any line end was received.
  [[nodiscard]] bool saw_line_end() const noexcept { return saw_line_end_; }

 private:
  std::optional<LineEvent> finish_line(BytesView last_piece);
  std::optional<LineEvent> hold();
  void release();

  BytesView lent_;
  std::vector<char> held_;  // of the incomplete line, or of the one that was returned last
  std::uint32_t line_bytes_max_;
  bool held_was_lent_ = false;
  bool dropping_ = false;  // up to the next line end
  bool saw_line_end_ = false;
};

static_assert(sizeof(LineDecoder) <= 48);

}  // namespace coax
