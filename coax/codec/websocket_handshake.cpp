// Both sides of the handshake (RFC 6455, section 4), on parsed heads.
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <span>

#include "coax/codec/token.hpp"
#include "coax/codec/websocket.hpp"

namespace coax::ws {

namespace {

using http1::Failure;
using http1::Field;
using http1::Head;

std::string base64(std::span<const std::uint8_t> bytes) {
  std::string out((bytes.size() + 2) / 3 * 4, '\0');
  // It writes a NUL at the end, where the string has its own.
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes.data(), static_cast<int>(bytes.size()));
  return out;
}

constexpr http1::WordChars is_base64_char("+/");

bool is_key(std::string_view text) noexcept {
  return text.size() == 24 && text.ends_with("==") && std::ranges::all_of(text.substr(0, 22), is_base64_char);
}

}  // namespace

std::string accept_key(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<std::uint8_t, 20> digest{};
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha1(), nullptr);
  return base64(digest);
}

std::expected<Upgrade, Failure> check_upgrade(const Head& request) {
  const auto refuse = [](int status, std::string_view reason) { return std::unexpected(Failure{status, reason}); };
  if (request.method != "GET") return refuse(405, "a WebSocket is opened by GET");
  if (request.version_minor != 1) return refuse(400, "a WebSocket is opened by HTTP/1.1");
  if (request.chunked || request.content_length.value_or(0) != 0) return refuse(400, "an upgrade with a body");
  if (!request.has_token("Upgrade", "websocket")) return refuse(426, "no Upgrade to websocket");
  if (!request.has_token("Connection", "upgrade")) return refuse(400, "no upgrade in Connection");
  if (request.view().find_only("Sec-WebSocket-Version") != "13")
    return refuse(426, "a Sec-WebSocket-Version other than 13");
  const auto key = request.view().find_only("Sec-WebSocket-Key");
  if (!key || !is_key(*key)) return refuse(400, "no Sec-WebSocket-Key of 16 bytes");
  Upgrade upgrade{.accept = accept_key(*key), .protocols = {}};
  for (const Field& field : request.fields) {
    if (!equal_ignoring_case(field.name, "Sec-WebSocket-Protocol")) continue;
    http1::for_each_word(field.value, [&](std::string_view word) { upgrade.protocols.push_back(word); });
  }
  if (!std::ranges::all_of(upgrade.protocols, http1::is_token))
    return refuse(400, "a malformed Sec-WebSocket-Protocol");
  return upgrade;
}

std::string client_key(const std::array<std::uint8_t, 16>& random) { return base64(random); }

bool is_set_by_handshake(std::string_view field) noexcept {
  constexpr std::array<std::string_view, 9> names{"Upgrade",
                                                  "Connection",
                                                  "Sec-WebSocket-Key",
                                                  "Content-Length",
                                                  "Transfer-Encoding",
                                                  "Sec-WebSocket-Version",
                                                  "Sec-WebSocket-Accept",
                                                  "Sec-WebSocket-Protocol",
                                                  "Sec-WebSocket-Extensions"};
  return std::ranges::any_of(names, [field](std::string_view name) { return equal_ignoring_case(name, field); });
}

void append_upgrade_request(std::string& out, std::string_view host, std::string_view target, std::string_view key,
                            std::span<const std::string_view> protocols, std::span<const Field> more) {
  std::string offered;
  for (const std::string_view protocol : protocols) offered.append(offered.empty() ? "" : ", ").append(protocol);
  std::vector<Field> fields{{"Host", host},
                            {"Upgrade", "websocket"},
                            {"Connection", "Upgrade"},
                            {"Sec-WebSocket-Key", key},
                            {"Sec-WebSocket-Version", "13"}};
  if (!protocols.empty()) fields.push_back({"Sec-WebSocket-Protocol", offered});
  fields.insert(fields.end(), more.begin(), more.end());
  http1::append_request_head(out, "GET", target, fields);
}

std::expected<std::string_view, std::string_view> check_accept(const Head& response, std::string_view key,
                                                               std::span<const std::string_view> protocols) {
  if (response.status != 101) return std::unexpected("the server does not switch protocols");
  if (!response.has_token("Upgrade", "websocket")) return std::unexpected("no Upgrade to websocket");
  if (!response.has_token("Connection", "upgrade")) return std::unexpected("no upgrade in Connection");
  if (response.view().find_only("Sec-WebSocket-Accept") != accept_key(key))
    return std::unexpected("a wrong Sec-WebSocket-Accept");
  if (!response.find("Sec-WebSocket-Protocol")) return std::string_view();
  const auto protocol = response.view().find_only("Sec-WebSocket-Protocol");
  if (!protocol || std::ranges::find(protocols, *protocol) == protocols.end()) {
    return std::unexpected("a protocol that was not offered");
  }
  return *protocol;
}

}  // namespace coax::ws
