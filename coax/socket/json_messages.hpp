// SocketJsonMessages: JSON texts over a blocking socket, one on each line or each in a frame; JsonMessages is the same
// over a stream. They are checked; parsing is up to you and to the library of your choice.
#pragma once

#include "coax/codec/json.hpp"
#include "coax/socket/frames.hpp"

namespace coax {

class SocketJsonMessages {
 public:
  // One on each line, LF or CRLF; the last may stand without. Borrows the socket; nothing else may receive from it.
  explicit SocketJsonMessages(Socket& socket, const JsonMessagesOptions& options = {});
  // One in each frame: SocketJsonMessages(socket, Framing::length_prefixed()).
  SocketJsonMessages(Socket& socket, Framing framing, const JsonMessagesOptions& options = {});
  // Both go on where the reader stands; what follows the last message given stays in the reader.
  explicit SocketJsonMessages(SocketReader& reader, const JsonMessagesOptions& options = {});
  SocketJsonMessages(SocketReader& reader, Framing framing, const JsonMessagesOptions& options = {});

  // The next message, valid until the next call: one JSON value (check_json), perhaps with white space around it. Lines
  // of nothing but white space are passed over. At the end of the stream nothing. Throws Error(protocol) on what is no
  // JSON, and what SocketFrames::next() throws; after the former, too, the next call goes on behind it.
  std::optional<BytesView> recv();
  // One JSON value. Throws Error(invalid) when it is none, and nothing was sent; else as Socket::send. On lines, it is
  // sent without the line ends that may stand between its values.
  void send(BytesView json);

 private:
  Socket& socket_;
  bool on_lines_;
  SocketFrames frames_;
  std::size_t depth_max_;
};

}  // namespace coax
