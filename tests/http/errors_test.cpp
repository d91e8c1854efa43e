// Errors of an app in one form, and one line in the log for each refusal, with what is known about the request.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "coax/http/csrf.hpp"
#include "coax/http/form.hpp"
#include "coax/http/json.hpp"
#include "coax/http/middleware.hpp"
#include "coax/http/session.hpp"
#include "coax/http/template.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/http.hpp"

namespace coax::errors_test {
namespace {

using http::App;
using http::BodyReader;
using http::Request;
using http::Response;
using test::answer;
using test::body_of;
using test::header_of;

struct Todo {
  int priority = 1;
  static constexpr auto members() { return std::tuple(http::member("priority", &Todo::priority).range(1, 5)); }
};

http::AppOptions small() { return {.message = {.body_bytes_max = 100}, .headers = {}, .hosts = {"a"}}; }

App make_app(http::AppOptions options = small()) {
  App app(std::move(options));
  app.get("/missing", [](Request&) -> Response { throw http::StatusError(404, "there is no todo 7"); });
  app.get("/broken", [](Request&) -> Response { throw std::runtime_error("the secret"); });
  app.post("/todo", [](Request& request) { return Response::json(http::read_json<Todo>(request)); });
  app.post("/user", [](Request&) -> Response { throw http::ValidationError("email", "is in use"); });
  app.post("/many", [](Request&) -> Response {
    throw http::ValidationError(std::vector<http::FieldError>{{"a", "is missing"}, {"b", "is missing"}});
  });
  app.post("/stream",
           [](Request&, BodyReader& body) -> Task<Response> { co_return Response::text(co_await body.read_all(10)); });
  app.get("/own", [](Request&) { return Response::text("own", 404); });
  return app;
}

std::string request(std::string_view method_and_path, std::string_view fields = "", std::string_view body = "") {
  return fmt::format("{} HTTP/1.1\r\nHost: a\r\n{}Content-Length: {}\r\n\r\n{}", method_and_path, fields, body.size(),
                     body);
}

// "404 text/plain; charset=utf-8: BODY"
std::string summary(const std::string& response) {
  return response.substr(9, 3) + " " + header_of(response, "Content-Type") + ": " + body_of(response);
}

const std::string long_body(101, 'x');

class HttpErrors : public ::testing::Test {
 protected:
  void SetUp() override {
    log::set_sink([this](const log::Record& record) { lines.emplace_back(record.text); });
  }
  void TearDown() override { log::set_sink(nullptr); }
  // The lines since the last call.
  std::string logged() {
    std::string all;
    for (const std::string& line : lines) all += line + "\n";
    lines.clear();
    return all;
  }

