// A message that is encoded, and compressed, once for many clients of a server.
//
//   coax::Topic room(coax::ws::Prepared::forms);
//   ...
//   coax::Outbox outbox({.form = socket.form()});
//   const auto subscription = room.subscribe(outbox);
//   co_await coax::race(read(socket), drain(outbox, socket.stream()));
//   ...
//   const coax::ws::Prepared message(coax::ws::Opcode::text, text);
//   co_await room.ready();
//   room.publish_now(message.frames());
#pragma once

#include <array>
#include <string>

#include "coax/base/bytes.hpp"
#include "coax/codec/websocket.hpp"
#include "coax/http/websocket_options.hpp"

namespace coax::ws {

class Prepared {
 public:
  // Of WebSocket::form(): 0 as it is; 1 compressed, for those that have agreed on the usual window without context
  // takeover.
  static constexpr std::size_t forms = 2;

  // Throws: Error(invalid) for a text that is not UTF-8, and for another kind than text and binary.
  Prepared(Opcode kind, BytesView payload, const DeflateOptions& options = {});

  // By form; the same frame twice for a message that is short or incompressible. Lifetime: that of this object.
  [[nodiscard]] std::array<BytesView, forms> frames() const noexcept {
    return {plain_, deflated_.empty() ? plain_ : deflated_};
  }

 private:
  std::string plain_;
  std::string deflated_;
};

}  // namespace coax::ws
