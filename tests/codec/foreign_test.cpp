// Other protocols on a port for lines are detected however their bytes are split; similar texts are not.
#include "coax/codec/foreign.hpp"

#include <gtest/gtest.h>

namespace coax::foreign_test {
namespace {

ForeignProtocol detect(std::string_view bytes, std::size_t piece) {
  ForeignDetector detector;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    const auto found = detector.feed(bytes.substr(at, piece));
    if (found != ForeignProtocol::none) return found;
  }
  return ForeignProtocol::none;
}

void expect(ForeignProtocol protocol, std::string_view bytes) {
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    EXPECT_EQ(detect(bytes, piece), protocol) << bytes << " in pieces of " << piece;
  }
}

TEST(ForeignDetector, http_request_line_of_any_method_is_http) {
  expect(ForeignProtocol::http, "GET / HTTP/1.1\r\n");
  expect(ForeignProtocol::http, "POST / HTTP/1.1\r\nHost: 127.0.0.1:12345\r\n\r\nx\n");
  expect(ForeignProtocol::http, "OPTIONS * HTTP/1.0\n");
  expect(ForeignProtocol::http, "CONNECT a.example:443 HTTP/1.1\r\n");
  expect(ForeignProtocol::http, "post /x?y=z HTTP/1.1\r\n");
  expect(ForeignProtocol::http, "M-SEARCH * HTTP/1.1\r\n");
  expect(ForeignProtocol::http, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  expect(ForeignProtocol::http, "GET http://a.example/ HTTP/1.1\r\n");
  expect(ForeignProtocol::http, "GET / HTTP/2\r\n");
  expect(ForeignProtocol::http, "GET /" + std::string(100'000, 'x').substr(0, 300) + " HTTP/1.1\r\n");
}

TEST(ForeignDetector, tls_record_and_ssh_banner_are_found_at_once) {
  expect(ForeignProtocol::tls, std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11));
  expect(ForeignProtocol::ssh, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
  expect(ForeignProtocol::ssh, "SSH-1.99-x\n");
}

TEST(ForeignDetector, similar_text_is_not_detected) {
  for (const std::string_view text : {"GET well soon\n",
                                      "POST\n",
                                      "alice\n",
                                      "GET /\n",
                                      "GET / HTTP\n",
                                      "GET / HTTP/\n",
                                      "GET / HTTP/x\r\n",
                                      "GET / http/1.1\r\n",
                                      "GET  / HTTP/1.1\r\n",
                                      " GET / HTTP/1.1\r\n",
                                      "the new HTTP/2 is out\n",
                                      "a: b HTTP/1.1\n",
                                      "HTTP/1.1 200 OK\r\n",
                                      "SSH is a protocol\n",
                                      "SSH-\n",
                                      "SSH-2\n",
                                      "SSH-a.b-\n",
                                      "xSSH-2.0-y\n",
                                      "\n",
                                      "",
                                      "\r\nGET / HTTP/1.1\r\n",
                                      "{\"type\":\"join\"}\n",
                                      "a\x16\x03\x01\n",
                                      "GET / HTTP/1.1 or so\n"}) {
    expect(ForeignProtocol::none, text);
  }
}

TEST(ForeignDetector, only_the_beginning_of_a_connection_decides) {
  expect(ForeignProtocol::none, "alice\nGET / HTTP/1.1\r\nSSH-2.0-x\r\n\x16\x03\x01");
}

TEST(ForeignAnswer, is_whole_in_its_protocol) {
  const std::string_view http = foreign_answer(ForeignProtocol::http).text();
  const std::size_t body = http.find("\r\n\r\n") + 4;
  EXPECT_TRUE(http.starts_with("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_TRUE(http.contains("\r\nContent-Length: " + std::to_string(http.size() - body) + "\r\n"));
  EXPECT_EQ(foreign_answer(ForeignProtocol::tls).string(), std::string("\x15\x03\x01\x00\x02\x02\x0a", 7));
}

}  // namespace
}  // namespace coax::foreign_test
