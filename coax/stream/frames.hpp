// Frames: a stream read and written frame by frame.
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
  // Nothing else may receive from the stream meanwhile.
  Frames(Stream& stream, Framing framing, const FramesOptions& options = {})
      : reader_(std::in_place, stream, ReaderOptions{.refuse_foreign = options.refuses_foreign(framing)}),
        framing_(std::move(framing)),
        decoder_(framing_, options.frame_bytes_max),
        options_(options) {}
  // Goes on where the reader stands; what follows the last frame given stays in the reader.
  Frames(Reader& reader, Framing framing, const FramesOptions& options = {})
      : reader_(reader), framing_(std::move(framing)), decoder_(framing_, options.frame_bytes_max), options_(options) {}

  // The next frame, valid until the next call; at the end of the stream nothing. Throws Error(protocol) on a frame
  // above the limit, after which the next call goes on behind it, and on a length that is none, after which it cannot;
  // Error(disconnected) when the stream ended in the middle of a frame. Cancelled: nothing is lost.
  Task<std::optional<BytesView>> next();
  // The payload as one frame; until_close: and the end. Throws Error(invalid) when the framing cannot carry it, and
  // nothing was sent; else as Stream::send. The payload must live until it returns.
  Task<> send(BytesView payload);

 private:
  [[nodiscard]] BytesView take(const FrameEvent& event) const;

  OwnedOrBorrowed<Reader> reader_;
  Framing framing_;
  FrameDecoder decoder_;
  FramesOptions options_;
};

}  // namespace coax
