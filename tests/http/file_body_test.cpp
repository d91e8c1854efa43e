// Responses whose body is a range of a file: literal bytes in, literal bytes out.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>

#include "coax/base/log.hpp"
#include "coax/file/file.hpp"
#include "coax/http/app.hpp"
#include "coax/stream/memory.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/run.hpp"

namespace file_body_test {

using namespace coax;
using namespace coax::test;
using http::App;
using http::Request;
using http::Response;

namespace {

const std::string get_file = "GET /file HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string get_hello = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string hello =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello";

Task<std::string> recv_all(Stream& stream) {
  std::string all;
  while (const BytesView bytes = co_await stream.recv()) all.append(bytes.text());
  co_return std::regex_replace(all, std::regex("Date: [^\r]*\r\n"), "");
}

class HttpFileBody : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::off); }
  void TearDown() override { log::set_level(log::Level::info); }

  void write(std::string_view bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }
  // GET /file; a range with the status of the path; GET /hello.
  [[nodiscard]] App app() const {
    http::AppOptions options;
    options.headers.clear();
    App app(std::move(options));
    app.get("/file", [path = path_](Request&) -> Task<Response> {
      const File file = co_await File::open(path);
      co_return Response{.body = FileRange(file), .content_type = "text/css"};
    });
    app.get("/range/{status}", [path = path_](Request& request) -> Task<Response> {
      const int status = std::stoi(std::string(request.parameter("status")));
      const File file = co_await File::open(path);
      co_return Response{.status = status, .body = FileRange(file, 1, 2)};
    });
    app.get("/hello", [](Request&) { return Response::text("hello"); });
    return app;
  }
  // What the handler throws, and the reason that it sets.
  static Task<std::string> serve(Stream& stream, const Handler& handler) {
    Connection connection(stream, 1);
    const std::string thrown = co_await outcome(handler(connection));
    co_await outcome(stream.shutdown_send());
    co_return thrown + ", " + std::string(to_string(connection.reason()));
  }
  [[nodiscard]] std::string answer(std::string request) const {
    std::string result;
    run([&]() -> Task<> {
      auto [server, client] = memory_stream_pair();
      const Handler handler = http::handler(app());
      const auto ask = [&]() -> Task<> {
        co_await client->send(request);
        co_await client->shutdown_send();
      };
      const auto [end, asked, text] = co_await all(serve(*server, handler), ask(), recv_all(*client));
      result = text;
    });
    return result;
  }

  Folder folder_;
  std::string path_ = folder_.path("file");
};

}  // namespace

TEST_F(HttpFileBody, has_its_length_and_the_connection_stays_open) {
  write("12345");
  const std::string response = "HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nContent-Length: 5\r\n\r\n12345";
  EXPECT_EQ(answer(get_file + get_file + get_hello), response + response + hello);
}

TEST_F(HttpFileBody, of_many_pieces_is_whole) {
  const std::string bytes(1'000'003, 'x');
  write(bytes);
  EXPECT_TRUE(answer(get_file + get_hello).ends_with("\r\nContent-Length: 1000003\r\n\r\n" + bytes + hello));
}

TEST_F(HttpFileBody, that_is_empty_has_the_length_0) {
  write("");
  EXPECT_EQ(answer(get_file + get_hello),
            "HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nContent-Length: 0\r\n\r\n" + hello);
}

TEST_F(HttpFileBody, of_http_1_0_keeps_the_connection_when_asked_to) {
  write("12345");
  EXPECT_EQ(
      answer("GET /file HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get_hello),
      "HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n12345" + hello);
}

TEST_F(HttpFileBody, may_be_a_range_of_another_status) {
  write("12345");
  EXPECT_EQ(answer("GET /range/206 HTTP/1.1\r\nHost: a\r\n\r\n"),
            "HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\n\r\n23");
}

TEST_F(HttpFileBody, is_not_sent_where_the_status_has_no_body) {
  write("12345");
  EXPECT_EQ(answer("GET /range/304 HTTP/1.1\r\nHost: a\r\n\r\n" + get_hello),
            "HTTP/1.1 304 Not Modified\r\n\r\n" + hello);
  EXPECT_EQ(answer("GET /range/205 HTTP/1.1\r\nHost: a\r\n\r\n" + get_hello),
            "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n" + hello);
}

TEST_F(HttpFileBody, of_head_is_not_sent) {
  write("12345");
  EXPECT_EQ(answer("HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n" + get_hello),
            "HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nContent-Length: 5\r\n\r\n" + hello);
}

// Of the file only the length is of interest, so that it is not read.
TEST_F(HttpFileBody, of_head_is_not_read) {
  write("12345");
  run([&]() -> Task<> {
    const File file = co_await File::open(path_);
    std::filesystem::resize_file(path_, 0);
    App kept({.headers = {}});
    kept.get("/file", [file](Request&) { return Response{.body = FileRange(file)}; });
    auto [server, client] = memory_stream_pair();
    const Handler handler = http::handler(std::move(kept));
    co_await client->send("HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n");
    co_await client->shutdown_send();
    const auto [end, text] = co_await all(serve(*server, handler), recv_all(*client));
    EXPECT_EQ(text, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  });
}

TEST_F(HttpFileBody, that_is_missing_is_500) {
  EXPECT_TRUE(answer(get_file).starts_with("HTTP/1.1 500 Internal Server Error\r\n"));
}

TEST_F(HttpFileBody, that_becomes_shorter_aborts_the_connection) {
  write(std::string(1'000'000, 'x'));
  run([&]() -> Task<> {
    auto [server, client] = memory_stream_pair(4000);
    const Handler handler = http::handler(app());
    const auto truncate_meanwhile = [&]() -> Task<std::string> {
      co_await client->send(get_file);
      co_await client->recv_exactly(1000);
      std::filesystem::resize_file(path_, 100'000);
      co_return co_await outcome(recv_all(*client));
    };
    const auto [end, received] = co_await all(serve(*server, handler), truncate_meanwhile());
    EXPECT_EQ(received, "disconnected");
    EXPECT_EQ(end, "done, failed");
  });
}

TEST_F(HttpFileBody, of_a_client_that_leaves_ends_with_it) {
  write(std::string(1'000'000, 'x'));
  run([&]() -> Task<> {
    auto [server, client] = memory_stream_pair(4000);
    const Handler handler = http::handler(app());
    const auto leave = [&]() -> Task<> {
      co_await client->send(get_file);
      co_await client->recv_exactly(1000);
      client->abort();
    };
    const auto [end, left] = co_await all(serve(*server, handler), leave());
    EXPECT_EQ(end, "disconnected, finished");
  });
}

}  // namespace file_body_test
