// Lines, delimiters and counts in the received bytes.
#include "coax/codec/read_buffer.hpp"

#include <algorithm>

#include "coax/base/error.hpp"

namespace coax {

void ReadBuffer::keep() {
  if (lent_) held_.assign(std::exchange(lent_, {}).text());
  held_.erase(0, std::exchange(held_begin_, 0));
}

ForeignProtocol ReadBuffer::received(BytesView bytes) {
  if (bytes.empty()) end_ = End::ended;
  const auto protocol = options_.refuse_foreign ? detector_.feed(bytes) : ForeignProtocol::none;
  if (protocol != ForeignProtocol::none) {
    end_ = End::refused;
    held_ = {};
  } else if (held_.empty()) {
    lent_ = bytes;
  } else {
    held_.append(bytes.text());
  }
  return protocol;
}

ReadStep ReadBuffer::found(std::size_t count, std::size_t skipped) noexcept {
  found_bytes_ = count + skipped;
  return {.kind = ReadStep::Kind::found, .bytes = there().first(count)};
}

ReadStep ReadBuffer::cut_off(std::size_t wanted) noexcept {
  found_bytes_ = there().size();
  return {.kind = ReadStep::Kind::cut_off, .bytes = there(), .wanted = wanted};
}

ReadStep ReadBuffer::find(std::string_view delimiter, std::size_t bytes_max) {
  while (true) {
    const std::string_view text = there().text();
    const std::size_t end = text.find(delimiter, searched_bytes_);
    const bool is_whole = end != std::string_view::npos;
    // A partial delimiter may be at the end.
    const std::size_t size = is_whole ? end : text.size() - std::min(text.size(), delimiter.size() - 1);
    const bool is_too_long = size > bytes_max;
    if (is_whole && !dropping_ && !is_too_long) return found(end, delimiter.size());
    searched_bytes_ = size;
    if (dropping_ || is_too_long) {
      consume(is_whole ? end + delimiter.size() : size);
      searched_bytes_ = 0;
      if (!std::exchange(dropping_, !is_whole)) return {.kind = ReadStep::Kind::too_long};
      if (is_whole) continue;
    }
    return {.kind = ended() ? ReadStep::Kind::end : ReadStep::Kind::need_more};
  }
}

ReadStep ReadBuffer::line() {
  const std::size_t with_cr = options_.line_bytes_max + static_cast<std::size_t>(options_.line_bytes_max != SIZE_MAX);
  ReadStep step = find("\n", with_cr);
  if (step.kind == ReadStep::Kind::found) {
    if (step.bytes.text().ends_with('\r')) step.bytes = step.bytes.first(step.bytes.size() - 1);
  } else if (step.kind == ReadStep::Kind::end && !dropping_ && there()) {
    step = found(there().size());
  }
  if (step.bytes.size() > options_.line_bytes_max) step.kind = ReadStep::Kind::too_long;
  return step;
}

ReadStep ReadBuffer::until(std::string_view delimiter) {
  if (delimiter.empty()) return {.kind = ReadStep::Kind::no_delimiter};
  const ReadStep step = find(delimiter, options_.line_bytes_max);
  const bool is_cut_off = step.kind == ReadStep::Kind::end && !dropping_ && there();
  return is_cut_off ? cut_off(there().size() + delimiter.size()) : step;
}

ReadStep ReadBuffer::exactly(std::size_t count) {
  if (there().size() >= count) return found(count);
  return ended() ? cut_off(count) : ReadStep{};
}

ReadStep ReadBuffer::some() {
  if (there().empty() && !ended()) return {};
  return found(there().size());
}

LineTooLong::LineTooLong(std::string_view peer)
    : Error(ErrorKind::protocol, "read a line from", peer, "it is longer than the limit") {}
LineTooLong::LineTooLong(std::string_view peer, std::size_t line_bytes_max)
    : Error(ErrorKind::protocol, "read a line from", peer, "it is longer than " + format_size(line_bytes_max)) {}

void ReadBuffer::fail(const ReadStep& step, std::string_view peer) const {
  switch (step.kind) {
    case ReadStep::Kind::cut_off: throw IncompleteRead(peer, step.bytes.string(), step.wanted);
    case ReadStep::Kind::no_delimiter: throw Error(ErrorKind::invalid, "read until", "a delimiter", "it is empty");
    default: throw LineTooLong(peer, options_.line_bytes_max);
  }
}

}  // namespace coax
