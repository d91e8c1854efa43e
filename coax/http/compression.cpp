// A short body is compressed at once on the loop. A long one becomes a streamed body, whose pieces are read and
// compressed on threads beside the loop.
#include "coax/http/compression.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/http/encoder_private.hpp"
#include "coax/http/middleware_private.hpp"
#include "coax/http/negotiate.hpp"
#include "coax/task/offload.hpp"
#include "coax/task/scope.hpp"

namespace coax::http {

namespace {

constexpr std::size_t at_once_bytes_max = 32_KiB;  // less than a millisecond
constexpr std::size_t piece_bytes_max = 64_KiB;

// --- the body ---

// The body of a producer. One send is encoded and sent before the next one begins.
class CompressedWriter final : public BodyWriter {
 public:
  CompressedWriter(BodyWriter& below, std::string_view coding) : below_(below), encoder_(make_encoder(coding, {})) {}

  Task<> send(BytesView bytes) override {
    if (bytes.empty()) co_return;
    co_await write(bytes, Flush::sync);
  }
  Task<> wait_disconnected() override { return below_.wait_disconnected(); }
  bool trailer(std::string_view name, std::string_view value) override { return below_.trailer(name, value); }
  Task<> finish() { return write({}, Flush::end); }

 private:
  Task<> write(BytesView bytes, Flush flush) {
    while (is_busy_) {
      idle_.clear();
      co_await idle_.wait();
    }
    is_busy_ = true;
    const struct Leave {
      CompressedWriter& writer;
      ~Leave() {
        writer.is_busy_ = false;
        writer.idle_.set();
      }
    } leave{*this};
    if (is_cut_) throw Error(ErrorKind::invalid, "send a body", "", "an earlier send was cancelled in the middle");
    is_cut_ = bytes.size() > at_once_bytes_max;
    while (bytes.size() > at_once_bytes_max) {
      const BytesView piece = bytes.first(std::min(bytes.size(), piece_bytes_max));
      bytes = bytes.from(piece.size());
      co_await offload([this, piece] { encoder_->encode(piece, Flush::none, out_); });
      if (!out_.empty()) co_await send_out();
    }
    encoder_->encode(bytes, flush, out_);
    is_cut_ = false;
    co_await send_out();
  }
  // Cancelled: what was not sent is sent later, since the client could not decode the rest without it.
  Task<> send_out() {
    co_await below_.send(out_);
    out_ = {};
  }

  BodyWriter& below_;
  std::unique_ptr<Encoder> encoder_;
  std::string out_;
  Event idle_;
  bool is_busy_ = false;
  bool is_cut_ = false;
};

Task<> produce_compressed(StreamedBody body, std::string_view coding, BodyWriter& writer) {
  CompressedWriter compressed(writer, coding);
  co_await body.producer(compressed);
  co_await compressed.finish();
}

std::uint64_t size_of(const Body& body) {
  if (const auto* text = std::get_if<std::string>(&body)) return text->size();
  if (const auto* bytes = std::get_if<StaticBytes>(&body)) return bytes->bytes.size();
  return std::get<FileRange>(body).size();
}

// Blocks when it is a file.
std::string read_piece(const Body& body, std::uint64_t offset, std::size_t size) {
  if (const auto* file = std::get_if<FileRange>(&body)) return file->file().read(offset, size);
  const auto* text = std::get_if<std::string>(&body);
  return std::string((text != nullptr ? *text : std::get<StaticBytes>(body).bytes).substr(offset, size));
}

Task<> send_compressed(Body body, std::string_view coding, BodyWriter& writer) {
  const std::uint64_t size = size_of(body);
  const std::unique_ptr<Encoder> encoder = make_encoder(coding, size);
  for (std::uint64_t at = 0; at < size;) {
    const std::size_t count = std::min<std::uint64_t>(size - at, piece_bytes_max);
    const Flush flush = at + count == size ? Flush::end : Flush::none;
    std::string out;
    co_await offload(
        [&body, &encoder, &out, at, count, flush] { encoder->encode(read_piece(body, at, count), flush, out); });
    co_await writer.send(out);
    at += count;
  }
}

// A part of the memory for encoders, which is one for the process, until it is destroyed.
class Share {
 public:
  // Nothing: less than that is left.
  static std::optional<Share> take(std::size_t bytes, std::size_t bytes_max) {
    if (used_.fetch_add(bytes) + bytes <= bytes_max) return Share(bytes);
    used_.fetch_sub(bytes);
    return std::nullopt;
  }
  Share(Share&& other) noexcept : bytes_(std::exchange(other.bytes_, 0)) {}
  Share& operator=(Share&&) = delete;
  ~Share() { used_.fetch_sub(bytes_); }

