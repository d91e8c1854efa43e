// Invariant: an upgrade that is accepted is a GET of HTTP/1.1 whose fields RFC 6455, section 4.2.1, requires, and the
// answer to it satisfies our client; a response that our client accepts is a 101 with the right key.
#include <algorithm>
#include <string>

#include "coax/codec/websocket.hpp"
#include "fuzz/input.hpp"

namespace {

using coax::fuzz::require;
using coax::http1::Field;

void check_request(std::string_view input) {
  coax::http1::RequestParser parser;
  if (!parser.feed(input) || !parser.head_done()) return;
  const auto& head = parser.head();
  const auto upgrade = coax::ws::check_upgrade(head);
  if (!upgrade) {
    require(upgrade.error().status >= 400 && upgrade.error().status < 500 && !upgrade.error().reason.empty());
    return;
  }
  require(head.method == "GET" && head.version_minor == 1 && head.has_token("Connection", "upgrade"));
  const std::string_view key = head.find("Sec-WebSocket-Key").value();
  const std::string_view protocol = upgrade->protocols.empty() ? "" : upgrade->protocols.back();
  const std::array fields{Field{"Upgrade", "websocket"}, Field{"Connection", "Upgrade"},
                          Field{"Sec-WebSocket-Accept", upgrade->accept}, Field{"Sec-WebSocket-Protocol", protocol}};
  std::string answer;
  coax::http1::append_response_head(answer, 101, std::span(fields).first(protocol.empty() ? 3 : 4));
  coax::http1::ResponseParser response("GET");
  require(response.feed(answer).has_value() && response.head_done());
  require(coax::ws::check_accept(response.head(), key, upgrade->protocols) == protocol);
  require(!coax::ws::check_accept(response.head(), "another key", upgrade->protocols));
}

void check_response(std::string_view input) {
  static constexpr std::string_view key = "dGhlIHNhbXBsZSBub25jZQ==";  // of RFC 6455, section 1.3
  static constexpr std::array<std::string_view, 2> offered{"chat", "superchat"};
  coax::http1::ResponseParser parser("GET");
  if (!parser.feed(input) || !parser.head_done()) return;
  const auto protocol = coax::ws::check_accept(parser.head(), key, offered);
  if (!protocol) return;
  require(parser.head().status == 101);
  require(parser.head().find("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  require(protocol->empty() || std::ranges::find(offered, *protocol) != offered.end());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = coax::fuzz::text_of(data, size);
  check_request(input);
  check_response(input);
  return 0;
}