  std::vector<std::string> lines;
};

}  // namespace

TEST_F(HttpErrors, are_text_unless_the_client_prefers_json) {
  const auto ask = [](std::string_view what, std::string_view accept) {
    return summary(answer(make_app(), request(what, accept.empty() ? "" : fmt::format("Accept: {}\r\n", accept))));
  };
  const std::string text = "404 text/plain; charset=utf-8: 404 Not Found: there is no todo 7\n";
  const std::string json = "404 application/json: {\"errors\":[{\"field\":\"\",\"message\":\"there is no todo 7\"}]}\n";
  for (const char* accept : {"", "*/*", "text/html,*/*;q=0.8", "text/html, application/json;q=0.9", "image/png"}) {
    EXPECT_EQ(ask("GET /missing", accept), text) << accept;
  }
  for (const char* accept : {"application/json", "application/json, text/plain, */*"}) {
    EXPECT_EQ(ask("GET /missing", accept), json) << accept;
  }
  EXPECT_EQ(ask("GET /none", "application/json"),
            "404 application/json: {\"errors\":[{\"field\":\"\",\"message\":\"Not Found\"}]}\n");
  EXPECT_EQ(ask("GET /broken", "application/json"),
            "500 application/json: {\"errors\":[{\"field\":\"\",\"message\":\"Internal Server Error\"}]}\n");
}

TEST_F(HttpErrors, have_one_form_in_all_places) {
  const auto ask = [](const std::string& bytes) {
    App app = make_app();
    app.errors(http::json_error);
    return summary(answer(std::move(app), bytes));
  };
  const auto json = [](int status, std::string_view message, std::string_view field = "") {
    return fmt::format(R"({} application/json: {{"errors":[{{"field":"{}","message":"{}"}}]}})", status, field,
                       message) +
           "\n";
  };
  constexpr const char* type = "Content-Type: application/json\r\n";
  EXPECT_EQ(ask(request("GET /missing")), json(404, "there is no todo 7"));
  EXPECT_EQ(ask(request("GET /none")), json(404, "Not Found"));
  EXPECT_EQ(ask(request("POST /none", "", "x")), json(404, "Not Found"));
  EXPECT_EQ(ask(request("PUT /todo")), json(405, "Method Not Allowed"));
  EXPECT_EQ(ask(request("POST /todo", type, R"({"priority":9})")), json(422, "must be 1 to 5", "priority"));
  EXPECT_EQ(ask(request("POST /user")), json(422, "is in use", "email"));
  EXPECT_TRUE(ask(request("POST /todo", type, "{")).starts_with("400 application/json: {\"errors\":[{\"field\":\"\""));
  EXPECT_EQ(ask(request("POST /todo", "", "{}")), json(415, "the body must be application/json"));
  EXPECT_EQ(ask(request("POST /todo", type, long_body)), json(413, "a body that is too long"));
  EXPECT_EQ(ask(request("POST /stream", type, long_body)), json(413, "a body that is too long"));
  EXPECT_EQ(ask(request("POST /stream", type, "12345678901")), json(413, "the body is too long"));
  EXPECT_EQ(ask("POST /todo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n"),
            json(413, "a body that is too long"));
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: other\r\n\r\n"), json(421, "this server has no such host"));
  EXPECT_EQ(ask(request("GET /broken")), json(500, "Internal Server Error")) << "without the reason";
  EXPECT_EQ(ask(request("GET /own")), "404 text/plain; charset=utf-8: own") << "not an error, but a response";
  EXPECT_EQ(ask("GET /\xFF HTTP/1.1\r\nHost: a\r\n\r\n").substr(0, 14), "400 text/plain") << "there is no request";
}

TEST_F(HttpErrors, a_body_that_cannot_be_framed_is_refused_before_its_route_is_asked) {
  const std::string chunk = "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n";
  for (const char* line : {"POST /none", "PUT /todo", "POST /todo", "GET /own"}) {
    EXPECT_EQ(answer(make_app(), fmt::format("{} HTTP/1.1\r\n{}", line, chunk)).substr(9, 3), "400") << line;
    EXPECT_EQ(answer(make_app(), request(line, "", long_body)).substr(9, 3), "413") << line;
  }
}

TEST_F(HttpErrors, of_what_is_no_exception_are_as_usual) {
  App app = make_app();
  app.use(http::access_log()).use(http::security_headers());
  app.get("/thrown", [](Request&) -> Response { throw 42; });
  app.errors([](Request&, const http::StatusError&) -> Response { throw 43; });
  const std::string text = answer(std::move(app), request("GET /thrown"));
  EXPECT_TRUE(text.starts_with("HTTP/1.1 500 ")) << text;
  EXPECT_NE(header_of(text, "Content-Security-Policy"), "none") << text;
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "the handler failed for memory: it threw something that is not a std::exception; GET /thrown");
  EXPECT_EQ(lines[1],
            "the handler of App::errors() failed for memory: it threw something that is not a std::exception; "
            "GET /thrown");
  EXPECT_TRUE(lines[2].contains("\"GET /thrown HTTP/1.1\" 500 26 ")) << lines[2];
  lines.clear();
  app = make_app();
  app.get("/", [](Request&) {
    return Response::stream("text/plain", [](http::BodyWriter&) -> Task<> {
      co_await checkpoint();
      throw 42;
    });
  });
  EXPECT_FALSE(answer(std::move(app), request("GET /")).ends_with("0\r\n\r\n"));
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0], "the body for memory is cut short: it threw something that is not a std::exception");
}

TEST_F(HttpErrors, several_errors_of_a_request_are_one_response) {
  EXPECT_EQ(summary(answer(make_app(), request("POST /many"))),
            "422 application/json: {\"errors\":[{\"field\":\"a\",\"message\":\"is missing\"},"
            "{\"field\":\"b\",\"message\":\"is missing\"}]}\n");
  EXPECT_THROW(http::ValidationError(std::vector<http::FieldError>()), Error);
}

