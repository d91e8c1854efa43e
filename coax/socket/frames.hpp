// SocketFrames: reads and writes a blocking socket frame by frame; Frames is its counterpart for a stream.
#pragma once

#include <cstddef>
#include <optional>

#include "coax/base/borrowed.hpp"
#include "coax/base/bytes.hpp"
#include "coax/base/units.hpp"
#include "coax/codec/frames.hpp"
#include "coax/socket/reader.hpp"
#include "coax/socket/socket.hpp"

namespace coax {

class SocketFrames {
 public:
  // Borrows the socket. While it exists, nothing else may receive from it.
  SocketFrames(Socket& socket, Framing framing, const FramesOptions& options = {})
      : reader_(std::in_place, socket, ReaderOptions{.refuse_foreign = options.refuses_foreign(framing)}),
        framing_(std::move(framing)),
        decoder_(framing_, options.frame_bytes_max),
        options_(options) {}
  // Starts with the reader's buffered bytes, and leaves the bytes after the last returned frame in it.
  SocketFrames(SocketReader& reader, Framing framing, const FramesOptions& options = {})
      : reader_(reader), framing_(std::move(framing)), decoder_(framing_, options.frame_bytes_max), options_(options) {}

  // The socket's timeout is for a whole frame. After it no byte is lost, and the next call continues.
  // Returns: the next frame, valid until the next call; nothing at the end of the stream.
  // Throws: Error(protocol) for a frame above the limit, which the next call skips, and for an invalid length, after
  // which no call can continue; Error(disconnected) when the stream ended in the middle of a frame.
  std::optional<BytesView> next() {
    std::optional<TimePoint> until;
    return next(until);
  }
  // Sends the payload as one frame; with until_close, the end of the stream after it.
  // Throws: Error(invalid), and sends nothing, when the framing cannot carry the payload; otherwise as Socket::send.
  void send(BytesView payload);

 private:
  friend class SocketJsonMessages;
  std::optional<BytesView> next(std::optional<TimePoint>& until);

  OwnedOrBorrowed<SocketReader> reader_;
  Framing framing_;
  FrameDecoder decoder_;
  FramesOptions options_;
};

}  // namespace coax
