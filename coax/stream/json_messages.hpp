// JsonMessages: a stream of JSON texts (RFC 8259), one on each line or one in each frame. They are validated; parsing
// is left to the library of your choice.
#pragma once

#include "coax/codec/json.hpp"
#include "coax/stream/frames.hpp"

namespace coax {

class JsonMessages {
 public:
  // One text on each line, LF or CRLF; the last line end is optional. While it exists, nothing else may receive from
  // the stream.
  explicit JsonMessages(Stream& stream, const JsonMessagesOptions& options = {});
  // One in each frame: JsonMessages(stream, Framing::length_prefixed()).
  JsonMessages(Stream& stream, Framing framing, const JsonMessagesOptions& options = {});
  // Both start with the reader's buffered bytes, and leave the bytes after the last returned message in it.
  explicit JsonMessages(Reader& reader, const JsonMessagesOptions& options = {});
  JsonMessages(Reader& reader, Framing framing, const JsonMessagesOptions& options = {});

  // Skips lines of white space.
  // Returns: the next message, valid until the next call: one JSON value (check_json), perhaps with white space around
  // it; nothing at the end of the stream.
  // Throws: Error(protocol) for invalid JSON, after which the next call continues with the next message; and what
  // Frames::next() throws.
  // Cancelled: no byte is lost.
  Task<std::optional<BytesView>> recv();
  // Sends one JSON value; with lines, without the line ends between its tokens.
  // Throws: Error(invalid), and sends nothing, when it is not valid JSON; otherwise as Stream::send.
  // Lifetime: the text must live until it returns.
  Task<> send(BytesView json);

 private:
  Stream& stream_;
  bool on_lines_;
  Frames frames_;
  std::size_t depth_max_;
};

}  // namespace coax