TEST_F(HttpErrors, of_fields_are_text_for_a_client_that_prefers_it) {
  const auto ask = [](std::string_view what, std::string_view accept) {
    return answer(make_app(), request(what, accept.empty() ? "" : fmt::format("Accept: {}\r\n", accept)));
  };
  for (const char* accept : {"", "*/*", "application/json", "text/html, application/json", "image/png",
                             "text/html;q=0.8, application/json;q=0.9", "text/*;q=0.5, */*"}) {
    EXPECT_TRUE(summary(ask("POST /many", accept)).starts_with("422 application/json: {\"errors\":")) << accept;
  }
  for (const char* accept : {"text/html,application/xhtml+xml,*/*;q=0.8", "text/html", "text/plain, */*;q=0.1"}) {
    const std::string text = ask("POST /many", accept);
    EXPECT_EQ(summary(text), "422 text/plain; charset=utf-8: 422 Unprocessable Content: a is missing\nb is missing\n");
    EXPECT_EQ(header_of(text, "Vary"), "Accept");
  }
  EXPECT_EQ(body_of(ask("POST /user", "text/html")), "422 Unprocessable Content: email is in use\n");
}

TEST_F(HttpErrors, without_a_reason_have_the_phrase_of_the_status) {
  EXPECT_EQ(http::StatusError(404).reason(), "Not Found");
  EXPECT_EQ(http::StatusError(404, "find", "it", "").reason(), "Not Found");
  EXPECT_EQ(http::StatusError(418).reason(), "status 418");
  EXPECT_EQ(http::StatusError(200).reason(), "Internal Server Error");
  const auto ask = [](http::StatusError error, std::string_view fields = "") {
    App app(small());
    app.get("/", [&](Request&) -> Response { throw error; });
    return body_of(answer(std::move(app), request("GET /", fields)));
  };
  EXPECT_EQ(ask(http::StatusError(404)), "404 Not Found\n");
  EXPECT_EQ(ask(http::StatusError(418)), "418\n");
  EXPECT_EQ(ask(http::StatusError(418, "a teapot")), "418: a teapot\n");
  EXPECT_EQ(ask(http::StatusError(418), "Accept: application/json\r\n"),
            "{\"errors\":[{\"field\":\"\",\"message\":\"status 418\"}]}\n");
}

// RFC 9110, section 12.5.3: Accept-Encoding is for a 415 because of the coding only.
TEST_F(HttpErrors, a_body_in_a_content_coding_is_415) {
  const auto ask = [](std::string_view path, std::string_view type, std::string_view coding, bool with_page = false) {
    App app = make_app();
    app.post("/form", [](Request& request) -> Task<Response> {
      co_return Response::text(std::string((co_await http::read_form(request)).value("a")));
    });
    if (with_page) app.errors(http::json_error);
    const std::string fields = fmt::format("Content-Type: {}\r\n{}", type, coding);
    const std::string text = answer(std::move(app), request(path, fields, path == "POST /form" ? "a=1" : "{}"));
    return text.substr(9, 3) + " " + header_of(text, "Accept-Encoding");
  };
  const char* const form = "application/x-www-form-urlencoded";
  for (const char* coding : {"Content-Encoding: gzip\r\n", "Content-Encoding: identity, br\r\n",
                             "Content-Encoding: identity\r\nContent-Encoding: x\r\n"}) {
    EXPECT_EQ(ask("POST /todo", "application/json", coding), "415 identity") << coding;
    EXPECT_EQ(ask("POST /todo", "application/json", coding, true), "415 identity") << coding;
    EXPECT_EQ(ask("POST /form", form, coding), "415 identity") << coding;
    EXPECT_EQ(ask("POST /todo", "text/plain", coding), "415 none") << coding;
    EXPECT_EQ(ask("POST /form", "text/plain", coding), "415 none") << coding;
  }
  for (const char* coding : {"", "Content-Encoding: Identity\r\n", "Content-Encoding:\r\n"}) {
    EXPECT_EQ(ask("POST /form", form, coding), "200 none") << coding;
    EXPECT_EQ(ask("POST /todo", "application/json", coding), "422 none") << coding;
  }
}

