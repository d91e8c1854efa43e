// Scans each byte once: only newly fed bytes are searched for a line end, never held ones.
#include "coax/codec/lines.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace coax {

LineDecoder::LineDecoder(std::size_t line_bytes_max) noexcept
    : line_bytes_max_(static_cast<std::uint32_t>(
          std::min<std::size_t>(line_bytes_max, std::numeric_limits<std::uint32_t>::max()))) {}

std::optional<LineEvent> LineDecoder::next() {
  release();
  while (lent_) {
    const std::size_t length = lent_.text().find('\n');
    if (length == std::string_view::npos) return hold();
    const BytesView piece = lent_.first(length);
    lent_ = lent_.from(length + 1);
    saw_line_end_ = true;
    if (!std::exchange(dropping_, false)) return finish_line(piece);
  }
  return std::nullopt;
}

std::optional<LineEvent> LineDecoder::rest() {
  release();
  if (std::exchange(dropping_, false) || held_.empty()) return std::nullopt;
  held_was_lent_ = true;
  // By one byte: a CR before a possible LF.
  if (held_.size() > line_bytes_max_) return LineEvent{LineEvent::Kind::too_long, {}};
  return LineEvent{LineEvent::Kind::line, std::span(held_)};
}

std::optional<LineEvent> LineDecoder::finish_line(BytesView last_piece) {
  BytesView line = last_piece;
  if (!held_.empty()) {
    held_.insert(held_.end(), last_piece.begin(), last_piece.end());
    held_was_lent_ = true;
    line = std::span(held_);
  }
  if (line && line[line.size() - 1] == '\r') line = line.first(line.size() - 1);
  if (line.size() > line_bytes_max_) return LineEvent{LineEvent::Kind::too_long, {}};
  return LineEvent{LineEvent::Kind::line, line};
}

// Keeps the incomplete line at the end of the fed bytes.
std::optional<LineEvent> LineDecoder::hold() {
  const BytesView start = std::exchange(lent_, {});
  if (dropping_) return std::nullopt;
  const std::size_t maybe_end = start[start.size() - 1] == '\r' ? 1 : 0;
  if (held_.size() + start.size() - maybe_end > line_bytes_max_) {
    dropping_ = true;
    held_ = std::vector<char>();
    return LineEvent{LineEvent::Kind::too_long, {}};
  }
  held_.insert(held_.end(), start.begin(), start.end());
  return std::nullopt;
}

void LineDecoder::release() {
  if (std::exchange(held_was_lent_, false)) held_ = std::vector<char>();
}

}  // namespace coax
