// The part of the WebSocket protocol that the load generator and the raw servers need.
#pragma once

#include "bench/deflate.hpp"
#include "bench/raw.hpp"

namespace bench::websocket {

constexpr unsigned text = 1;
constexpr unsigned close = 8;
constexpr unsigned ping = 9;
constexpr unsigned pong = 10;
constexpr unsigned compressed = 0x40;  // RSV1 (RFC 7692, section 6)

// The key of the RFC's example, which every client here sends, and the answer to it.
constexpr std::string_view key = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view accepted = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

inline std::string upgrade(std::string_view path, bool deflate = false) {
  return "GET " + std::string(path) +
         " HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " +
         std::string(key) + "\r\nSec-WebSocket-Version: 13\r\n" +
         (deflate ? "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                    "client_no_context_takeover\r\n"
                  : "") +
         "\r\n";
}

inline void check_handshake(std::string_view head, bool deflate) {
  if (!head.starts_with("HTTP/1.1 101 ")) throw std::runtime_error("no WebSocket: " + std::string(head));
  if (head.contains("permessage-deflate") != deflate) throw std::runtime_error("no compression: " + std::string(head));
}

// One frame (RFC 6455, section 5.2) at the beginning of bytes; size 0: it is not complete.
struct Frame {
  std::size_t size = 0;
  unsigned opcode = 0;
  bool masked = false;
  std::size_t head = 0;  // with the mask
};

inline Frame parse(std::string_view bytes) {
  if (bytes.size() < 2) return {};
  const auto at = [&](std::size_t index) { return static_cast<unsigned char>(bytes[index]); };
  const bool masked = (at(1) & 0x80U) != 0;
  std::size_t head = 2;
  std::uint64_t length = at(1) & 0x7FU;
  if (length >= 126) {
    head += length == 126 ? 2 : 8;
    if (bytes.size() < head) return {};
    length = 0;
    for (std::size_t index = 2; index < head; ++index) length = length << 8 | at(index);
  }
  head += masked ? 4 : 0;
  if (bytes.size() < head || bytes.size() - head < length) return {};
  return {.size = head + length, .opcode = at(0) & 15U, .masked = masked, .head = head};
}

inline void append_head(std::string& out, unsigned opcode, std::size_t length, bool masked) {
  const unsigned mask = masked ? 0x80 : 0;
  out += static_cast<char>(0x80U | opcode);
  if (length < 126) {
    out += static_cast<char>(mask | length);
  } else if (length < 65536) {
    out += {static_cast<char>(mask | 126), static_cast<char>(length >> 8), static_cast<char>(length & 255)};
  } else {
    throw std::invalid_argument("no message of 64 KiB and more over a WebSocket");
  }
}

// XOR with the four bytes, eight at a time.
inline void mask(char* data, std::size_t size, const char* four) {
  std::array<char, 8> twice;
  std::memcpy(twice.data(), four, 4);
  std::memcpy(twice.data() + 4, four, 4);
  std::uint64_t key_bits = 0;
  std::memcpy(&key_bits, twice.data(), 8);
  std::size_t done = 0;
  for (; done + 8 <= size; done += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data + done, 8);
    word ^= key_bits;
    std::memcpy(data + done, &word, 8);
  }
  for (; done < size; ++done) data[done] = static_cast<char>(data[done] ^ four[done % 4]);
}

// The text of a server's frame, which begins the bytes.
inline std::string text_of(const Frame& frame, std::string_view bytes, bool deflate) {
  const std::string_view payload = bytes.substr(frame.head, frame.size - frame.head);
  if (!deflate) return std::string(payload);
  if ((static_cast<unsigned char>(bytes[0]) & compressed) == 0) throw std::runtime_error("the message is uncompressed");
  return inflate_message(payload);
}

// A frame of a client. The mask is always the same, since there is no proxy in between.
inline std::string from_client(unsigned opcode, std::string_view payload, bool deflate = false) {
  if (deflate) return from_client(opcode | compressed, Deflater()(payload));
  static constexpr std::array<char, 4> four{0x37, 0x5A, 0x21, 0x3D};
  std::string frame;
  append_head(frame, opcode, payload.size(), true);
  frame.append(four.data(), four.size()).append(payload);
  mask(frame.data() + frame.size() - payload.size(), payload.size(), four.data());
  return frame;
}

}  // namespace bench::websocket
