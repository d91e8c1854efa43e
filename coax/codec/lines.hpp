// Lines out of a stream of bytes, however it is cut: LF or CRLF ends a line. Pure: no descriptor, no clock.
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
    too_long,  // told once, without its bytes; what follows in the same line is dropped
  };
  Kind kind = Kind::line;
  BytesView bytes;  // valid until the next call of feed(), next() or rest()
};

// Feed, then call next() until it returns nothing; only then may the fed bytes go away or more be fed:
//   lines.feed(bytes);
//   while (auto event = lines.next()) ...
// A line that stands whole in the fed bytes is lent from there. Memory is held only for a line that is not complete, at
// most line_bytes_max of it.
class LineDecoder {
 public:
  // line_bytes_max: of a line without its line end; what is above 4 GiB counts as 4 GiB.
  explicit LineDecoder(std::size_t line_bytes_max) noexcept;

  // Borrows the bytes.
  void feed(BytesView bytes) noexcept { lent_ = bytes; }
  std::optional<LineEvent> next();
  // Of the fed bytes: those behind the last event. None once next() has returned nothing.
  [[nodiscard]] BytesView unread() const noexcept { return lent_; }
  // Takes what stands without a line end (at the end of the stream, or after a pause), so that what is fed next starts
  // a new line. Nothing when nothing stands, or when too_long was told of it.
  std::optional<LineEvent> rest();
  // A line end has ever come.
  [[nodiscard]] bool saw_line_end() const noexcept { return saw_line_end_; }

 private:
  std::optional<LineEvent> finish_line(BytesView last_piece);
  std::optional<LineEvent> hold();
  void release();

  BytesView lent_;
  std::vector<char> held_;  // of the line that is not complete, or of the one that was lent last
  std::uint32_t line_bytes_max_;
  bool held_was_lent_ = false;
  bool dropping_ = false;  // up to the next line end
  bool saw_line_end_ = false;
};

static_assert(sizeof(LineDecoder) <= 48);

}  // namespace coax
