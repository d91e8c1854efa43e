// Encoder: compresses one body, piece by piece. Pure: no descriptor, no clock. Calls may come from different threads,
// one after the other.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "coax/base/bytes.hpp"

namespace coax::http {

enum class Flush : std::uint8_t {
  none,
  sync,  // the client can decode all bytes so far
  end,   // they are the last ones
};

class Encoder {
 public:
  Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  virtual ~Encoder() = default;
  // Appends to `out`. Throws: std::bad_alloc.
  virtual void encode(BytesView bytes, Flush flush, std::string& out) = 0;
};

// `coding`: "zstd", "br" or "gzip". `size`: of the whole body, if it is known: a short one needs less memory.
// Throws: std::bad_alloc.
std::unique_ptr<Encoder> make_encoder(std::string_view coding, std::optional<std::uint64_t> size);
// The memory that it takes at most, about.
std::size_t encoder_bytes(std::string_view coding, std::optional<std::uint64_t> size) noexcept;

}  // namespace coax::http
