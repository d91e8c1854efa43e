// Frames: reads and writes a stream frame by frame.
#pragma once

#include <optional>

#include "coax/base/borrowed.hpp"
#include "coax/codec/frames.hpp"
#include "coax/stream/reader.hpp"
#include "coax/stream/stream.hpp"
#include "coax/task/task.hpp"

namespace coax {

class Frames {
 public:
  // While it exists, nothing else may receive from the stream.
  Frames(Stream& stream, Framing framing, const FramesOptions& options = {})
      : reader_(std::in_place, stream, ReaderOptions{.refuse_foreign = options.refuses_foreign(framing)}),
        framing_(std::move(framing)),
        decoder_(framing_, options.frame_bytes_max),
        options_(options) {}
  // Starts with the reader's buffered bytes, and leaves the bytes after the last returned frame in it.
  Frames(Reader& reader, Framing framing, const FramesOptions& options = {})
      : reader_(reader), framing_(std::move(framing)), decoder_(framing_, options.frame_bytes_max), options_(options) {}

  // Returns: the next frame, valid until the next call; nothing at the end of the stream.
  // Throws: Error(protocol) for a frame above the limit, which the next call skips, and for an invalid length, after
  // which no call can continue; Error(disconnected) when the stream ended in the middle of a frame.
  // Cancelled: no byte is lost.
  Task<std::optional<BytesView>> next();
  // Sends the payload as one frame; with until_close, the end of the stream after it.
  // Throws: Error(invalid), and sends nothing, when the framing cannot carry the payload; otherwise as Stream::send.
  // Lifetime: the payload must live until it returns.
  Task<> send(BytesView payload);

 private:
  [[nodiscard]] BytesView take(const FrameEvent& event) const;

  OwnedOrBorrowed<Reader> reader_;
  Framing framing_;
  FrameDecoder decoder_;
  FramesOptions options_;
};

}  // namespace coax
