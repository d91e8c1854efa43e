// The chunked transfer coding of HTTP/1.1 (RFC 9112, section 7.1): bytes in, the data of the chunks out. Extensions and
// trailers are checked and dropped. Pure: no descriptor, no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>

#include "coax/base/bytes.hpp"

namespace coax::http1 {

class ChunkedDecoder {
 public:
  // Takes bytes off the front until it finds data, which it returns: lent from `bytes`. Nothing when they are used up
  // or the body is complete. The error says in words what is wrong; after it nothing more may be called.
  std::expected<BytesView, std::string_view> next(BytesView& bytes);
  [[nodiscard]] bool done() const noexcept { return state_ == State::done; }
  // The sizes of all chunks so far, the one that is still to come included.
  [[nodiscard]] std::uint64_t announced_bytes() const noexcept { return announced_bytes_; }

 private:
  enum class State : std::uint8_t {
    size_first,  // at least one digit
    size,
    space,  // which only an extension may follow
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,  // of a trailer, or the empty line
    trailer_name,
    trailer_value,
    trailer_lf,
    end_lf,
    done,
  };
  using Result = std::expected<State, std::string_view>;

  Result after(char c);
  Result after_size(char c);
  Result after_digit(unsigned digit);
  Result after_size_line();

  std::uint64_t chunk_bytes_ = 0;  // of the current chunk: what is to come
  std::uint64_t announced_bytes_ = 0;
  std::uint32_t overhead_bytes_ = 0;  // of leading zeros, extensions and trailers
  State state_ = State::size_first;
};

}  // namespace coax::http1
