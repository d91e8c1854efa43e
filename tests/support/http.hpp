// A client of an app over memory: bytes in, bytes out.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <string>
#include <string_view>

#include "coax/base/log.hpp"
#include "coax/http/app.hpp"
#include "coax/stream/memory.hpp"
#include "tests/support/run.hpp"

namespace coax::test {

// For servers that log what clients do wrong.
class QuietLog : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::off); }
  void TearDown() override { log::set_level(log::Level::info); }
};

inline http::App bare(http::AppOptions options = {}) {
  options.headers.clear();
  return http::App(std::move(options));
}

inline Task<std::string> read_all(Stream& stream) {
  std::string all;
  while (const BytesView bytes = co_await stream.recv()) all.append(bytes.text());
  co_return std::regex_replace(all, std::regex("Date: [^\r]*\r\n"), "");
}

inline Task<> serve_one(Stream& stream, const Handler& handler) {
  Connection connection(stream, 1);
  co_await outcome(handler(connection));
  co_await outcome(stream.shutdown_send());  // the client may have left
}

// The answer to these bytes of a client, sent in pieces of that size, which then half-closes.
inline std::string answer(http::App app, std::string_view request, std::size_t piece = SIZE_MAX) {
  std::string result;
  run([&]() -> Task<> {
    auto [server, client] = memory_stream_pair();
    const Handler handler = http::handler(std::move(app));
    const auto send = [&]() -> Task<> {
      for (std::size_t at = 0; at < request.size(); at += std::min(piece, request.size())) {
        co_await client->send(request.substr(at, piece));
        co_await next_turn();
      }
      co_await client->shutdown_send();
    };
    auto [served, sent, text] = co_await all(serve_one(*server, handler), send(), read_all(*client));
    result = text;
  });
  return result;
}
inline std::string get(http::App app, std::string_view target) {
  return answer(std::move(app), "GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n");
}
// A response of the app to these bytes; for several requests of one app, within a run.
inline Task<std::string> ask(const Handler& handler, std::string request) {
  auto [server, client] = memory_stream_pair();
  const auto send = [&]() -> Task<> {
    co_await client->send(request);
    co_await client->shutdown_send();
  };
  auto [served, sent, text] = co_await all(serve_one(*server, handler), send(), read_all(*client));
  co_return text;
}
// The value of the first header of that name, or "none".
inline std::string header_of(std::string_view response, std::string_view name) {
  const std::string_view head = response.substr(0, response.find("\r\n\r\n") + 2);
  const std::string start = "\r\n" + std::string(name) + ": ";
  const std::size_t at = head.find(start);
  if (at == std::string_view::npos) return "none";
  const std::string_view rest = head.substr(at + start.size());
  return std::string(rest.substr(0, rest.find("\r\n")));
}
inline std::string body_of(std::string_view response) {
  return std::string(response.substr(response.find("\r\n\r\n") + 4));
}

}  // namespace coax::test
