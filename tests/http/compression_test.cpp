// Responses in content codings: which one, for which responses, and the bytes. tests/interop/http_compression_test.py
// decodes all codings with programs of others.
#include "coax/http/compression.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <fstream>

#include "coax/http/folder.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/http.hpp"

namespace coax::compression_test {
namespace {

using http::App;
using http::BodyWriter;
using http::Request;
using http::Response;
using test::answer;
using test::ask;
using test::bare;
using test::body_of;
using test::header_of;
using test::outcome;
using test::run;

class HttpCompression : public test::QuietLog {};

const std::string long_text(3000, 'a');

std::string mixed_text(std::size_t size) {
  std::string text;
  while (text.size() < size) text += fmt::format("line {} of a text; ", text.size() * 2654435761U % 10007);
  return text.substr(0, size);
}

// What a client can decode of a gzip stream; "not complete: " before it when its end is missing.
std::string gunzip(std::string_view bytes) {
  z_stream stream{};
  inflateInit2(&stream, 15 + 16);
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  int result = Z_OK;
  while (result == Z_OK) {
    std::array<char, 1000> piece;
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = piece.size();
    result = inflate(&stream, Z_NO_FLUSH);
    out.append(piece.data(), piece.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  return result == Z_STREAM_END ? out : "not complete: " + out;
}

std::string unchunked(std::string_view rest) {
  std::string out;
  while (!rest.empty()) {
    const std::size_t end = rest.find("\r\n");
    const std::size_t size = std::stoul(std::string(rest.substr(0, end)), nullptr, 16);
    out.append(rest.substr(end + 2, size));
    rest.remove_prefix(end + 2 + size + 2);
  }
  return out;
}

App app_of(Response (*handler)(Request&), http::CompressionOptions options = {}) {
  App app = bare();
  app.use(http::compression(std::move(options)));
  app.get("/", handler);
  return app;
}

std::string get_with(App app, std::string_view fields) {
  return answer(std::move(app), fmt::format("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields));
}
std::string get_gzip(App app) { return get_with(std::move(app), "Accept-Encoding: gzip\r\n"); }

}  // namespace

// RFC 9110, section 12.5.3
TEST_F(HttpCompression, coding_is_the_preferred_one_of_the_client) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 21> cases{{
      {"", "none"},
      {"Accept-Encoding:\r\n", "none"},
      {"Accept-Encoding: gzip\r\n", "gzip"},
      {"Accept-Encoding: GZIP\r\n", "gzip"},
      {"Accept-Encoding: x-gzip\r\n", "gzip"},
      {"Accept-Encoding: br\r\n", "br"},
      {"Accept-Encoding: zstd\r\n", "zstd"},
      {"Accept-Encoding: deflate, compress, dcb\r\n", "none"},
      {"Accept-Encoding: gzip, deflate\r\n", "gzip"},
      {"Accept-Encoding: gzip, deflate, br, zstd\r\n", "zstd"},
      {"Accept-Encoding: *\r\n", "zstd"},
      {"Accept-Encoding: *;q=0\r\n", "none"},
      {"Accept-Encoding: gzip;q=0.5, br;q=0.4\r\n", "gzip"},
      {"Accept-Encoding: gzip;q=1.0, identity;q=0.5, *;q=0\r\n", "gzip"},
      {"Accept-Encoding: gzip;q=0, identity\r\n", "none"},
      {"Accept-Encoding: identity, gzip;q=0.5\r\n", "none"},
      {"Accept-Encoding: identity;q=0\r\n", "none"},
      {"Accept-Encoding: identity;q=0, deflate\r\n", "none"},
      {"Accept-Encoding: gzip;q=2\r\n", "none"},
      {"Accept-Encoding: compress\r\nAccept-Encoding: gzip\r\n", "gzip"},
      {"Accept-Encoding: zstd;q=0, *\r\n", "br"},
  }};
  for (const auto& [fields, coding] : cases) {
    const std::string text = get_with(app_of([](Request&) { return Response::text(long_text); }), fields);
    EXPECT_TRUE(text.starts_with("HTTP/1.1 200 ")) << text;
    EXPECT_EQ(header_of(text, "Content-Encoding"), coding) << fields;
    EXPECT_EQ(header_of(text, "Vary"), "Accept-Encoding") << fields;
    EXPECT_EQ(header_of(text, "Content-Length"), std::to_string(body_of(text).size())) << fields;
    if (coding == "none") EXPECT_EQ(body_of(text), long_text) << fields;
  }
}

TEST_F(HttpCompression, literal_bytes_of_gzip) {
  const std::string text = get_gzip(app_of([](Request&) { return Response::text(long_text); }));
  // RFC 1952: magic, deflate, no flags, no time, no extra flags, Unix
  EXPECT_TRUE(body_of(text).starts_with(std::string_view("\x1f\x8b\x08\0\0\0\0\0\0\x03", 10)));
  EXPECT_EQ(gunzip(body_of(text)), long_text);
}

TEST_F(HttpCompression, responses_that_must_not_change_are_left_as_they_are) {
  struct Case {
    std::string_view name;
    Response (*handler)(Request&);
    std::string_view vary;
  };
  const std::array cases{
      Case{"short", [](Request&) { return Response::text(std::string(1023, 'a')); }, "Accept-Encoding"},
      Case{"image", [](Request&) { return Response{.body = long_text, .content_type = "image/png"}; }, "none"},
      Case{"no type", [](Request&) { return Response{.body = long_text}; }, "none"},
      Case{"coded", [](Request&) { return Response::text(long_text).header("Content-Encoding", "br"); }, "none"},
      Case{"no-transform",
           [](Request&) { return Response::text(long_text).header("cache-control", "private, No-Transform"); }, "none"},
      Case{"digest", [](Request&) { return Response::text(long_text).header("Repr-Digest", "sha-256=:AA==:"); },
           "none"},
      Case{"part", [](Request&) { return Response::text(long_text, 206).header("Content-Range", "bytes 0-2999/9999"); },
           "Accept-Encoding"},
      Case{"range", [](Request&) { return Response::text(long_text, 416).header("Content-Range", "bytes */9"); },
           "Accept-Encoding"},
      Case{"no content", [](Request&) { return Response{.status = 204, .content_type = "text/plain"}; }, "none"},
      Case{"empty", [](Request&) { return Response::text(""); }, "Accept-Encoding"},
      Case{"short stream",
           [](Request&) {
             return Response{
                 .body = http::StreamedBody{.producer = [](BodyWriter& body) { return body.send("abc"); }, .length = 3},
                 .content_type = "text/plain"};
           },
           "Accept-Encoding"},
  };
  for (const auto& [name, handler, vary] : cases) {
    const std::string text = get_gzip(app_of(handler));
    EXPECT_NE(header_of(text, "Content-Encoding"), "gzip") << name;
    EXPECT_EQ(header_of(text, "Vary"), vary) << name << text;
    EXPECT_FALSE(body_of(text).contains('\x1f')) << name;
  }
  std::string random;
  for (std::uint32_t x = 1; random.size() < 2000; x = x * 1664525 + 1013904223) random += static_cast<char>(x >> 24);
  static const std::string incompressible = random;
  const std::string text = get_gzip(app_of([](Request&) { return Response::text(incompressible); }));
  EXPECT_EQ(body_of(text), incompressible);
}

TEST_F(HttpCompression, compressible_types_are_those_that_become_shorter) {
  for (const char* type : {"text/html", "text/event-stream", "application/json", "application/ld+json", "image/svg+xml",
                           "application/wasm", "text/javascript", "font/ttf", "application/vnd.ms-fontobject"}) {
    EXPECT_TRUE(http::is_compressible_type(type)) << type;
  }
  for (const char* type : {"", "text", "image/png", "font/woff2", "application/zip", "application/octet-stream",
                           "multipart/byteranges", "video/mp4", "application/pdf"}) {
    EXPECT_FALSE(http::is_compressible_type(type)) << type;
  }
  const std::string text = get_gzip(app_of([](Request&) {
    return Response{.headers = {{"content-type", "Application/JSON ; charset=utf-8"}}, .body = long_text};
  }));
  EXPECT_EQ(header_of(text, "Content-Encoding"), "gzip");
}

TEST_F(HttpCompression, vary_is_extended_and_not_repeated) {
  const auto vary_of = [](Response (*handler)(Request&)) { return header_of(get_gzip(app_of(handler)), "Vary"); };
  EXPECT_EQ(vary_of([](Request&) { return Response::text(long_text).header("Vary", "Origin"); }),
            "Origin, Accept-Encoding");
  EXPECT_EQ(vary_of([](Request&) { return Response::text(long_text).header("Vary", "accept-encoding, Origin"); }),
            "accept-encoding, Origin");
  EXPECT_EQ(vary_of([](Request&) { return Response::text(long_text).header("Vary", "*"); }), "*");
}

TEST_F(HttpCompression, head_has_the_headers_of_get) {
  const auto head_of = [](std::string_view method) {
    const std::string text =
        answer(app_of([](Request&) { return Response::text(long_text).header("ETag", "\"1\""); }),
               fmt::format("{} / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\nConnection: close\r\n\r\n", method));
    return text.substr(0, text.find("\r\n\r\n"));
  };
  EXPECT_EQ(head_of("HEAD"), head_of("GET"));
  EXPECT_TRUE(head_of("HEAD").contains("Content-Encoding: br"));
}

// RFC 9110, sections 8.8.1, 13.1.2 and 15.4.5
TEST_F(HttpCompression, etag_of_a_compressed_response_is_weak_and_revalidated) {
  App app = bare();
  app.use(http::compression());
  app.file({.path = "/", .content_type = "text/css", .body = long_text});
  const Handler handler = http::handler(std::move(app));
  run([&]() -> Task<> {
    const auto get = [&](std::string fields) {
      return ask(handler, fmt::format("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields));
    };
    const std::string plain = co_await get("");
    const std::string strong = header_of(plain, "ETag");
    const std::string coded = co_await get("Accept-Encoding: gzip\r\n");
    EXPECT_EQ(header_of(coded, "ETag"), "W/" + strong);
    EXPECT_EQ(gunzip(body_of(coded)), long_text);
    const std::string again = co_await get("Accept-Encoding: gzip\r\nIf-None-Match: W/" + strong + "\r\n");
    EXPECT_TRUE(again.starts_with("HTTP/1.1 304 ")) << again;
    EXPECT_EQ(header_of(again, "ETag"), "W/" + strong);
    EXPECT_EQ(header_of(again, "Vary"), "Accept-Encoding");
    const std::string identity = co_await get("If-None-Match: " + strong + "\r\n");
    EXPECT_TRUE(identity.starts_with("HTTP/1.1 304 ")) << identity;
    EXPECT_EQ(header_of(identity, "ETag"), strong);
    EXPECT_EQ(header_of(identity, "Vary"), "Accept-Encoding");
    const std::string other = co_await get("Accept-Encoding: gzip\r\nIf-None-Match: \"x\"\r\n");
    EXPECT_TRUE(other.starts_with("HTTP/1.1 200 ")) << other;
  });
}

// RFC 9110, sections 15.3.7 and 15.4.5
TEST_F(HttpCompression, vary_of_a_304_and_a_206_is_that_of_the_200) {
  const test::Folder folder;
  const std::string root = std::filesystem::path(folder.path("a")).parent_path();
  for (const char* name : {"a.bin", "a.txt", "a.jpg"}) std::ofstream(folder.path(name)) << long_text;
  App app = bare();
  app.use(http::compression());
  app.mount("/f", http::folder(root));
  app.mount("/kept", http::folder(root, {.cache_control = "no-transform"}));
  app.file({.path = "/m.png", .content_type = "image/png", .body = long_text});
  app.file({.path = "/m.css", .content_type = "text/css", .body = long_text});
  const Handler handler = http::handler(std::move(app));
  run([&]() -> Task<> {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 6> cases{{{"/f/a.bin", "none"},
                                                                                  {"/f/a.jpg", "none"},
                                                                                  {"/f/a.txt", "Accept-Encoding"},
                                                                                  {"/kept/a.txt", "none"},
                                                                                  {"/m.png", "none"},
                                                                                  {"/m.css", "Accept-Encoding"}}};
    for (const auto& [path, vary] : cases) {
      const auto get = [&handler, path](std::string_view fields) {
        return ask(handler, fmt::format("GET {} HTTP/1.1\r\nHost: a\r\n{}\r\n", path, fields));
      };
      for (const std::string_view fields : {"", "Accept-Encoding: gzip\r\n"}) {
        const std::string whole = co_await get(fields);
        EXPECT_EQ(header_of(whole, "Vary"), vary) << path;
        const std::string unmodified =
            co_await get(fmt::format("{}If-None-Match: {}\r\n", fields, header_of(whole, "ETag")));
        EXPECT_TRUE(unmodified.starts_with("HTTP/1.1 304 ")) << unmodified;
        EXPECT_EQ(header_of(unmodified, "Vary"), vary) << path;
        EXPECT_EQ(header_of(unmodified, "Content-Type"), "none") << path;
      }
    }
    const std::string parts = co_await ask(handler, "GET /f/a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,5-6\r\n\r\n");
    EXPECT_TRUE(parts.starts_with("HTTP/1.1 206 ")) << parts;
    EXPECT_EQ(header_of(parts, "Vary"), "Accept-Encoding");
  });
}

TEST_F(HttpCompression, files_of_a_folder_are_compressed_while_they_are_sent) {
  const test::Folder folder;
  const std::string data = mixed_text(300'000);
  const std::string path = folder.path("a.txt");
  std::ofstream(path) << data;
  App app = bare();
  app.use(http::compression());
  app.mount("/", http::folder(std::filesystem::path(path).parent_path()));
  const Handler handler = http::handler(std::move(app));
  run([&]() -> Task<> {
    const std::string coded =
        co_await ask(handler, "GET /a.txt HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(header_of(coded, "Transfer-Encoding"), "chunked");
    EXPECT_EQ(header_of(coded, "Content-Length"), "none");
    EXPECT_EQ(header_of(coded, "Accept-Ranges"), "none");
    EXPECT_TRUE(header_of(coded, "ETag").starts_with("W/\""));
    EXPECT_LT(coded.size(), data.size() / 2);
    EXPECT_EQ(gunzip(unchunked(body_of(coded))), data);
    const std::string part =
        co_await ask(handler, "GET /a.txt HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nRange: bytes=0-9\r\n\r\n");
    EXPECT_TRUE(part.starts_with("HTTP/1.1 206 ")) << part;
    EXPECT_EQ(body_of(part), data.substr(0, 10));
    EXPECT_EQ(header_of(part, "Vary"), "Accept-Encoding");
    EXPECT_EQ(header_of(part, "Content-Encoding"), "none");
  });
}

TEST_F(HttpCompression, memory_of_what_is_compressed_while_it_is_sent_is_limited) {
  const auto handler_with = [](std::size_t memory) {
    App app = bare();
    app.use(http::compression({.memory_bytes_max = memory}));
    app.get("/long", [](Request&) { return Response::text(mixed_text(100'000)); });
    app.get("/short", [](Request&) { return Response::text(long_text); });
    app.get("/stream", [](Request&) {
      return Response::stream("text/plain", [](BodyWriter& writer) -> Task<> { co_await writer.send("one"); });
    });
    return http::handler(std::move(app));
  };
  run([&]() -> Task<> {
    const Handler little = handler_with(200_KiB);
    const Handler enough = handler_with(300_KiB);  // for one at a time
    for (const char* path : {"/long", "/stream", "/long"}) {
      const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n", path);
      const std::string plain = co_await ask(little, request);
      EXPECT_EQ(header_of(plain, "Content-Encoding"), "none") << path;
      EXPECT_EQ(header_of(plain, "Vary"), "Accept-Encoding") << path;
      EXPECT_EQ(header_of(co_await ask(enough, request), "Content-Encoding"), "gzip") << path;
    }
    const std::string brief = co_await ask(little, "GET /short HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    EXPECT_EQ(header_of(brief, "Content-Encoding"), "gzip");
  });
}

TEST_F(HttpCompression, long_texts_are_sent_in_pieces) {
  static const std::string data = mixed_text(1'000'003);
  for (const auto handler :
       {+[](Request&) { return Response::text(data); },
        +[](Request&) { return Response{.body = http::StaticBytes(data), .content_type = "text/plain"}; }}) {
    const std::string text = get_gzip(app_of(handler));
    EXPECT_EQ(header_of(text, "Transfer-Encoding"), "chunked");
    EXPECT_EQ(gunzip(unchunked(body_of(text))), data);
  }
  // HTTP/1.0 has no chunks: the end of the connection is that of the body.
  const std::string old = answer(app_of([](Request&) { return Response::text(data); }),
                                 "GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(header_of(old, "Connection"), "close");
  EXPECT_EQ(gunzip(body_of(old)), data);
}

TEST_F(HttpCompression, each_send_of_a_stream_can_be_decoded_when_it_arrives) {
  for (const char* coding : {"gzip", "br", "zstd"}) {
    run([&]() -> Task<> {
      auto [server, client] = memory_stream_pair();
      Event received;
      App app = bare();
      app.use(http::compression());
      app.get("/", [&](Request&) {
        return Response::stream("text/event-stream", [&](BodyWriter& body) -> Task<> {
          co_await body.send("data: 1\n\n");
          co_await received.wait();
          co_await body.send("");
          co_await body.send("data: 2\n\n");
        });
      });
      const Handler handler = http::handler(std::move(app));
      const auto read = [&]() -> Task<> {
        const std::string request =
            fmt::format("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {}\r\nConnection: close\r\n\r\n", coding);
        co_await client->send(request);
        std::string text;
        while (text.find("\r\n\r\n") == std::string::npos || !text.ends_with("\r\n") || body_of(text).empty()) {
          text += (co_await client->recv()).string();
        }
        const std::string first = unchunked(body_of(text));
        if (coding == std::string_view("gzip")) EXPECT_EQ(gunzip(first), "not complete: data: 1\n\n");
        EXPECT_FALSE(first.empty());
        received.set();
        const std::string rest = co_await test::read_all(*client);
        EXPECT_TRUE(rest.ends_with("0\r\n\r\n"));
        if (coding == std::string_view("gzip")) EXPECT_EQ(gunzip(first + unchunked(rest)), "data: 1\n\ndata: 2\n\n");
      };
      co_await all(test::serve_one(*server, handler), read());
    });
  }
}

TEST_F(HttpCompression, sends_of_several_tasks_are_not_mixed) {
  static const std::string first = mixed_text(200'000);
  static const std::string second(100'000, 'b');
  const std::string text = get_gzip(app_of([](Request&) {
    return Response::stream("text/plain", [](BodyWriter& body) -> Task<> {
      co_await all(body.send(first), body.send(second), body.send("c"));
    });
  }));
  EXPECT_EQ(gunzip(unchunked(body_of(text))), first + second + "c");
}

TEST_F(HttpCompression, a_send_that_is_cancelled_in_the_middle_cuts_the_body) {
  run([]() -> Task<> {
    auto [server, client] = memory_stream_pair(100);
    Event is_cancelled;
    App app = bare();
    app.use(http::compression());
    app.get("/", [&](Request&) {
      return Response::stream("text/plain", [&](BodyWriter& body) -> Task<> {
        const std::string text = mixed_text(20'000);
        co_await outcome(timeout(std::chrono::milliseconds(1), body.send(text)));
        is_cancelled.set();
        co_await body.send("end");
      });
    });
    const Handler handler = http::handler(std::move(app));
    const auto read = [&]() -> Task<> {
      co_await client->send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n");
      std::string text;
      while (!text.contains("\r\n\r\n")) text += (co_await client->recv()).string();
      co_await is_cancelled.wait();
      text += co_await test::read_all(*client);
      EXPECT_FALSE(text.ends_with("0\r\n\r\n"));
    };
    const auto serve = [&]() -> Task<> {
      co_await test::serve_one(*server, handler);
      server->close();
    };
    co_await all(serve(), read());
  });
}

TEST_F(HttpCompression, a_producer_that_throws_cuts_the_body) {
  const std::string text = get_gzip(app_of([](Request&) {
    return Response::stream("text/plain", [](BodyWriter& body) -> Task<> {
      co_await body.send("abc");
      throw std::runtime_error("broken");
    });
  }));
  EXPECT_FALSE(text.ends_with("0\r\n\r\n"));
}

}  // namespace coax::compression_test
