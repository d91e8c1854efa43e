// Compressed messages by zlib. All of a message is compressed or decompressed at once, so that the contexts of a thread
// are enough for its WebSockets without context takeover.
#include <algorithm>
#include <array>
#include <atomic>
#include <new>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/http/deflate_private.hpp"

namespace coax::ws {

namespace {

// Ends each flush, and is left out (section 7.2.1).
constexpr std::string_view flush_end("\x00\x00\xff\xff", 4);

std::atomic<std::size_t> contexts_bytes = 0;

void require(int result) {
  if (result != Z_OK) throw std::bad_alloc();  // the arguments are valid
}

// A hash table of the same size as the window.
constexpr int memory_level(std::uint8_t window_bits) noexcept { return window_bits - 7; }

// zconf.h: "(1 << (windowBits+2)) + (1 << (memLevel+9))", and 1 << windowBits; 8 KiB each besides.
std::size_t bytes_of(const DeflateSide& own, const DeflateSide& peer) noexcept {
  std::size_t bytes = 0;
  if (own.context_takeover) {
    bytes +=
        (std::size_t{1} << (own.window_bits + 2)) + (std::size_t{1} << (memory_level(own.window_bits) + 9)) + 8_KiB;
  }
  if (peer.context_takeover) bytes += (std::size_t{1} << peer.window_bits) + 8_KiB;
  return bytes;
}

Bytef* octets(const char* bytes) noexcept { return reinterpret_cast<Bytef*>(const_cast<char*>(bytes)); }

// Above 4 GiB nothing is compressed.
uInt size_of(std::size_t bytes) noexcept { return static_cast<uInt>(bytes); }

Inflater& shared_inflater() {
  thread_local Inflater inflater(15);
  inflater.reset();
  return inflater;
}

void grow(std::string& out, std::size_t size) {
  out.resize_and_overwrite(size, [](char*, std::size_t count) { return count; });
}

}  // namespace

void check(const DeflateOptions& options) {
  for (const DeflateSide& side : {options.parameters.server, options.parameters.client}) {
    if (side.window_bits >= 8 && side.window_bits <= 15) continue;
    throw Error(ErrorKind::invalid, "compress messages with a window of", std::to_string(side.window_bits) + " bits",
                "a window has 8 to 15 bits");
  }
  if (options.level >= 1 && options.level <= 9) return;
  throw Error(ErrorKind::invalid, "compress messages with the level", std::to_string(options.level),
              "levels are 1 to 9; to send messages as they are, set `enabled` to false");
}

DeflateParameters within_budget(const DeflateOptions& options) {
  DeflateParameters parameters = options.parameters;
  const std::size_t bytes = bytes_of(parameters.server, parameters.client);
  if (contexts_bytes.load(std::memory_order_relaxed) + bytes > options.contexts_bytes_max) {
    parameters.server.context_takeover = parameters.client.context_takeover = false;
  }
  return parameters;
}

Deflater::Deflater(int level, std::uint8_t window_bits) : level_(level) {
  require(::deflateInit2(&stream_, level, Z_DEFLATED, -window_bits, memory_level(window_bits), Z_DEFAULT_STRATEGY));
}

Deflater::~Deflater() { ::deflateEnd(&stream_); }

void Deflater::reset() noexcept { ::deflateReset(&stream_); }

void Deflater::append(std::string& out, BytesView message) {
  std::size_t size = out.size();
  stream_.next_in = octets(message.data());
  stream_.avail_in = size_of(message.size());
  grow(out, size + ::deflateBound(&stream_, message.size()) + 16);
  while (true) {
    stream_.next_out = octets(out.data() + size);
    stream_.avail_out = size_of(out.size() - size);
    ::deflate(&stream_, Z_SYNC_FLUSH);
    size = out.size() - stream_.avail_out;
    if (stream_.avail_out != 0) break;
    grow(out, out.size() + 1_KiB);
  }
  out.resize(size - flush_end.size());
}

Deflater& shared_deflater(int level, std::uint8_t window_bits) {
  thread_local std::array<std::unique_ptr<Deflater>, 16> deflaters;
  std::unique_ptr<Deflater>& deflater = deflaters.at(window_bits);
  if (deflater && deflater->level() == level) {
    deflater->reset();
  } else {
    deflater = std::make_unique<Deflater>(level, window_bits);
  }
  return *deflater;
}

Inflater::Inflater(std::uint8_t window_bits) { require(::inflateInit2(&stream_, -window_bits)); }

Inflater::~Inflater() { ::inflateEnd(&stream_); }

void Inflater::reset() noexcept { ::inflateReset(&stream_); }

// zlib.h, inflate(): 128 is added to data_type between two blocks, and its lowest bits are the unused bits of the last
// byte.
bool Inflater::is_at_boundary() const noexcept {
  return (stream_.data_type & 128) != 0 && (stream_.data_type & 7) == 0;
}

std::uint16_t Inflater::inflate(std::string& out, BytesView payload, std::size_t bytes_max) {
  std::size_t size = 0;
  bool is_flushed = false;
  stream_.next_in = octets(payload.data());
  stream_.avail_in = size_of(payload.size());
  grow(out, std::min(bytes_max, 4 * payload.size() + 64) + 1);
  while (true) {
    if (size == out.size()) grow(out, std::min(bytes_max + 1, 2 * size));
    const std::size_t room = std::min<std::size_t>(out.size() - size, 1_GiB);
    stream_.next_out = octets(out.data() + size);
    stream_.avail_out = size_of(room);
    const int result = ::inflate(&stream_, Z_SYNC_FLUSH);
    size += room - stream_.avail_out;
    if (size > bytes_max) return close_code::too_big;
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    if (result == Z_STREAM_END) {  // a block with BFINAL, and perhaps others (section 7.2.3.4)
      ::inflateResetKeep(&stream_);
      if (stream_.avail_in == 0) break;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return close_code::not_utf8;
    } else if (stream_.avail_out != 0) {  // it needs more input
      if (is_flushed) {
        if (!is_at_boundary()) return close_code::not_utf8;
        break;
      }
      is_flushed = true;
      stream_.next_in = octets(flush_end.data());
      stream_.avail_in = size_of(flush_end.size());
    }
  }
  out.resize(size);
  return 0;
}

Compression::Compression(const DeflateParameters& agreed, Role role, const DeflateOptions& options) noexcept
    : own_(role == Role::server ? agreed.server : agreed.client),
      peer_(role == Role::server ? agreed.client : agreed.server),
      level_(static_cast<std::uint8_t>(options.level)),
      message_bytes_min_(std::max<std::size_t>(options.message_bytes_min, 1)),
      context_bytes_(bytes_of(own_, peer_)) {
  contexts_bytes.fetch_add(context_bytes_, std::memory_order_relaxed);
}

Compression::~Compression() { contexts_bytes.fetch_sub(context_bytes_, std::memory_order_relaxed); }

bool Compression::wants(BytesView message) const noexcept {
  return message.size() >= message_bytes_min_ && message.size() <= 1_GiB &&
         own_.window_bits >= deflate_window_bits_min && !is_sending_;
}

bool Compression::deflate(std::string& out, BytesView message) {
  if (!own_.context_takeover) {
    shared_deflater(level_, own_.window_bits).append(out, message);
    return out.size() < message.size();
  }
  if (!deflater_) deflater_ = std::make_unique<Deflater>(level_, own_.window_bits);
  is_sending_ = true;
  try {
    deflater_->append(out, message);
  } catch (...) {
    end_send(false);
    throw;
  }
  return true;
}

void Compression::end_send(bool sent) noexcept {
  if (!std::exchange(is_sending_, false)) return;
  if (!sent) deflater_->reset();
}

std::expected<BytesView, Compression::Failure> Compression::inflate(BytesView payload, bool is_text,
                                                                    std::size_t bytes_max) {
  if (payload.empty()) return BytesView();  // some peers send an empty message without its block
  if (peer_.context_takeover && !inflater_) {
    // Peers whose zlib has no window of 8 bits use one of 9.
    inflater_ = std::make_unique<Inflater>(std::max(peer_.window_bits, deflate_window_bits_min));
  }
  Inflater& inflater = peer_.context_takeover ? *inflater_ : shared_inflater();
  const std::uint16_t code = inflater.inflate(inflated_, payload, bytes_max);
  if (code == close_code::too_big) return std::unexpected(Failure{code, "a message that is too long"});
  if (code != 0) return std::unexpected(Failure{code, "a message whose compressed data is malformed"});
  if (is_text && !is_utf8(inflated_)) {
    return std::unexpected(Failure{close_code::not_utf8, "a text that is not UTF-8"});
  }
  return BytesView(inflated_);
}

}  // namespace coax::ws
