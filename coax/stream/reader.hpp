// Reader: a stream read in lines, up to a delimiter, by count or as it comes, in any mixture: nothing is lost between.
//
//   coax::Reader reader(stream);
//   auto line = co_await reader.line();          // "$5"
//   auto bytes = co_await reader.exactly(5);     // and so many bytes
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "coax/base/units.hpp"
#include "coax/codec/foreign.hpp"
#include "coax/stream/stream.hpp"
#include "coax/task/task.hpp"

namespace coax {

struct ReaderOptions {
  std::size_t line_bytes_max = 64_KiB;  // of a line, or up to a delimiter, without its end
  // Whether a peer that speaks HTTP, TLS or SSH instead is refused: it gets an answer in its protocol, and
  // ForeignProtocolError is thrown. False for those who read the lines of such a protocol themselves.
  bool refuse_foreign = true;
};

// What it gives is valid until its next call. Cancelled: nothing is lost. One task at a time; nothing else may receive
// from the stream while something is buffered. An idle reader holds no buffer.
class Reader {
 public:
  explicit Reader(Stream& stream COAX_LIFETIMEBOUND, const ReaderOptions& options = {}) noexcept
      : stream_(stream), options_(options) {}

  // Without its LF or CRLF; at the end of the stream what stands without one, then nothing. Throws Error(protocol) on a
  // line above the limit; the next call goes on behind it.
  Task<std::optional<Bytes>> line();
  // Up to the delimiter, which is taken and not given; nothing: the stream ended where one could begin. Throws
  // IncompleteRead when it ended before the delimiter, Error(protocol) above the limit as line() does, Error(invalid)
  // for an empty delimiter.
  Task<std::optional<Bytes>> until(std::string delimiter);
  // So many bytes; memory is taken for what comes, not for what is asked. Throws IncompleteRead when the stream ended
  // before; what had come is taken with it.
  Task<Bytes> exactly(std::size_t count);
  // What there is, at least one byte; empty: the stream has ended.
  Task<Bytes> some();

  // What came and was not given yet. Nothing may be there when a protocol goes on encrypted (STARTTLS): what a peer, or
  // somebody between, had sent before would count as encrypted.
  [[nodiscard]] Bytes buffered() const noexcept { return there().from(given_); }
  // The stream has ended, and nothing is buffered.
  [[nodiscard]] bool at_end() const noexcept { return ended_ && buffered().empty(); }

 private:
  Task<std::optional<Bytes>> next_until(std::string_view delimiter, std::size_t bytes_max);
  [[noreturn]] void fail_too_long() const;
  Task<> more();
  Task<> refuse(ForeignProtocol protocol);
  [[nodiscard]] Bytes there() const noexcept;
  Bytes give(std::size_t count, std::size_t skipped = 0) noexcept;
  void take_given() noexcept;
  void drop(std::size_t count) noexcept;

  Stream& stream_;
  ReaderOptions options_;
  ForeignDetector detector_;
  Bytes lent_;        // by the stream; or
  std::string held_;  // what had to be kept when more was asked for, from begin_ on
  std::size_t begin_ = 0;
  std::size_t given_ = 0;  // of what is there; taken at the next call
  bool dropping_ = false;  // the rest of a line above the limit
  bool ended_ = false;
};

}  // namespace coax
