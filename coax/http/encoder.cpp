// A core compresses about 50 MB of text in a second at these levels, zstd up to four times as much. A stream of unknown
// length has smaller windows and tables, since a server may have thousands of them for a long time: about 300 KiB each.
#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <new>

#include "coax/base/units.hpp"
#include "coax/http/encoder_private.hpp"

namespace coax::http {

namespace {

constexpr int window_bits_max = 17;        // 128 KiB
constexpr int window_bits_of_stream = 15;  // 32 KiB

int window_bits_for(std::optional<std::uint64_t> size, int lowest) noexcept {
  if (!size) return window_bits_of_stream;
  return std::clamp(static_cast<int>(std::bit_width(*size)), lowest, window_bits_max);
}

// RFC 1952
class GzipEncoder final : public Encoder {
 public:
  GzipEncoder() {
    constexpr int level = 5;
    constexpr int gzip_window_bits = 15 + 16;  // 32 KiB, the format's largest, with the header of gzip
    constexpr int memory_level = 8;
    const int result = deflateInit2(&stream_, level, Z_DEFLATED, gzip_window_bits, memory_level, Z_DEFAULT_STRATEGY);
    if (result != Z_OK) throw std::bad_alloc();
  }
  GzipEncoder(const GzipEncoder&) = delete;
  GzipEncoder& operator=(const GzipEncoder&) = delete;
  ~GzipEncoder() override { deflateEnd(&stream_); }

  // Bytes and what they become: at most 2 GiB, since pieces are short.
  void encode(BytesView bytes, Flush flush, std::string& out) override {
    const int how = flush == Flush::end ? Z_FINISH : flush == Flush::sync ? Z_SYNC_FLUSH : Z_NO_FLUSH;
    stream_.next_in = const_cast<Bytef*>(bytes.octets());
    stream_.avail_in = static_cast<uInt>(bytes.size());
    do {
      std::array<Bytef, 4096> piece;
      stream_.next_out = piece.data();
      stream_.avail_out = piece.size();
      deflate(&stream_, how);  // Z_BUF_ERROR: there is no more to do
      out.append(reinterpret_cast<const char*>(piece.data()), piece.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
  }

 private:
  z_stream stream_{};
};

// RFC 7932
class BrotliEncoder final : public Encoder {
 public:
  explicit BrotliEncoder(std::optional<std::uint64_t> size)
      : state_(BrotliEncoderCreateInstance(nullptr, nullptr, nullptr)) {
    const std::uint32_t quality = size ? 4 : 3;
    if (!state_) throw std::bad_alloc();
    const int window_bits = window_bits_for(size, BROTLI_MIN_WINDOW_BITS);
    BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_QUALITY, quality);
    BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_LGWIN, static_cast<std::uint32_t>(window_bits));
    if (size) {
      constexpr std::uint64_t hint_max = 1_MiB - 1;  // above, brotli takes a table of 4 MiB
      const auto hint = static_cast<std::uint32_t>(std::min(*size, hint_max));
      BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_SIZE_HINT, hint);
    }
  }

  void encode(BytesView bytes, Flush flush, std::string& out) override {
    const BrotliEncoderOperation how = flush == Flush::end    ? BROTLI_OPERATION_FINISH
                                       : flush == Flush::sync ? BROTLI_OPERATION_FLUSH
                                                              : BROTLI_OPERATION_PROCESS;
    std::size_t left = bytes.size();
    const std::uint8_t* next = bytes.octets();
    do {
      std::size_t room = 0;
      const bool is_good = BrotliEncoderCompressStream(state_.get(), how, &left, &next, &room, nullptr, nullptr) != 0;
      if (!is_good) throw std::bad_alloc();
      std::size_t size = 0;
      const std::uint8_t* const made = BrotliEncoderTakeOutput(state_.get(), &size);
      out.append(reinterpret_cast<const char*>(made), size);
    } while (left != 0 || BrotliEncoderHasMoreOutput(state_.get()) != 0);
  }

 private:
  struct Destroy {
    void operator()(BrotliEncoderState* state) const noexcept { BrotliEncoderDestroyInstance(state); }
  };
  std::unique_ptr<BrotliEncoderState, Destroy> state_;
};

// RFC 8878
class ZstdEncoder final : public Encoder {
 public:
  explicit ZstdEncoder(std::optional<std::uint64_t> size) : context_(ZSTD_createCCtx()) {
    const int level = size ? 3 : 1;
    constexpr int window_bits_min = 10;
    if (!context_) throw std::bad_alloc();
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_windowLog, window_bits_for(size, window_bits_min));
    if (size) {
      ZSTD_CCtx_setPledgedSrcSize(context_.get(), *size);
    } else {
      constexpr int hash_bits_of_stream = 13;
      ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_hashLog, hash_bits_of_stream);
    }
  }

  void encode(BytesView bytes, Flush flush, std::string& out) override {
    const ZSTD_EndDirective how = flush == Flush::end    ? ZSTD_e_end
                                  : flush == Flush::sync ? ZSTD_e_flush
                                                         : ZSTD_e_continue;
    ZSTD_inBuffer in{.src = bytes.data(), .size = bytes.size(), .pos = 0};
    std::size_t left = 0;
    do {
      std::array<char, 4096> piece;
      ZSTD_outBuffer to{.dst = piece.data(), .size = piece.size(), .pos = 0};
      left = ZSTD_compressStream2(context_.get(), &to, &in, how);
      if (ZSTD_isError(left) != 0U) throw std::bad_alloc();
      out.append(piece.data(), to.pos);
    } while (how == ZSTD_e_continue ? in.pos != in.size : left != 0);
  }

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
  };
  std::unique_ptr<ZSTD_CCtx, Free> context_;
};

}  // namespace

std::unique_ptr<Encoder> make_encoder(std::string_view coding, std::optional<std::uint64_t> size) {
  if (coding == "zstd") return std::make_unique<ZstdEncoder>(size);
  if (coding == "br") return std::make_unique<BrotliEncoder>(size);
  return std::make_unique<GzipEncoder>();
}

// As measured with texts of a megabyte and more.
std::size_t encoder_bytes(std::string_view coding, std::optional<std::uint64_t> size) noexcept {
  if (coding == "gzip") return 270_KiB;
  if (coding == "zstd") return size ? 1700_KiB : 280_KiB;
  return size ? 2150_KiB : 600_KiB;
}

}  // namespace coax::http
