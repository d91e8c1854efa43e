// permessage-deflate without context takeover (RFC 7692), for the load generator: each message by itself.
#pragma once

#include <zlib.h>

#include <random>

#include "bench/raw.hpp"

namespace bench {

// Words in a random order, which compress as a text does; the same in every run.
inline std::string sample_text(std::size_t bytes) {
  static constexpr std::array words{"about", "after", "answer", "before",  "client",  "connection", "every", "from",
                                    "have",  "hello", "into",   "kernel",  "little",  "message",    "might", "never",
                                    "other", "room",  "server", "several", "through", "until",      "where", "without"};
  std::mt19937 random(1);
  std::string text;
  while (text.size() < bytes) {
    text += words[random() % words.size()];
    text += random() % 8 == 0 ? ", " : " ";
  }
  text.resize(bytes);
  return text;
}

class Deflater {
 public:
  Deflater() {
    if (deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::runtime_error("zlib cannot start");
    }
  }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater() { deflateEnd(&stream_); }

  std::string operator()(std::string_view text) {
    std::string out(text.size() + 64, '\0');
    deflateReset(&stream_);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // NOLINT: zlib's types
    stream_.avail_in = static_cast<uInt>(text.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());  // NOLINT: zlib's types
    stream_.avail_out = static_cast<uInt>(out.size());
    if (deflate(&stream_, Z_SYNC_FLUSH) != Z_OK || stream_.avail_in != 0) throw std::runtime_error("zlib fails");
    out.resize(out.size() - stream_.avail_out - 4);  // without the end of the flush (section 7.2.1)
    return out;
  }

 private:
  z_stream stream_{};
};

inline std::string inflate_message(std::string_view payload) {
  std::string bytes(payload);
  bytes.append("\0\0\xff\xff", 4);
  std::string out(64UL << 10, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, -15) != Z_OK) throw std::runtime_error("zlib cannot start");
  stream.next_in = reinterpret_cast<Bytef*>(bytes.data());  // NOLINT: zlib's types
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());  // NOLINT: zlib's types
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = inflate(&stream, Z_SYNC_FLUSH);
  out.resize(out.size() - stream.avail_out);
  inflateEnd(&stream);
  if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
    throw std::runtime_error("the server's message cannot be decompressed");
  }
  return out;
}

}  // namespace bench