 private:
  explicit Share(std::size_t bytes) noexcept : bytes_(bytes) {}
  static inline std::atomic<std::size_t> used_ = 0;
  std::size_t bytes_;
};

// Returns: false when it would not become shorter, and when there is no memory for it.
bool compress_body(Body& body, std::string_view coding, std::size_t memory_bytes_max) {
  if (auto* const streamed = std::get_if<StreamedBody>(&body)) {
    auto share = Share::take(encoder_bytes(coding, {}), memory_bytes_max);
    if (!share) return false;
    auto producer = [inner = std::move(*streamed), coding, share = *std::move(share)](BodyWriter& writer) mutable {
      return produce_compressed(std::move(inner), coding, writer);
    };
    body = StreamedBody{.producer = std::move(producer)};
    return true;
  }
  const std::uint64_t size = size_of(body);
  if (size <= at_once_bytes_max && !std::holds_alternative<FileRange>(body)) {
    std::string out;
    make_encoder(coding, size)->encode(read_piece(body, 0, size), Flush::end, out);
    if (out.size() >= size) return false;
    body = std::move(out);
    return true;
  }
  auto share = Share::take(encoder_bytes(coding, size), memory_bytes_max);
  if (!share) return false;
  auto producer = [inner = std::move(body), coding, share = *std::move(share)](BodyWriter& writer) mutable {
    return send_compressed(std::move(inner), coding, writer);
  };
  body = StreamedBody{.producer = std::move(producer)};
  return true;
}

// --- the decision ---

std::string_view accepted_coding(const Request& request) {
  return preferred_encoding(joined(request.fields(), "Accept-Encoding"), {"zstd", "br", "gzip"});
}

bool has_word(const std::string* list, std::string_view word) {
  bool found = false;
  if (list != nullptr)
    http1::for_each_word(*list, [&](auto each) { found = found || equal_ignoring_case(each, word); });
  return found;
}

// Whether its form depends on Accept-Encoding. A digest of the body would no longer be that of what is sent.
bool is_negotiable(const Response& response, const CompressionOptions& options) {
  const bool has_body =
      response.status != 204 && response.status != 205 && !std::holds_alternative<Upgrade>(response.body);
  if (!has_body || has_word(find_header(response, "Cache-Control"), "no-transform")) return false;
  for (const char* name : {"Content-Encoding", "Content-Digest", "Repr-Digest", "Digest"}) {
    if (find_header(response, name) != nullptr) return false;
  }
  std::string_view type = response.content_type;
  if (const std::string* const header = find_header(response, "Content-Type"); type.empty() && header != nullptr) {
    type = *header;
  }
  std::string lower(trim(type.substr(0, type.find(';'))));
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  // A 206 and a 304 have the Vary of their 200 (RFC 9110, sections 15.3.7 and 15.4.5). Where its type is not known, one
  // too many is harmless.
  const bool is_unknown =
      response.status == 206 ? lower == "multipart/byteranges" : response.status == 304 && lower.empty();
  return is_unknown || (!lower.empty() && options.is_compressible(lower));
}

bool is_worth_it(const Response& response, const CompressionOptions& options) {
  if (response.status == 206 || find_header(response, "Content-Range") != nullptr) return false;
  if (const auto* const streamed = std::get_if<StreamedBody>(&response.body)) {
    return !streamed->length || *streamed->length >= options.bytes_min;
  }
  const auto* const range = std::get_if<FileRange>(&response.body);
  const bool is_part = range != nullptr && range->size() != range->file().size();
  return !is_part && size_of(response.body) >= std::max<std::size_t>(options.bytes_min, 1);
}

void add_vary(Response& response) {
  for (auto& [name, value] : response.headers) {
    if (!equal_ignoring_case(name, "Vary")) continue;
    if (!has_word(&value, "*") && !has_word(&value, "Accept-Encoding")) value += ", Accept-Encoding";
    return;
  }
  response.header("Vary", "Accept-Encoding");
}

// The forms in different codings are equal, but not byte for byte (RFC 9110, section 8.8.1).
void weaken_etag(Response& response) {
  for (auto& [name, value] : response.headers) {
    if (equal_ignoring_case(name, "ETag") && value.starts_with('"')) value.insert(0, "W/");
  }
}

// A 304 has the ETag that its 200 would have: the client has named it.
void answer_not_modified(const Request& request, Response& response, std::string_view coding) {
  const std::string* const etag = find_header(response, "ETag");
  if (etag == nullptr || coding == "identity") return;
  if (joined(request.fields(), "If-None-Match").contains("W/" + *etag)) weaken_etag(response);
}

void compress(const Request& request, Response& response, const CompressionOptions& options) {
  const std::string_view coding = accepted_coding(request);
  if (!is_negotiable(response, options)) return;
  add_vary(response);
  if (response.status == 304) return answer_not_modified(request, response, coding);
  if (coding.empty() || coding == "identity" || !is_worth_it(response, options)) return;
  if (!compress_body(response.body, coding, options.memory_bytes_max)) return;
  response.header("Content-Encoding", std::string(coding));
  weaken_etag(response);
  std::erase_if(response.headers,
                [](const auto& header) { return equal_ignoring_case(header.first, "Accept-Ranges"); });
}

}  // namespace

bool is_compressible_type(std::string_view type) noexcept {
  static constexpr auto others = std::to_array<std::string_view>(
      {"application/json", "application/javascript", "application/x-javascript", "application/xml", "application/wasm",
       "application/x-ndjson", "application/graphql", "application/rtf", "application/x-tar",
       "application/vnd.ms-fontobject", "font/ttf", "font/otf", "font/collection", "image/bmp",
       "image/vnd.microsoft.icon"});
  return type.starts_with("text/") || type.ends_with("+json") || type.ends_with("+xml") || type.ends_with("+text") ||
         std::ranges::find(others, type) != others.end();
}

Middleware compression(CompressionOptions options) {
  return [options = std::move(options)](Request& request, Next next) -> Task<Response> {
    Response response = co_await next.answered(request);
    compress(request, response, options);
    co_return response;
  };
}

}  // namespace coax::http
