// Invariant: whatever a peer sends, a message is never above its limit; the same bytes give the same result, however
// often; and what this side compresses is what it decompresses.
#include "coax/http/deflate_private.hpp"
#include "fuzz/input.hpp"

namespace {

using coax::fuzz::require;
using coax::ws::Compression;
using coax::ws::DeflateOptions;
using coax::ws::DeflateParameters;
using coax::ws::Role;

constexpr std::size_t message_bytes_max = 4096;

// Two messages in one context.
std::string inflate(std::string_view first, std::string_view second, bool context_takeover) {
  DeflateParameters agreed;
  agreed.client.context_takeover = context_takeover;
  Compression server(agreed, Role::server, {});
  std::string all;
  for (const std::string_view payload : {first, second}) {
    const auto message = server.inflate(payload, false, message_bytes_max);
    require(!message || message->size() <= message_bytes_max);
    all += message ? message->string() : std::to_string(message.error().code);
    if (!message) break;
  }
  return all;
}

void round_trip(std::string_view text, bool context_takeover) {
  DeflateParameters agreed;
  agreed.client.context_takeover = context_takeover;
  agreed.client.window_bits = static_cast<std::uint8_t>(9 + text.size() % 7);
  const DeflateOptions options{.message_bytes_min = 0, .level = static_cast<int>(1 + text.size() % 9)};
  Compression client(agreed, Role::client, options);
  Compression server(agreed, Role::server, options);
  for (int count = 0; count < 2; ++count) {
    std::string payload;
    if (!client.wants(text) || !client.deflate(payload, text)) return;
    client.end_send(true);
    const auto message = server.inflate(payload, false, text.size());
    require(message && message->text() == text);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = coax::fuzz::text_of(data, size);
  for (const bool context_takeover : {false, true}) {
    const std::string_view first = input.substr(0, size / 2);
    require(inflate(first, input.substr(size / 2), context_takeover) ==
            inflate(first, input.substr(size / 2), context_takeover));
    inflate(input, input, context_takeover);
    round_trip(input, context_takeover);
  }
  return 0;
}
