// Forms as handlers read them: literal requests in, fields and files out.
#include "coax/http/form.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "coax/base/log.hpp"
#include "coax/http/app.hpp"
#include "coax/http/status_error.hpp"
#include "coax/stream/memory.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/run.hpp"

namespace coax::form_test {
namespace {

using http::App;
using http::BodyReader;
using http::Form;
using http::FormFile;
using http::FormOptions;
using http::Request;
using http::Response;
using test::run;

class HttpForm : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::off); }
  void TearDown() override { log::set_level(log::Level::info); }
};
using HttpStatusError = HttpForm;

Task<> serve_one(Stream& stream, const Handler& handler) {
  Connection connection(stream, 1);
  co_await test::outcome(handler(connection));
  co_await test::outcome(stream.shutdown_send());
  while (co_await stream.recv()) {  // the rest of a body that was refused, as serve() does
  }
}

std::string answer(App app, std::string_view request, std::size_t piece = SIZE_MAX) {
  std::string result;
  run([&]() -> Task<> {
    auto [server, client] = memory_stream_pair();
    const Handler handler = http::handler(std::move(app));
    const auto send = [&]() -> Task<> {
      for (std::size_t at = 0; at < request.size(); at += std::min(piece, request.size())) {
        co_await client->send(request.substr(at, piece));
        co_await test::next_turn();
      }
      co_await client->shutdown_send();
    };
    const auto read = [&]() -> Task<> {
      while (const BytesView bytes = co_await client->recv()) result.append(bytes.text());
    };
    co_await all(serve_one(*server, handler), test::outcome(send()), read());
  });
  return result;
}

// "name=value;" for each field, "[name|filename|type]content;" for each file; those on disk have a "*".
Task<std::string> describe(const Form& form) {
  std::string out;
  for (const auto& [name, value] : form.fields()) out += name + "=" + value + ";";
  for (const FormFile& file : form.files()) {
    const std::string content = co_await file.read();
    EXPECT_EQ(content.size(), file.size());
    out += "[" + file.name() + "|" + file.filename() + "|" + file.content_type() + (file.is_in_memory() ? "]" : "]*");
    out += content.size() > 1000 ? std::to_string(content.size()) + ";" : content + ";";
  }
  co_return out;
}

App form_app(FormOptions options = {}, std::size_t body_bytes_max = SIZE_MAX) {
  App app({.headers = {}});
  app.post("/",
           [options](Request& request, BodyReader& body) -> Task<Response> {
             const Form form = co_await http::read_form(request, body, options);
             co_return Response::text(co_await describe(form));
           },
           {.body_bytes_max = body_bytes_max});
  return app;
}

std::string request_of(std::string_view type, std::string_view body) {
  return fmt::format("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n{}", type,
                     body.size(), body);
}

// The body of a response 200; else its status line and body.
std::string outcome_of(std::string_view response) {
  const std::string body(response.substr(std::min(response.find("\r\n\r\n") + 4, response.size())));
  return response.starts_with("HTTP/1.1 200 ") ? body : body.substr(0, body.find('\n'));
}

std::string post(std::string_view type, std::string_view body, FormOptions options = {}, std::size_t piece = SIZE_MAX) {
  return outcome_of(answer(form_app(options), request_of(type, body), piece));
}

std::string field(std::string_view name, std::string_view value) {
  return fmt::format("--b\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{}\r\n", name, value);
}
std::string file(std::string_view name, std::string_view filename, std::string_view content) {
  return fmt::format(
      "--b\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: image/png\r\n\r\n{}\r\n",
      name, filename, content);
}

constexpr std::string_view urlencoded = "application/x-www-form-urlencoded";
constexpr std::string_view multipart = "multipart/form-data; boundary=b";
constexpr std::string_view end = "--b--\r\n";

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_F(HttpForm, urlencoded_fields_are_read_however_they_are_cut) {
  for (const std::size_t piece : {SIZE_MAX, 1UZ, 7UZ}) {
    EXPECT_EQ(post(urlencoded, "a=1&b=x+y%21&a=2", {}, piece), "a=1;b=x y!;a=2;");
  }
  EXPECT_EQ(post("Application/X-WWW-Form-Urlencoded; charset=utf-8", "a=%C3%A4"), "a=\xC3\xA4;");
  EXPECT_EQ(post(urlencoded, ""), "");
}

