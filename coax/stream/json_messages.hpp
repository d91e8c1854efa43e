// JsonMessages: a stream of JSON texts, one on each line or each in a frame. They are checked; parsing is up to you and
// to the library of your choice.
#pragma once

#include "coax/codec/json.hpp"
#include "coax/stream/frames.hpp"

namespace coax {

class JsonMessages {
 public:
  // One on each line, LF or CRLF; the last may stand without. Nothing else may receive from the stream meanwhile.
  explicit JsonMessages(Stream& stream, const JsonMessagesOptions& options = {});
  // One in each frame: JsonMessages(stream, Framing::length_prefixed()).
  JsonMessages(Stream& stream, Framing framing, const JsonMessagesOptions& options = {});
  // Both go on where the reader stands; what follows the last message given stays in the reader.
  explicit JsonMessages(Reader& reader, const JsonMessagesOptions& options = {});
  JsonMessages(Reader& reader, Framing framing, const JsonMessagesOptions& options = {});

  // The next message, valid until the next call: one JSON value (check_json), perhaps with white space around it. Lines
  // of nothing but white space are passed over. At the end of the stream nothing. Throws Error(protocol) on what is no
  // JSON, and what Frames::next() throws; after the former, too, the next call goes on behind it. Cancelled: nothing is
  // lost.
  Task<std::optional<BytesView>> recv();
  // One JSON value. Throws Error(invalid) when it is none, and nothing was sent; else as Stream::send. The text must
  // live until it returns; on lines, it is sent without the line ends that may stand between its values.
  Task<> send(BytesView json);

 private:
  Stream& stream_;
  bool on_lines_;
  Frames frames_;
  std::size_t depth_max_;
};

}  // namespace coax
