// A buffer that is filled from the stream.
#include "coax/stream/reader.hpp"

#include <type_traits>
#include <utility>

#include "coax/base/error.hpp"

namespace coax {

// The buffer of the stream is invalid after its next receive.
Reader::Fill Reader::receive() {
  buffer_.keep();
  return Fill(*this);
}

void Reader::received(BytesView bytes) {
  const ForeignProtocol protocol = buffer_.received(bytes);
  if (protocol == ForeignProtocol::none) return;
  static_cast<void>(stream_.queue(foreign_answer(protocol)));  // it fits, since nothing else was sent yet
  throw ForeignProtocolError(protocol, stream_.peer_name());
}

std::optional<BytesView> Reader::result(const ReadStep& step) const {
  if (step.kind == ReadStep::Kind::found) {
    charge_bytes(step.bytes.size());
    return step.bytes;
  }
  if (step.kind == ReadStep::Kind::end) return std::nullopt;
  buffer_.fail(step, stream_.peer_name());
}

template <class Result, class Step>
Task<Result> Reader::read(Step step) {
  co_await checkpoint();
  buffer_.begin();
  while (true) {
    const ReadStep found = step(buffer_);
    if (found.kind != ReadStep::Kind::need_more) {
      if constexpr (std::is_same_v<Result, BytesView>) {
        co_return result(found).value();
      } else {
        co_return result(found);
      }
    }
    co_await receive();
  }
}

Task<std::optional<BytesView>> Reader::line() {
  return read<std::optional<BytesView>>([](ReadBuffer& buffer) { return buffer.line(); });
}

Task<std::optional<BytesView>> Reader::until(std::string delimiter) {
  return read<std::optional<BytesView>>(
      [delimiter = std::move(delimiter)](ReadBuffer& buffer) { return buffer.until(delimiter); });
}

Task<BytesView> Reader::exactly(std::size_t count) {
  return read<BytesView>([count](ReadBuffer& buffer) { return buffer.exactly(count); });
}

Task<BytesView> Reader::some() {
  return read<BytesView>([](ReadBuffer& buffer) { return buffer.some(); });
}

}  // namespace coax
