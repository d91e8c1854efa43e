// A state machine with a state for each place in the grammar: input may be split anywhere, and nothing is buffered.
#include "coax/codec/chunked.hpp"

#include <algorithm>
#include <limits>

#include "coax/codec/token.hpp"

namespace coax::http1 {

namespace {

// More discarded bytes than this are not part of a legitimate body.
constexpr std::uint32_t overhead_bytes_max = 16 * 1024;

// The value of a hexadecimal digit, 16 when it is none.
unsigned digit_of(char c) noexcept {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  const char lower = static_cast<char>(c | 0x20);
  if (lower >= 'a' && lower <= 'f') return static_cast<unsigned>(lower - 'a') + 10;
  return 16;
}

}  // namespace

std::expected<BytesView, std::string_view> ChunkedDecoder::next(BytesView& bytes) {
  while (bytes && state_ != State::done) {
    if (state_ == State::data) {
      const BytesView data = bytes.first(std::min<std::uint64_t>(bytes.size(), chunk_bytes_));
      bytes = bytes.from(data.size());
      chunk_bytes_ -= data.size();
      if (chunk_bytes_ == 0) state_ = State::data_cr;
      return data;
    }
    const Result state = after(bytes[0]);
    if (!state) return std::unexpected(state.error());
    state_ = *state;
    bytes = bytes.from(1);
  }
  return BytesView{};
}

ChunkedDecoder::Result ChunkedDecoder::after(char c) {
  switch (state_) {
    case State::size_first:
    case State::size:
    case State::space: return after_size(c);
    case State::extension:
      if (c == '\r') return State::size_lf;
      if (is_field_char(c) && ++overhead_bytes_ <= overhead_bytes_max) return State::extension;
      return std::unexpected("a chunk extension that is malformed or too long");
    case State::size_lf:
      if (c == '\n') return after_size_line();
      return std::unexpected("a chunk size without CRLF");
    case State::data_cr:
      if (c == '\r') return State::data_lf;
      return std::unexpected("a chunk that is longer than its size");
    case State::data_lf:
      if (c == '\n') return State::size_first;
      return std::unexpected("a chunk that is longer than its size");
    case State::trailer_start:
      if (c == '\r') return State::end_lf;
      [[fallthrough]];
    case State::trailer_name:
    case State::trailer_value: return after_trailer(c);
    case State::trailer_lf:
      if (c == '\n') return State::trailer_start;
      return std::unexpected("a trailer without CRLF");
    case State::end_lf:
      if (c == '\n') return State::done;
      return std::unexpected("a last chunk without CRLF");
    case State::data:
    case State::done: break;
  }
  return state_;
}

ChunkedDecoder::Result ChunkedDecoder::after_trailer(char c) {
  const bool is_value = state_ == State::trailer_value;
  const bool is_end = is_value ? c == '\r' : c == ':' && state_ == State::trailer_name;
  const bool is_valid = is_end || (is_value ? is_field_char(c) : is_token_char(c));
  if (!is_valid || ++overhead_bytes_ > overhead_bytes_max) {
    return std::unexpected("trailers that are malformed or too long");
  }
  trailers_ += c;
  if (is_end) return is_value ? State::trailer_lf : State::trailer_value;
  return is_value ? State::trailer_value : State::trailer_name;
}

ChunkedDecoder::Result ChunkedDecoder::after_size(char c) {
  const unsigned digit = digit_of(c);
  if (digit < 16 && state_ != State::space) return after_digit(digit);
  if (state_ != State::size_first) {
    if (c == ';') return State::extension;
    if (c == '\r' && state_ == State::size) return State::size_lf;
    if ((c == ' ' || c == '\t') && ++overhead_bytes_ <= overhead_bytes_max) return State::space;
  }
  return std::unexpected("a chunk size that is not hexadecimal");
}

ChunkedDecoder::Result ChunkedDecoder::after_digit(unsigned digit) {
  const bool leading_zero = state_ == State::size && chunk_bytes_ == 0;
  if (chunk_bytes_ >> 60 != 0 || (leading_zero && ++overhead_bytes_ > overhead_bytes_max)) {
    return std::unexpected("a chunk size that is too large");
  }
  chunk_bytes_ = chunk_bytes_ * 16 + digit;
  return State::size;
}

ChunkedDecoder::Result ChunkedDecoder::after_size_line() {
  if (chunk_bytes_ == 0) return State::trailer_start;
  if (chunk_bytes_ > std::numeric_limits<std::uint64_t>::max() - announced_bytes_) {
    return std::unexpected("a chunk size that is too large");
  }
  announced_bytes_ += chunk_bytes_;
  return State::data;
}

}  // namespace coax::http1