TEST_F(HttpForm, multipart_fields_and_files_are_read_however_they_are_cut) {
  const std::string body = field("a", "1") + file("f", "x.png", "\x89PNG\r\n--") + field("a", "2") +
                           file("f", "y.png", "") + file("none", "", "") + std::string(end);
  for (const std::size_t piece : {SIZE_MAX, 1UZ, 7UZ}) {
    EXPECT_EQ(post(multipart, body, {}, piece), "a=1;a=2;[f|x.png|image/png]\x89PNG\r\n--;[f|y.png|image/png];");
  }
  EXPECT_EQ(post(multipart, end), "");
}

TEST_F(HttpForm, a_file_without_a_name_is_a_file_if_it_has_content) {
  EXPECT_EQ(post(multipart, file("f", "", "x") + file("g", "..", "y") + std::string(end)),
            "[f||image/png]x;[g||image/png]y;");
}

TEST_F(HttpForm, values_are_utf8_unless_their_part_says_otherwise) {
  const auto typed = [](std::string_view type) {
    return post(multipart, fmt::format("--b\r\nContent-Disposition: form-data; name=a\r\nContent-Type: {}\r\n\r\n"
                                       "\xE4\r\n--b--",
                                       type));
  };
  EXPECT_EQ(post(multipart, field("a", "\xE4") + std::string(end)), "a=\xEF\xBF\xBD;");
  EXPECT_EQ(typed("text/plain; charset=utf-8"), "a=\xEF\xBF\xBD;");
  EXPECT_EQ(typed("text/plain; charset=iso-8859-1"), "a=\xE4;");
  EXPECT_EQ(typed("application/octet-stream"), "a=\xE4;");
  EXPECT_EQ(post(multipart, field("_charset_", "iso-8859-1") + field("a", "\xE4") + std::string(end)),
            "_charset_=iso-8859-1;a=\xEF\xBF\xBD;");
}

TEST_F(HttpForm, has_lookups_by_name) {
  App app;
  app.post("/", [](Request& request, BodyReader& body) -> Task<Response> {
    const Form form = co_await http::read_form(request, body);
    EXPECT_EQ(form.value("a"), "1");
    EXPECT_EQ(form.value("none"), "");
    EXPECT_TRUE(form.has("empty"));
    EXPECT_FALSE(form.has("none"));
    EXPECT_EQ(form.values("a"), (std::vector<std::string_view>{"1", "2"}));
    EXPECT_TRUE(form.values("none").empty());
    EXPECT_NE(form.file("f"), nullptr);
    EXPECT_EQ(form.file("f") != nullptr ? form.file("f")->filename() : "", "x");
    EXPECT_EQ(form.file("a"), nullptr);
    co_return Response::text("done");
  });
  const std::string body =
      field("a", "1") + field("a", "2") + field("empty", "") + file("f", "x", "1") + file("f", "y", "2");
  EXPECT_EQ(outcome_of(answer(std::move(app), request_of(multipart, body + std::string(end)))), "done");
}

TEST_F(HttpForm, is_read_from_a_body_in_memory_as_well) {
  App app({.headers = {}});
  app.post("/", [](Request& request) -> Task<Response> {
    const Form form = co_await http::read_form(request, {.memory_bytes_max = 3});
    co_return Response::text(co_await describe(form));
  });
  const std::string body = field("a", "1") + file("f", "x", "1234") + file("g", "y", "123") + std::string(end);
  const std::string text = answer(std::move(app), request_of(multipart, body) + request_of(urlencoded, "a=2") +
                                                      request_of(urlencoded, "") + request_of("a/b", ""));
  EXPECT_NE(text.find("\r\n\r\na=1;[f|x|image/png]*1234;[g|y|image/png]123;HTTP"), std::string::npos) << text;
  EXPECT_NE(text.find("\r\n\r\na=2;HTTP/1.1 200 OK"), std::string::npos) << text;
  EXPECT_NE(text.find("HTTP/1.1 415 "), std::string::npos) << text;
}

TEST_F(HttpForm, a_body_that_is_cut_short_is_not_answered) {
  const std::string request = request_of(multipart, field("a", "1") + std::string(end));
  EXPECT_EQ(answer(form_app(), std::string_view(request).substr(0, request.size() - 3)), "");
}

