// SocketFrames: a blocking socket read and written frame by frame; Frames is the same over a stream.
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
  // Borrows the socket; nothing else may receive from it meanwhile.
  SocketFrames(Socket& socket, Framing framing, const FramesOptions& options = {})
      : reader_(std::in_place, socket, ReaderOptions{.refuse_foreign = options.refuses_foreign(framing)}),
        framing_(std::move(framing)),
        decoder_(framing_, options.frame_bytes_max),
        options_(options) {}
  // Goes on where the reader stands; what follows the last frame given stays in the reader.
  SocketFrames(SocketReader& reader, Framing framing, const FramesOptions& options = {})
      : reader_(reader), framing_(std::move(framing)), decoder_(framing_, options.frame_bytes_max), options_(options) {}

  // The next frame, valid until the next call; at the end of the stream nothing. The socket's timeout is for the whole
  // frame, however it is cut; after it nothing is lost, and the next call goes on. Throws Error(protocol) on a frame
  // above the limit, after which the next call goes on behind it, and on a length that is none, after which it cannot;
  // Error(disconnected) when the stream ended in the middle of a frame.
  std::optional<BytesView> next() {
    std::optional<TimePoint> until;
    return next(until);
  }
  // The payload as one frame; until_close: and the end. Throws Error(invalid) when the framing cannot carry it, and
  // nothing was sent; else as Socket::send.
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
