// The buffer fed from the stream.
#include "coax/stream/reader.hpp"

#include <type_traits>
#include <utility>

#include "coax/base/error.hpp"

namespace coax {

// The stream takes its buffer back when it receives again.
Task<> Reader::receive() {
  buffer_.keep();
  const Bytes bytes = co_await stream_.recv();
  const ForeignProtocol protocol = buffer_.received(bytes);
  if (protocol != ForeignProtocol::none) co_await refuse(protocol);
}

Task<> Reader::refuse(ForeignProtocol protocol) {
  co_await stream_.send(foreign_answer(protocol));
  throw ForeignProtocolError(protocol, stream_.peer_name());
}

std::optional<Bytes> Reader::result(const ReadStep& step) const {
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
      if constexpr (std::is_same_v<Result, Bytes>) {
        co_return result(found).value();
      } else {
        co_return result(found);
      }
    }
    co_await receive();
  }
}

Task<std::optional<Bytes>> Reader::line() {
  return read<std::optional<Bytes>>([](ReadBuffer& buffer) { return buffer.line(); });
}

Task<std::optional<Bytes>> Reader::until(std::string delimiter) {
  return read<std::optional<Bytes>>(
      [delimiter = std::move(delimiter)](ReadBuffer& buffer) { return buffer.until(delimiter); });
}

Task<Bytes> Reader::exactly(std::size_t count) {
  return read<Bytes>([count](ReadBuffer& buffer) { return buffer.exactly(count); });
}

Task<Bytes> Reader::some() {
  return read<Bytes>([](ReadBuffer& buffer) { return buffer.some(); });
}

}  // namespace coax
