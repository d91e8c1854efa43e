// What is there stands in one place: in the buffer that the stream lent, or, once more had to be received for it, in
// memory of our own. So each byte is copied once at most, and not at all where a line comes whole.
#include "coax/stream/reader.hpp"

#include <algorithm>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/task/scope.hpp"

namespace coax {

Bytes Reader::there() const noexcept { return lent_ ? lent_ : Bytes(std::string_view(held_).substr(begin_)); }

Bytes Reader::give(std::size_t count, std::size_t skipped) noexcept {
  given_ = count + skipped;
  charge_bytes(count);
  return there().first(count);
}

void Reader::take_given() noexcept { drop(std::exchange(given_, 0)); }

void Reader::drop(std::size_t count) noexcept {
  if (lent_) {
    lent_ = lent_.from(count);
    return;
  }
  begin_ += count;
  if (begin_ != held_.size()) return;
  held_ = {};
  begin_ = 0;
}

// The stream takes its buffer back when it is asked for more.
Task<> Reader::more() {
  if (lent_) held_.assign(std::exchange(lent_, {}).text());
  held_.erase(0, std::exchange(begin_, 0));
  const Bytes bytes = co_await stream_.recv();
  ended_ = bytes.empty();
  const auto protocol = options_.refuse_foreign ? detector_.feed(bytes) : ForeignProtocol::none;
  if (protocol != ForeignProtocol::none) co_await refuse(protocol);
  if (held_.empty()) {
    lent_ = bytes;
  } else {
    held_.append(bytes.text());
  }
}

Task<> Reader::refuse(ForeignProtocol protocol) {
  ended_ = true;
  held_ = {};
  co_await stream_.send(foreign_answer(protocol));
  throw ForeignProtocolError(protocol, stream_.peer_name());
}

// Nothing: the stream has ended before the delimiter.
Task<std::optional<Bytes>> Reader::next_until(std::string_view delimiter, std::size_t bytes_max) {
  co_await checkpoint();
  take_given();
  std::size_t searched = 0;
  while (true) {
    const std::string_view text = there().text();
    const std::size_t end = text.find(delimiter, searched);
    const bool is_whole = end != std::string_view::npos;
    // A part of the delimiter may stand at the end.
    const std::size_t size = is_whole ? end : text.size() - std::min(text.size(), delimiter.size() - 1);
    const bool is_too_long = size > bytes_max;
    if (is_whole && !dropping_ && !is_too_long) co_return give(end, delimiter.size());
    searched = size;
    if (dropping_ || is_too_long) {
      drop(is_whole ? end + delimiter.size() : size);
      searched = 0;
      const bool was_dropping = std::exchange(dropping_, !is_whole);
      if (!was_dropping) fail_too_long();
      if (is_whole) continue;
    }
    if (ended_) co_return std::nullopt;
    co_await more();
  }
}

void Reader::fail_too_long() const {
  throw Error(ErrorKind::protocol, "read a line from", stream_.peer_name(),
              "it is longer than " + format_size(options_.line_bytes_max));
}

Task<std::optional<Bytes>> Reader::line() {
  const std::size_t with_cr = options_.line_bytes_max + static_cast<std::size_t>(options_.line_bytes_max != SIZE_MAX);
  auto line = co_await next_until("\n", with_cr);
  const bool has_end = line.has_value();
  if (!has_end && (dropping_ || there().empty())) co_return std::nullopt;
  if (!has_end) line = give(there().size());
  if (has_end && line->text().ends_with('\r')) line = line->first(line->size() - 1);
  if (line->size() > options_.line_bytes_max) fail_too_long();
  co_return line;
}

Task<std::optional<Bytes>> Reader::until(std::string delimiter) {
  if (delimiter.empty()) throw Error(ErrorKind::invalid, "read until", "a delimiter", "it is empty");
  const auto found = co_await next_until(delimiter, options_.line_bytes_max);
  if (found) co_return found;
  if (dropping_ || there().empty()) co_return std::nullopt;
  std::string received = there().string();
  const std::size_t expected = received.size() + delimiter.size();
  drop(received.size());
  throw IncompleteRead(stream_.peer_name(), std::move(received), expected);
}

Task<Bytes> Reader::exactly(std::size_t count) {
  co_await checkpoint();
  take_given();
  while (there().size() < count) {
    if (ended_) {
      std::string received = there().string();
      drop(received.size());
      throw IncompleteRead(stream_.peer_name(), std::move(received), count);
    }
    co_await more();
  }
  co_return give(count);
}

Task<Bytes> Reader::some() {
  co_await checkpoint();
  take_given();
  if (there().empty() && !ended_) co_await more();
  co_return give(there().size());
}

}  // namespace coax
