// Lines: a Reader with the decoder of lines, and the pause that ends a line without a line end.
#include "coax/stream/lines.hpp"

#include <utility>

#include "coax/base/error.hpp"
#include "coax/task/scope.hpp"

namespace coax {

Task<std::optional<BytesView>> Lines::next() {
  while (true) {
    co_await checkpoint();
    if (const auto event = reader_->try_next(decoder_)) co_return take(*event);
    if (reader_->at_end()) co_return std::nullopt;
    if (pause_ && received_ && decoder_.has_incomplete_line() && !decoder_.saw_line_end()) {
      const bool paused = co_await fill_until_pause();
      if (!paused) continue;
      if (const auto event = decoder_.rest()) co_return take(*event);
    } else {
      co_await reader_->fill();
      received_ = true;
    }
  }
}

// Returns: true when the stream only paused.
Task<bool> Lines::fill_until_pause() {
  try {
    co_await timeout(*pause_, reader_->fill());
    co_return false;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
  }
  co_return true;
}

std::optional<BytesView> Lines::take(const LineEvent& event) const {
  if (event.kind == LineEvent::Kind::line) return event.bytes;
  throw LineTooLong(reader_->stream().peer_name());
}

}  // namespace coax