TEST_F(HttpForm, a_long_file_is_on_disk_and_saved_under_a_name) {
  const test::Folder temporary;
  const std::string folder = temporary.path("");
  std::string content;
  for (int i = 0; i < 40'000; ++i) content += std::to_string(i) + "\r\n";
  App app;
  std::string outcomes;
  app.post("/",
           [&](Request& request, BodyReader& body) -> Task<Response> {
             const Form form = co_await http::read_form(request, body, {.memory_bytes_max = 1000, .folder = folder});
             EXPECT_TRUE(std::filesystem::is_empty(folder));
             for (const FormFile& file : form.files()) {
               EXPECT_EQ(file.is_in_memory(), file.size() <= 1000);
               const std::string path = folder + file.name();
               co_await file.save_as(path);
               co_await file.save_as(path + "-again");
               outcomes += co_await test::outcome(file.save_as(path));
               outcomes += " " + co_await test::outcome(file.save_as(folder + "none/x")) + ";";
               EXPECT_EQ(co_await file.read(), read_file(path));
             }
             co_return Response::text("done");
           },
           {.body_bytes_max = SIZE_MAX});
  const std::string body = file("long", "x", content) + file("short", "x", "abc") + std::string(end);
  EXPECT_EQ(outcome_of(answer(std::move(app), request_of(multipart, body), 5000)), "done");
  EXPECT_EQ(outcomes, "other address;other address;");
  for (const char* const name : {"long", "long-again"}) EXPECT_EQ(read_file(folder + name), content);
  for (const char* const name : {"short", "short-again"}) EXPECT_EQ(read_file(folder + name), "abc");
  std::ofstream(folder + "long") << "changed";
  EXPECT_EQ(read_file(folder + "long-again"), content) << "a file of its own";
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 4);
}