TEST_F(HttpErrors, a_page_of_the_app_has_the_status_and_its_headers) {
  const http::Templates pages = http::Templates::in_memory({{"error.html", "<h1>{{ status }}</h1><p>{{ reason }}\n"}});
  const auto ask = [&](std::string_view what, bool is_development = false) {
    http::AppOptions options = small();
    options.development = is_development;
    App app = make_app(std::move(options));
    app.use(http::request_id());
    app.errors([&](Request& request, const http::StatusError& error) {
      if (request.path() == "/fail") throw std::runtime_error("no page");
      if (error.status() == 422) return Response::redirect("/form");
      return Response::html(pages.render("error.html", {{"status", error.status()}, {"reason", error.reason()}}));
    });
    app.get("/fail", [](Request&) -> Response { throw http::StatusError(409, "no"); });
    return answer(std::move(app), request(what));
  };
  EXPECT_EQ(summary(ask("GET /missing")), "404 text/html; charset=utf-8: <h1>404</h1><p>there is no todo 7\n");
  EXPECT_EQ(header_of(ask("GET /missing"), "X-Request-Id").size(), 32U);
  EXPECT_EQ(header_of(ask("PUT /todo"), "Allow"), "OPTIONS, POST");
  EXPECT_EQ(summary(ask("GET /broken")), "500 text/html; charset=utf-8: <h1>500</h1><p>Internal Server Error\n");
  EXPECT_EQ(summary(ask("GET /none")), "404 text/html; charset=utf-8: <h1>404</h1><p>Not Found\n");
  EXPECT_EQ(summary(ask("GET /broken", true)), "500 text/html; charset=utf-8: <h1>500</h1><p>the secret\n");
  EXPECT_TRUE(ask("POST /user").starts_with("HTTP/1.1 303 "));
  logged();
  EXPECT_EQ(summary(ask("GET /fail")), "409 text/plain; charset=utf-8: 409 Conflict: no\n");
  EXPECT_TRUE(std::regex_search(logged(), std::regex("the handler of App::errors\\(\\) failed for memory: no page; "
                                                     "GET /fail; request [0-9a-f]{32}\n")));
  EXPECT_THROW(App().errors({}), Error);
}

TEST_F(HttpErrors, a_refusal_is_one_line_with_what_is_known) {
  struct Case {
    std::string bytes;
    const char* line;
  };
  const std::string head = "GET /" + std::string(9000, 'x');
  for (const Case& one : std::initializer_list<Case>{
           {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "400 a malformed start line; GET /a b HTTP/1.1"},
           {"\x01\x02", "400 not HTTP; \\x01\\x02"},
           {"GET /a HTTP/1.1\r\n\r\n", "400 no Host; GET /a HTTP/1.1"},
           {"GET /a HTTP/1.1\r\nHost: a b\r\n\r\n", "400 a malformed Host; GET /a HTTP/1.1"},
           {"GET /a HTTP/1.1\r\nHost: a\r\nX: \x1b[1m\r\n\r\n", "400 a malformed field; GET /a HTTP/1.1"},
           {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "400 the target is malformed; GET /%zz HTTP/1.1"},
           {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "501 no tunnels here; CONNECT a:1 HTTP/1.1"},
           {"GET /\x1b[1m HTTP/1.1\r\nHost: a\r\n\r\n", "400 a malformed start line; GET /\\x1B[1m HTTP/1.1"},
           {"GET /a HTTP/1.1\r\nHost: a\r\n" +
                [] {
                  std::string fields;
                  for (int i = 0; i < 101; ++i) fields += "A: b\r\n";
                  return fields;
                }() +
                "\r\n",
            "431 too many fields; fields_max is 100; GET /a HTTP/1.1"},
           {"GET /a HTTP/1.1\r\nHost: a\r\nX: " + std::string(20000, 'x'),
            "431 a head that is too long; head_bytes_max is 16KiB; GET /a HTTP/1.1"},
           {request("POST /todo", "", long_body), "413 a body that is too long; body_bytes_max is 100B; POST /todo"},
           {request("POST /stream", "", long_body),
            "413 a body that is too long; body_bytes_max is 100B; POST /stream"},
           {request("POST /stream", "", "12345678901"), "413 the body is too long; bytes_max is 10B; POST /stream"},
           {"POST /todo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n",
            "413 a body that is too long; body_bytes_max is 100B; POST /todo"},
           {"GET /a HTTP/1.1\r\nHost: other\r\n\r\n", "421 Misdirected Request; GET /a"},
           {"POST /a HTTP/1.1\r\nHost: other\r\nContent-Length: 9\r\n\r\n", "421 Misdirected Request; POST /a"},
           {request("POST /user"), "422 email is in use; POST /user"},
           {"POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", "404 Not Found; POST /none"},
       }) {
    answer(make_app(), one.bytes);
    EXPECT_EQ(logged(), fmt::format("memory refused: {}\n", one.line));
  }
  answer(make_app(), head);
  EXPECT_TRUE(
      logged().starts_with("memory refused: 414 a start line that is too long; start_line_bytes_max is 8KiB; GET "
                           "/xxxx"));
}

