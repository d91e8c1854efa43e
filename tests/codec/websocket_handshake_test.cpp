// The handshake of WebSocket: which requests and which responses are valid.
#include <gtest/gtest.h>

#include "coax/base/error.hpp"
#include "coax/codec/websocket.hpp"

namespace websocket_handshake_test {

using namespace std::string_view_literals;

namespace {

constexpr std::string_view key = "dGhlIHNhbXBsZSBub25jZQ==";  // of RFC 6455, section 1.3

struct Answer {
  int status = 0;  // 101: accepted
  std::string accept;
  std::vector<std::string> protocols;
};

Answer answer(std::string_view request) {
  coax::http1::RequestParser parser;
  EXPECT_TRUE(parser.feed(request) && parser.head_done()) << request;
  const auto upgrade = coax::ws::check_upgrade(parser.head());
  if (!upgrade) return {.status = upgrade.error().status};
  return {101, upgrade->accept, {upgrade->protocols.begin(), upgrade->protocols.end()}};
}

// A valid request, with the part `what` replaced.
std::string request(std::string_view what = "", std::string_view replacement = "") {
  std::string text =
      "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
      "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
  return text.replace(text.find(what), what.size(), replacement);
}

std::string response_outcome(std::string_view response, std::span<const std::string_view> protocols = {}) {
  coax::http1::ResponseParser parser("GET");
  EXPECT_TRUE(parser.feed(response) && parser.head_done()) << response;
  const auto protocol = coax::ws::check_accept(parser.head(), key, protocols);
  return protocol ? "yes " + std::string(*protocol) : std::string(protocol.error());
}

std::string response(std::string_view what = "", std::string_view replacement = "") {
  std::string text =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
      "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
  return text.replace(text.find(what), what.size(), replacement);
}

}  // namespace

TEST(AcceptKey, is_that_of_the_rfc) { EXPECT_EQ(coax::ws::accept_key(key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); }

TEST(ClientKey, is_base64_of_16_bytes) {
  std::array<std::uint8_t, 16> random{};
  std::ranges::copy("the sample nonce"sv, random.begin());
  EXPECT_EQ(coax::ws::client_key(random), key);
}

TEST(CheckUpgrade, accepts_the_request_of_the_rfc) {
  EXPECT_EQ(answer(request()).status, 101);
  EXPECT_EQ(answer(request()).accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(answer(request()).protocols, std::vector<std::string>{});
}

TEST(CheckUpgrade, compares_words_whatever_their_case) {
  EXPECT_EQ(answer(request("Upgrade: websocket", "upgrade: h2c, WebSocket")).status, 101);
  EXPECT_EQ(answer(request("Connection: Upgrade", "connection: keep-alive, UPGRADE")).status, 101);
}

TEST(CheckUpgrade, lists_the_protocols_that_are_offered) {
  EXPECT_EQ(answer(request("Host: a\r\n",
                           "Host: a\r\nSec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Protocol: x\r\n"))
                .protocols,
            (std::vector<std::string>{"chat", "superchat", "x"}));
  EXPECT_EQ(answer(request("Host: a\r\n", "Host: a\r\nSec-WebSocket-Protocol: a b\r\n")).status, 400);
}

TEST(CheckUpgrade, refuses_all_other_requests) {
  EXPECT_EQ(answer(request("GET", "POST")).status, 405);
  EXPECT_EQ(answer(request("HTTP/1.1", "HTTP/1.0")).status, 400);
  EXPECT_EQ(answer(request("Upgrade: websocket\r\n")).status, 426);
  EXPECT_EQ(answer(request("Upgrade: websocket", "Upgrade: h2c")).status, 426);
  EXPECT_EQ(answer(request("Connection: Upgrade\r\n")).status, 400);
  EXPECT_EQ(answer(request("Connection: Upgrade", "Connection: close")).status, 400);
  EXPECT_EQ(answer(request("Version: 13", "Version: 8")).status, 426);
  EXPECT_EQ(answer(request("Version: 13", "Version: 13, 8")).status, 426);
  EXPECT_EQ(answer(request("Sec-WebSocket-Version: 13\r\n")).status, 426);
  EXPECT_EQ(answer(request("Host: a\r\n", "Host: a\r\nSec-WebSocket-Version: 13\r\n")).status, 426);
  EXPECT_EQ(answer(request("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")).status, 400);
  EXPECT_EQ(answer(request("Host: a\r\n", "Host: a\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")).status, 400);
  for (const char* wrong :
       {"", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=A", "dGhlIHNhbXBsZSBub25jZQAA", "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25jZQAA==", "dGhlIHNhbXBsZ!Bub25jZQ=="}) {
    EXPECT_EQ(answer(request(key, wrong)).status, 400) << wrong;
  }
  EXPECT_EQ(answer(request("Host: a\r\n", "Host: a\r\nContent-Length: 1\r\n")).status, 400);
  EXPECT_EQ(answer(request("Host: a\r\n", "Host: a\r\nTransfer-Encoding: chunked\r\n")).status, 400);
}

TEST(AppendUpgradeRequest, writes_what_check_upgrade_accepts) {
  std::string out;
  coax::ws::append_upgrade_request(out, "a:80", "/chat", key);
  EXPECT_EQ(out,
            "GET /chat HTTP/1.1\r\nHost: a:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
            "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
  out.clear();
  coax::ws::append_upgrade_request(out, "a", "/", key, std::array{"chat"sv, "x"sv});
  EXPECT_EQ(answer(out).protocols, (std::vector<std::string>{"chat", "x"}));
  EXPECT_THROW(coax::ws::append_upgrade_request(out, "a\r\nX: y", "/", key), coax::Error);
}

TEST(CheckAccept, accepts_the_response_of_the_rfc) {
  EXPECT_EQ(response_outcome(response()), "yes ");
  EXPECT_EQ(response_outcome(response("Connection: Upgrade", "connection: upgrade\r\nSec-WebSocket-Protocol: chat"),
                             std::array{"x"sv, "chat"sv}),
            "yes chat");
}

TEST(CheckAccept, refuses_all_other_responses) {
  EXPECT_EQ(response_outcome(response("101 Switching Protocols", "200 OK")), "the server does not switch protocols");
  EXPECT_EQ(response_outcome(response("Upgrade: websocket\r\n")), "no Upgrade to websocket");
  EXPECT_EQ(response_outcome(response("Connection: Upgrade\r\n")), "no upgrade in Connection");
  EXPECT_EQ(response_outcome(response("s3pPLM", "s3pPLm")), "a wrong Sec-WebSocket-Accept");
  EXPECT_EQ(response_outcome(response("Sec-WebSocket-Accept", "X")), "a wrong Sec-WebSocket-Accept");
  EXPECT_EQ(response_outcome(response("Connection: Upgrade", "Connection: Upgrade\r\nSec-WebSocket-Protocol: x")),
            "a protocol that was not offered");
  EXPECT_EQ(response_outcome(response("Connection: Upgrade",
                                      "Connection: Upgrade\r\nSec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: x"),
                             std::array{"x"sv}),
            "a protocol that was not offered");
}

}  // namespace websocket_handshake_test