TEST_F(HttpForm, a_long_file_is_saved_on_another_file_system_as_well) {
  if (!std::filesystem::is_directory("/dev/shm")) GTEST_SKIP() << "needs a second file system";
  const test::Folder temporary;
  const std::string path = temporary.path("saved");
  App app({.headers = {}});
  app.post("/", [&](Request& request) -> Task<Response> {
    const Form form = co_await http::read_form(request, {.memory_bytes_max = 0, .folder = "/dev/shm"});
    co_await form.files().at(0).save_as(path);
    co_return Response::text("done");
  });
  const std::string content(200'000, 'x');
  const std::string body = file("f", "x", content) + std::string(end);
  EXPECT_EQ(outcome_of(answer(std::move(app), request_of(multipart, body))), "done");
  EXPECT_EQ(read_file(path), content);
}

TEST_F(HttpForm, a_file_goes_to_disk_above_its_share_of_memory) {
  const auto upload = [](std::size_t bytes, FormOptions options) {
    return post(multipart, file("f", "x", std::string(bytes, 'x')) + std::string(end), options);
  };
  EXPECT_EQ(upload(65'536, {}), "[f|x|image/png]65536;");
  EXPECT_EQ(upload(65'537, {}), "[f|x|image/png]*65537;");
  EXPECT_EQ(upload(3, {.memory_bytes_max = 0}), "[f|x|image/png]*xxx;");
  EXPECT_EQ(upload(2'000'000, {}), "[f|x|image/png]*2000000;");
}

TEST_F(HttpForm, a_folder_that_cannot_be_written_is_500) {
  EXPECT_EQ(post(multipart, file("f", "x", "abc") + std::string(end), {.memory_bytes_max = 0, .folder = "/none"}),
            "500 Internal Server Error");
}

TEST_F(HttpForm, above_a_limit_is_413) {
  const std::string two = field("a", "12345") + file("f", "x", "12345") + std::string(end);
  EXPECT_EQ(post(multipart, two, {.parts_max = 1}), "413 Content Too Large: too many parts");
  EXPECT_EQ(post(multipart, two, {.file_bytes_max = 4}), "413 Content Too Large: a file of the form is too long");
  EXPECT_EQ(post(multipart, two, {.file_bytes_max = 5}), "a=12345;[f|x|image/png]12345;");
  EXPECT_EQ(post(multipart, two, {.fields_bytes_max = 20}),
            "413 Content Too Large: the fields of the form are too long");
  EXPECT_EQ(post(urlencoded, "a=1&b=2", {.parts_max = 1}), "413 Content Too Large: the form has too many fields");
  EXPECT_EQ(post(urlencoded, "a=1&b=2", {.fields_bytes_max = 6}),
            "413 Content Too Large: the fields of the form are too long");
}

TEST_F(HttpForm, a_form_above_the_limit_of_its_route_is_413) {
  const std::string two = field("a", "12345") + file("f", "x", "12345") + std::string(end);
  EXPECT_EQ(outcome_of(answer(form_app({}, two.size()), request_of(multipart, two))), "a=12345;[f|x|image/png]12345;");
  EXPECT_EQ(outcome_of(answer(form_app({}, two.size() - 1), request_of(multipart, two))),
            "413 Content Too Large: a body that is too long");
  const std::string chunked =
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
      "Transfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n3\r\n&b=\r\n0\r\n\r\n";
  EXPECT_EQ(outcome_of(answer(form_app({}, 6), chunked, 1)), "a=1;b=;");
  EXPECT_EQ(outcome_of(answer(form_app({}, 5), chunked, 1)), "413 Content Too Large: a body that is too long");
}

TEST_F(HttpForm, other_bodies_are_415_and_malformed_ones_400) {
  EXPECT_EQ(post("application/json", "{}"),
            "415 Unsupported Media Type: the body is not a form: send application/x-www-form-urlencoded or "
            "multipart/form-data");
  EXPECT_EQ(outcome_of(answer(form_app(), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")),
            "415 Unsupported Media Type: a form has one Content-Type");
  EXPECT_EQ(outcome_of(answer(form_app(),
                              "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                              "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx")),
            "415 Unsupported Media Type: its Content-Encoding is not decoded here: send it without one");
  EXPECT_EQ(post("multipart/form-data", "x"), "400 Bad Request: a Content-Type without a boundary");
  EXPECT_EQ(post("multipart/form-data; boundary=\"", "x"), "400 Bad Request: a malformed Content-Type");
  EXPECT_EQ(post(multipart, ""), "400 Bad Request: the body ends before its closing boundary");
  EXPECT_EQ(post(multipart, field("a", "1")), "400 Bad Request: the body ends before its closing boundary");
  EXPECT_EQ(post(multipart, "--b\r\n\r\nx\r\n--b--"), "400 Bad Request: a part without Content-Disposition");
}

TEST_F(HttpForm, a_refused_form_that_was_read_to_its_end_keeps_the_connection) {
  const std::string next = request_of(urlencoded, "a=1");
  const std::string kept = answer(form_app(), request_of(multipart, field("a", "1")) + next);
  EXPECT_TRUE(kept.ends_with("\r\n\r\na=1;")) << kept;
  const std::string closed = answer(form_app(), request_of("text/plain", "some text") + next, 40);
  EXPECT_NE(closed.find("Connection: close"), std::string::npos) << closed;
}

TEST_F(HttpForm, ten_thousand_fields_are_fast_whatever_their_names) {
  std::string body;
  for (int i = 0; i < 10'000; ++i) body += fmt::format("a{}={}&", i % 2 == 0 ? i : 0, i);
  const std::string result = post(urlencoded, body, {.parts_max = 10'000});
  EXPECT_TRUE(result.ends_with("a9998=9998;a0=9999;")) << result.substr(0, 100);
  std::string parts;
  for (int i = 0; i < 10'000; ++i) parts += field("a", "");
  EXPECT_EQ(post(multipart, parts + std::string(end), {.parts_max = 10'000}).size(), 10'000 * 3U);
  EXPECT_EQ(post(multipart, parts + std::string(end)), "413 Content Too Large: too many parts");
}

TEST_F(HttpStatusError, without_a_reason_is_answered_with_the_phrase) {
  App app({.headers = {}});
  app.get("/a", [](Request&) -> Response { throw http::StatusError(404); });
  app.get("/b", [](Request&) -> Response { throw http::StatusError(404, "there is no b"); });
  const std::string text =
      answer(std::move(app), "GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_NE(text.find("\r\n\r\n404 Not Found\nHTTP/1.1 404 Not Found\r\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\r\n\r\n404 Not Found: there is no b\n"), std::string::npos) << text;
  EXPECT_STREQ(http::StatusError(404, "there is no b").what(), "answer the request: there is no b");
}

TEST_F(HttpStatusError, of_a_handler_is_answered_with_its_status) {
  App app({.headers = {}});
  app.get("/sync", [](Request&) -> Response { throw http::StatusError(404, "find", "a page", "no such page"); });
  app.get("/async", [](Request&) -> Task<Response> {
    throw http::StatusError(403, "open", "the door", "members only");
    co_return Response();
  });
  app.get("/wrong",
          [](Request&) -> Response { throw http::StatusError(200, "find", "", "a status that is no error"); });
  const std::string text =
      answer(std::move(app),
             "GET /sync HTTP/1.1\r\nHost: a\r\n\r\nGET /async HTTP/1.1\r\nHost: a\r\n\r\nGET /wrong HTTP/1.1\r\n"
             "Host: a\r\n\r\n");
  EXPECT_TRUE(text.starts_with("HTTP/1.1 404 Not Found\r\n")) << text;
  EXPECT_NE(text.find("\r\n\r\n404 Not Found: no such page\nHTTP/1.1 403 Forbidden\r\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\r\n\r\n403 Forbidden: members only\nHTTP/1.1 500 "), std::string::npos) << text;
  EXPECT_EQ(text.find("close"), std::string::npos) << text;
}

}  // namespace coax::form_test