TEST_F(HttpErrors, a_request_that_does_not_come_in_time_is_named_with_the_limit) {
  const auto slow = [&](std::string bytes) {
    test::simulate(1, [&](SimNetwork&) -> Task<> {
      auto [server, client] = memory_stream_pair();
      const Handler handler = http::handler(make_app());
      const auto send = [&]() -> Task<> {
        co_await client->send(bytes);
        co_await sleep(std::chrono::minutes(2));
        client->close();
      };
      co_await all(test::serve_one(*server, handler), send());
    });
    return logged();
  };
  EXPECT_EQ(slow("GET /a HTTP/1.1\r\nHo"),
            "memory refused: 408 the request did not come in time; head is 10s; GET /a HTTP/1.1\n");
  EXPECT_EQ(slow("POST /todo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"),
            "memory refused: 408 the body comes too slowly; body_rate_min is 240; POST /todo\n");
}

TEST_F(HttpErrors, access_log_has_the_only_line_of_a_refusal) {
  const auto ask = [](const std::string& bytes, http::AccessLogOptions options = {}) {
    App app = make_app();
    app.use(http::access_log(std::move(options)));
    return answer(std::move(app), bytes);
  };
  const auto ends = [&](std::string_view end) {
    const std::string all = logged();
    const bool is_one = std::ranges::count(all, '\n') == 1;
    return is_one && all.ends_with(end) ? "" : all;
  };
  ask(request("POST /user"));
  EXPECT_EQ(ends(" \"email is in use\"\n"), "");
  EXPECT_TRUE(ask(request("POST /todo", "", long_body)).starts_with("HTTP/1.1 413 "));
  EXPECT_EQ(ends(" \"a body that is too long; body_bytes_max is 100B\"\n"), "");
  EXPECT_TRUE(ask(request("POST /stream", "", long_body)).starts_with("HTTP/1.1 413 "));
  EXPECT_EQ(ends(" \"a body that is too long; body_bytes_max is 100B\"\n"), "");
  ask(request("GET /none"));
  EXPECT_TRUE(logged().contains("\"GET /none HTTP/1.1\" 404 14 \"\" \"\" "));
  ask("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(logged(), "memory refused: 400 no Host; GET / HTTP/1.1\n") << "there is no request to log";

  std::string line;
  const auto sink = [&](std::string_view text) { line = text; };
  ask(request("POST /user"), {.sink = sink});
  EXPECT_EQ(logged(), "memory refused: 422 email is in use; POST /user\n");
  EXPECT_FALSE(line.contains("is in use")) << "the format of Apache: " << line;
  ask(request("POST /user"), {.format = http::AccessLogOptions::Format::json, .sink = sink});
  EXPECT_EQ(logged(), "");
  EXPECT_TRUE(line.ends_with(",\"reason\":\"email is in use\"}")) << line;
}

TEST_F(HttpErrors, a_form_without_a_token_is_told_from_one_that_is_too_old) {
  const auto reason = [](std::string_view body, bool is_development) {
    App app({.development = is_development});
    app.use(http::sessions());
    app.post("/", [](Request& request, BodyReader& reader) -> Task<Response> {
      const http::Form form = co_await http::read_form(request, reader);
      http::check_csrf(request, form);
      co_return Response{};
    });
    app.post("/script", [](Request& request) {
      http::check_csrf(request);
      return Response{};
    });
    const std::string_view path = body.empty() ? "POST /script" : "POST /";
    return body_of(answer(std::move(app), request(path, "Content-Type: application/x-www-form-urlencoded\r\n", body)));
  };
  EXPECT_EQ(reason("a=b", false), "403 Forbidden: the form has no token: its field _csrf is missing or empty\n");
  EXPECT_EQ(reason("a=b", true),
            "403 Forbidden: the form has no token: its field _csrf is missing or empty: put <input type=\"hidden\" "
            "name=\"_csrf\" value=\"{{ token }}\"> into it, with http::csrf_token() as token\n");
  EXPECT_EQ(reason("_csrf=old", true), "403 Forbidden: the form has expired: reload the page and try again\n");
  EXPECT_EQ(reason("", false), "403 Forbidden: the request has no X-CSRF-Token\n");
  EXPECT_TRUE(reason("", true).contains("with the value of http::csrf_token()"));
}

// A form that cannot be stored, or a file that a handler writes.
TEST_F(HttpErrors, a_full_disk_is_507) {
  for (const int reason : {ENOSPC, EDQUOT, EFBIG}) {
    App app(small());
    app.get("/", [reason](Request&) -> Response { throw Error(reason, "write", "a file of a form"); });
    const std::string full = answer(std::move(app), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(full.starts_with("HTTP/1.1 507 Insufficient Storage\r\n")) << full;
    EXPECT_EQ(body_of(full), "507 Insufficient Storage: the disk is full\n");
  }
}

}  // namespace coax::errors_test
