// Frames of a prepared message.
#include "coax/http/prepared.hpp"

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/http/deflate_private.hpp"

namespace coax::ws {

Prepared::Prepared(Opcode kind, BytesView payload, const DeflateOptions& options) {
  if (kind != Opcode::text && kind != Opcode::binary) {
    throw Error(ErrorKind::invalid, "prepare a message", {}, "it is neither text nor binary");
  }
  if (kind == Opcode::text && !is_utf8(payload)) {
    throw Error(ErrorKind::invalid, "prepare a message", {}, "a text must be UTF-8; a binary message may be any bytes");
  }
  append_frame(plain_, kind, payload);
  if (!options.enabled) return;
  Compression compression({}, Role::server, options);
  std::string deflated;
  if (!compression.wants(payload) || !compression.deflate(deflated, payload)) return;
  append_frame(deflated_, kind, deflated, std::nullopt, true);
}

}  // namespace coax::ws
