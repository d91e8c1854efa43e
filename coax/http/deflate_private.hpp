// Compression: permessage-deflate on one WebSocket (RFC 7692, section 7.2). Without context takeover it uses contexts
// of its thread, and owns none.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "coax/base/bytes.hpp"
#include "coax/codec/websocket.hpp"
#include "coax/http/websocket_options.hpp"

namespace coax::ws {

// The parameters without context takeover where the contexts would be too many.
DeflateParameters within_budget(const DeflateOptions& options);

class Deflater {
 public:
  // Throws: std::bad_alloc.
  Deflater(int level, std::uint8_t window_bits);
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater();
  [[nodiscard]] int level() const noexcept { return level_; }
  void reset() noexcept;
  // Appends a message, which is not empty, as section 7.2.1 says. Throws: std::bad_alloc.
  void append(std::string& out, BytesView message);

 private:
  z_stream stream_{};
  int level_;
};

class Inflater {
 public:
  explicit Inflater(std::uint8_t window_bits);
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater();
  void reset() noexcept;
  // Replaces `out` by the message (section 7.2.2), of which at most bytes_max + 1 bytes are kept.
  // Returns: a close code when it is longer, or malformed. Throws: std::bad_alloc.
  std::uint16_t inflate(std::string& out, BytesView payload, std::size_t bytes_max);

 private:
  bool is_at_boundary() const noexcept;
  z_stream stream_{};
};

// The deflater of this thread with this level and window, reset.
Deflater& shared_deflater(int level, std::uint8_t window_bits);

class Compression {
 public:
  Compression(const DeflateParameters& agreed, Role role, const DeflateOptions& options) noexcept;
  Compression(const Compression&) = delete;
  Compression& operator=(const Compression&) = delete;
  ~Compression();

  // Whether deflate() is worth a try.
  [[nodiscard]] bool wants(BytesView message) const noexcept;
  // Appends the compressed message to the empty `out`; end_send() must follow. False: send the message as it is.
  bool deflate(std::string& out, BytesView message);
  // `sent`: false when the peer may not have got the message: the context begins anew.
  void end_send(bool sent) noexcept;
  // Returns: the message, valid until the next call; or a close code and the reason.
  struct Failure {
    std::uint16_t code;
    std::string_view reason;
  };
  std::expected<BytesView, Failure> inflate(BytesView payload, bool is_text, std::size_t bytes_max);
  void release() noexcept { inflated_ = std::string(); }
  // Whether a message that was compressed alone can be sent between the others.
  [[nodiscard]] bool takes_shared() const noexcept { return own_.window_bits == 15 && !own_.context_takeover; }

 private:
  DeflateSide own_;
  DeflateSide peer_;
  std::uint8_t level_;
  bool is_sending_ = false;  // with context takeover: the messages must be sent in the order of their compression
  std::size_t message_bytes_min_;
  std::size_t context_bytes_;
  std::unique_ptr<Deflater> deflater_;  // only with context takeover
  std::unique_ptr<Inflater> inflater_;
  std::string inflated_;
};

}  // namespace coax::ws
