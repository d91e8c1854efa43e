// permessage-deflate in the handshake, and compressed frames (RFC 7692, sections 5 to 7.1).
#include "coax/codec/websocket_deflate.hpp"

#include <gtest/gtest.h>

#include "coax/codec/websocket.hpp"

namespace websocket_deflate_test {

using namespace coax::ws;

namespace {

constexpr DeflateParameters everything{.server = {.context_takeover = true}, .client = {.context_takeover = true}};
constexpr DeflateParameters usual{};

std::string of_side(const DeflateSide& side) {
  return std::to_string(side.window_bits) + (side.context_takeover ? "+" : "");
}
std::string text_of(const DeflateParameters& agreed) { return of_side(agreed.server) + " " + of_side(agreed.client); }

// The server's answer, and what was agreed on: the window of the server's messages, then of the client's; "+": with
// context takeover.
std::string server(std::string_view field_value, const DeflateParameters& wanted = everything) {
  coax::http1::RequestParser parser;
  const std::string request =
      "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Extensions: " + std::string(field_value) + "\r\n\r\n";
  EXPECT_TRUE(parser.feed(request) && parser.head_done());
  const auto answer = answer_deflate(parser.head(), wanted);
  if (!answer) return std::to_string(answer.error().status);
  if (!*answer) return "declined";
  return (*answer)->extension.substr(std::string_view("permessage-deflate").size()) + " -> " +
         text_of((*answer)->agreed);
}

std::string client(std::string_view field_value, const std::optional<DeflateParameters>& wanted = everything) {
  coax::http1::ResponseParser parser("GET");
  std::string response = "HTTP/1.1 101 X\r\n";
  if (!field_value.empty()) response += "Sec-WebSocket-Extensions: " + std::string(field_value) + "\r\n";
  EXPECT_TRUE(parser.feed(response + "\r\n") && parser.head_done());
  const auto agreed = check_deflate_answer(parser.head(), wanted);
  if (!agreed) return std::string(agreed.error());
  return *agreed ? text_of(**agreed) : "declined";
}

}  // namespace

// Section 7.1: each parameter in an offer, and what the server makes of it.
TEST(DeflateAnswer, follows_the_offer) {
  EXPECT_EQ(server("permessage-deflate"), " -> 15+ 15+");
  EXPECT_EQ(server("permessage-deflate; server_no_context_takeover"), "; server_no_context_takeover -> 15 15+");
  EXPECT_EQ(server("permessage-deflate; client_no_context_takeover"), "; client_no_context_takeover -> 15+ 15");
  EXPECT_EQ(server("permessage-deflate; server_max_window_bits=10"), "; server_max_window_bits=10 -> 10+ 15+");
  EXPECT_EQ(server("permessage-deflate; server_max_window_bits=\"10\""), "; server_max_window_bits=10 -> 10+ 15+");
  EXPECT_EQ(server("permessage-deflate; client_max_window_bits"), " -> 15+ 15+");
  EXPECT_EQ(server("permessage-deflate; client_max_window_bits=8"), "; client_max_window_bits=8 -> 15+ 8+");
  EXPECT_EQ(server("x-other, permessage-deflate ;client_max_window_bits , permessage-deflate"), " -> 15+ 15+");
}

TEST(DeflateAnswer, has_at_most_what_the_server_wants) {
  EXPECT_EQ(server("permessage-deflate; client_max_window_bits", usual),
            "; server_no_context_takeover; client_no_context_takeover -> 15 15");
  const DeflateParameters small{.server = {.window_bits = 8}, .client = {.window_bits = 9}};
  const std::string both = "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9";
  EXPECT_EQ(server("permessage-deflate", small), both + " -> 9 15");  // the client cannot be limited
  EXPECT_EQ(server("permessage-deflate; client_max_window_bits", small), both + "; client_max_window_bits=9 -> 9 9");
}

TEST(DeflateAnswer, declines_offers_that_it_cannot_accept) {
  for (const std::string_view offer :
       {"", "x-webkit-deflate-frame", "permessage-deflate; x", "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7", "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010", "permessage-deflate; server_max_window_bits=1x",
        "permessage-deflate; server_no_context_takeover=1", "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; server_max_window_bits=8"}) {  // zlib has no such window
    EXPECT_EQ(server(offer), "declined") << offer;
  }
  EXPECT_EQ(server("permessage-deflate; server_max_window_bits=8, permessage-deflate"), " -> 15+ 15+");
  EXPECT_EQ(server("permessage-deflate; =1"), "400");
  EXPECT_EQ(server("permessage-deflate;"), "400");
  EXPECT_EQ(server("permessage-deflate; client_max_window_bits=\"1,0\""), "400");
}

TEST(DeflateOffer, has_what_the_client_wants) {
  EXPECT_EQ(deflate_offer(everything), "permessage-deflate; client_max_window_bits");
  EXPECT_EQ(deflate_offer(usual),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits");
  EXPECT_EQ(deflate_offer({.server = {.context_takeover = true, .window_bits = 9},
                           .client = {.context_takeover = true, .window_bits = 10}}),
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10");
}

TEST(DeflateCheck, follows_the_answer) {
  EXPECT_EQ(client(""), "declined");
  EXPECT_EQ(client("", std::nullopt), "declined");
  EXPECT_EQ(client("permessage-deflate"), "15+ 15+");
  EXPECT_EQ(client("permessage-deflate; server_no_context_takeover; client_no_context_takeover"), "15 15");
  EXPECT_EQ(client("permessage-deflate; server_max_window_bits=8; client_max_window_bits=8"), "8+ 8+");
  EXPECT_EQ(client("permessage-deflate; server_no_context_takeover", usual), "15 15");
}

TEST(DeflateCheck, refuses_what_was_not_offered) {
  EXPECT_EQ(client("permessage-deflate", std::nullopt), "an extension that was not offered");
  EXPECT_EQ(client("x"), "an extension that was not offered");
  EXPECT_EQ(client("permessage-deflate, permessage-deflate"), "an extension that was not offered");
  EXPECT_EQ(client("permessage-deflate; x"), "invalid parameters of permessage-deflate");
  EXPECT_EQ(client("permessage-deflate; client_max_window_bits"), "invalid parameters of permessage-deflate");
  EXPECT_EQ(client("permessage-deflate; server_max_window_bits=16"), "invalid parameters of permessage-deflate");
  EXPECT_EQ(client("permessage-deflate", usual), "permessage-deflate without server_no_context_takeover");
  const DeflateParameters small{.server = {.context_takeover = true, .window_bits = 10}, .client = {.window_bits = 10}};
  EXPECT_EQ(client("permessage-deflate", small),
            "permessage-deflate with a larger server_max_window_bits than offered");
  EXPECT_EQ(client("permessage-deflate; server_max_window_bits=10; client_max_window_bits=11", small),
            "permessage-deflate with a larger client_max_window_bits than offered");
  EXPECT_EQ(client(";"), "a malformed Sec-WebSocket-Extensions");
}

// Section 6: RSV1 is for the first frame of a message, once the extension was agreed on.
TEST(DeflatedFrames, rsv1_is_for_first_frames_of_messages) {
  const auto events = [](std::string frames, bool allows_deflate) {
    MessageDecoder decoder(Role::client, 100, allows_deflate);
    decoder.feed(frames);
    std::string text;
    while (const auto event = decoder.next()) {
      if (event->kind == Event::Kind::failure) return text + std::to_string(event->code);
      text += (event->is_deflated ? "deflated " : "plain ") + event->payload.string() + " ";
    }
    return text;
  };
  using namespace std::string_literals;
  EXPECT_EQ(events("\xC1\x02no"s, false), "1002");
  EXPECT_EQ(events("\xC1\x02\xFF\xFE"s, true), "deflated \xFF\xFE ");  // checked once it is decompressed
  EXPECT_EQ(events("\x41\x01\xFF\x89\x00\x80\x01\xFE\x81\x01x"s, true), "plain  deflated \xFF\xFE plain x ");
  EXPECT_EQ(events("\x41\x01x\xC0\x01y"s, true), "1002");  // a continuation
  EXPECT_EQ(events("\xC9\x00"s, true), "1002");            // a ping
  EXPECT_EQ(events("\xA1\x00"s, true), "1002");            // RSV2
  EXPECT_EQ(events("\xE1\x00"s, true), "1002");
  EXPECT_EQ(events("\x81\x65"s, true), "1009");
  EXPECT_EQ(events("\xC2\x7E\x00\xA6"s, true), "1009");  // a little more is allowed
  EXPECT_EQ(events("\xC2\x7E\x00\xA5"s, true), "");
}

}  // namespace websocket_deflate_test
