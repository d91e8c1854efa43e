// SocketJsonMessages: JSON texts (RFC 8259) over a blocking socket, one on each line or one in each frame; JsonMessages
// is its counterpart for a stream. They are validated; parsing is left to the library of your choice.
#pragma once

#include "coax/codec/json.hpp"
#include "coax/socket/frames.hpp"

namespace coax {

class SocketJsonMessages {
 public:
  // One text on each line, LF or CRLF; the last line end is optional. Borrows the socket; nothing else may receive from
  // it.
  explicit SocketJsonMessages(Socket& socket, const JsonMessagesOptions& options = {});
  // One in each frame: SocketJsonMessages(socket, Framing::length_prefixed()).
  SocketJsonMessages(Socket& socket, Framing framing, const JsonMessagesOptions& options = {});
  // Both start with the reader's buffered bytes, and leave the bytes after the last returned message in it.
  explicit SocketJsonMessages(SocketReader& reader, const JsonMessagesOptions& options = {});
  SocketJsonMessages(SocketReader& reader, Framing framing, const JsonMessagesOptions& options = {});

  // Skips lines of white space.
  // Returns: the next message, valid until the next call: one JSON value (check_json), perhaps with white space around
  // it; nothing at the end of the stream.
  // Throws: Error(protocol) for invalid JSON, after which the next call continues with the next message; and what
  // SocketFrames::next() throws.
  std::optional<BytesView> recv();
  // Sends one JSON value; with lines, without the line ends between its tokens.
  // Throws: Error(invalid), and sends nothing, when it is not valid JSON; otherwise as Socket::send.
  void send(BytesView json);

 private:
  Socket& socket_;
  bool on_lines_;
  SocketFrames frames_;
  std::size_t depth_max_;
};

}  // namespace coax
