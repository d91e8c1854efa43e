// The chunked transfer coding of HTTP/1.1 (RFC 9112, section 7.1): bytes in, the data of the chunks out. Extensions
// are validated and dropped, trailers kept. Pure: no descriptor, no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "coax/base/bytes.hpp"

namespace coax::http1 {

class ChunkedDecoder {
 public:
  // Consumes bytes from the front until it finds data.
  // Returns: the data, a view of `bytes`; nothing when they are used up or the body is complete; or the reason of an
  // error, after which there must be no further call.
  std::expected<BytesView, std::string_view> next(BytesView& bytes);
  [[nodiscard]] bool done() const noexcept { return state_ == State::done; }
  // The sizes of all chunks so far, including the chunk in progress.
  [[nodiscard]] std::uint64_t announced_bytes() const noexcept { return announced_bytes_; }
  // Valid fields, each with a CR at its end; at most 16 KiB.
  [[nodiscard]] std::string_view trailers() const noexcept { return trailers_; }

 private:
  enum class State : std::uint8_t {
    size_first,  // at least one digit
    size,
    space,  // only an extension may follow
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,  // the start of a trailer, or the empty line
    trailer_name,
    trailer_value,
    trailer_lf,
    end_lf,
    done,
  };
  using Result = std::expected<State, std::string_view>;

  Result after(char c);
  Result after_trailer(char c);
  Result after_size(char c);
  Result after_digit(unsigned digit);
  Result after_size_line();

  std::uint64_t chunk_bytes_ = 0;  // remaining bytes of the current chunk
  std::uint64_t announced_bytes_ = 0;
  std::uint32_t overhead_bytes_ = 0;  // leading zeros, extensions and trailers
  State state_ = State::size_first;
  std::string trailers_;
};

}  // namespace coax::http1
