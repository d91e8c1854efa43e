// Middleware for all requests: ids, the access log, the time limit, security headers, CORS.
#include "coax/http/middleware.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "coax/http/metrics.hpp"
#include "coax/http/status_error.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/http.hpp"

namespace coax::middleware_test {
namespace {

using http::App;
using http::Request;
using http::Response;
using test::answer;
using test::bare;
using test::body_of;
using test::get;
using test::header_of;

class HttpReadyMiddleware : public test::QuietLog {};

App app_with(http::Middleware middleware) {
  App app = bare();
  app.use(std::move(middleware));
  app.get("/", [](Request& request) { return Response::text(std::string(request.id())); });
  app.get("/refused", [](Request&) -> Response { throw http::StatusError(418, "make", "coffee", "a teapot"); });
  app.get("/broken", [](Request&) -> Response { throw std::runtime_error("secret"); });
  app.get("/stream",
          [](Request&) { return Response::stream("text/plain", [](http::BodyWriter&) -> Task<> { co_return; }); });
  return app;
}

}  // namespace

TEST_F(HttpReadyMiddleware, request_ids_are_random_and_in_the_response) {
  const std::string first = get(app_with(http::request_id()), "/");
  const std::string id = header_of(first, "X-Request-Id");
  EXPECT_EQ(id.size(), 32U);
  EXPECT_EQ(body_of(first), id);
  EXPECT_NE(header_of(get(app_with(http::request_id()), "/"), "X-Request-Id"), id);
  for (const char* path : {"/refused", "/broken", "/none"}) {
    const std::string text = get(app_with(http::request_id()), path);
    EXPECT_EQ(header_of(text, "X-Request-Id").size(), 32U) << text;
    EXPECT_FALSE(text.contains("secret"));
  }
}

TEST_F(HttpReadyMiddleware, exceptions_pass_as_responses) {
  for (const char* path : {"/broken", "/refused", "/none"}) {
    const std::string text = get(app_with(http::security_headers()), path);
    EXPECT_NE(header_of(text, "Content-Security-Policy"), "none") << text;
  }
  // Errors of the body, too; they end the connection.
  App app = app_with(http::security_headers());
  app.post("/", [](Request& request, http::BodyReader& body) -> Task<Response> {
    co_return Response::text(co_await body.read_all(3) + std::string(request.method()));
  });
  const std::string malformed = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n";
  const std::string refused = answer(std::move(app), malformed, malformed.size() - 4);
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 400 ")) << refused;
  EXPECT_EQ(header_of(refused, "Connection"), "close");
  EXPECT_NE(header_of(refused, "Content-Security-Policy"), "none") << refused;
}

TEST_F(HttpReadyMiddleware, development_shows_the_reason) {
  const auto ask = [](bool development, std::string_view accept) {
    App app = bare({.development = development});
    app.get("/{name}", [](Request&) -> Response { throw std::runtime_error("a <secret>"); });
    return answer(std::move(app), fmt::format("GET /<b> HTTP/1.1\r\nHost: a\r\n{}\r\n", accept));
  };
  EXPECT_EQ(body_of(ask(false, "Accept: text/html\r\n")), "500 Internal Server Error\n");
  EXPECT_EQ(body_of(ask(true, "")), "500 Internal Server Error: a <secret>\n");
  EXPECT_EQ(body_of(ask(true, "Accept: */*\r\n")), "500 Internal Server Error: a <secret>\n");
  const std::string page = ask(true, "Accept: text/html,*/*;q=0.8\r\n");
  EXPECT_TRUE(page.starts_with("HTTP/1.1 500 ")) << page;
  EXPECT_TRUE(page.contains("<pre>a &lt;secret&gt;</pre>")) << page;
  EXPECT_FALSE(page.contains("<b>")) << page;
}

TEST_F(HttpReadyMiddleware, metrics_count_by_method_route_and_status) {
  test::simulate(1, [](SimNetwork&) -> Task<> {
    const http::Metrics metrics;
    App app = bare();
    app.use(metrics.middleware());
    app.get("/item/{id:int}", [](Request&) -> Task<Response> {
      co_await sleep(std::chrono::milliseconds(30));
      co_return Response::text("x");
    });
    app.get("/broken", [](Request&) -> Response { throw std::runtime_error("broken"); });
    app.get("/metrics", [metrics](Request&) { return metrics.response(); });
    const Handler handler = http::handler(std::move(app));
    for (const char* line : {"GET /item/1", "GET /item/2", "HEAD /item/3", "GET /broken", "GET /none", "BREW /none"}) {
      co_await test::ask(handler, fmt::format("{} HTTP/1.1\r\nHost: a\r\n\r\n", line));
    }
    const std::string text = body_of(co_await test::ask(handler, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"));
    for (const char* line : {
             R"(http_requests_total{method="GET",route="/item/{id:int}",status="200"} 2)",
             R"(http_requests_total{method="HEAD",route="/item/{id:int}",status="200"} 1)",
             R"(http_requests_total{method="GET",route="/broken",status="500"} 1)",
             R"(http_requests_total{method="GET",route="",status="404"} 1)",
             R"(http_requests_total{method="other",route="",status="404"} 1)",
             R"(http_request_duration_seconds_bucket{method="GET",route="/item/{id:int}",le="0.025"} 0)",
             R"(http_request_duration_seconds_bucket{method="GET",route="/item/{id:int}",le="0.05"} 2)",
             "http_requests_in_progress 1",
         }) {
      EXPECT_TRUE(text.contains(std::string(line) + "\n")) << line << " in\n" << text;
    }
  });
}

TEST_F(HttpReadyMiddleware, request_id_of_a_client_is_taken_only_by_option) {
  const auto id_of = [](bool from_request, std::string_view sent) {
    const std::string request = fmt::format("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: {}\r\n\r\n", sent);
    return body_of(answer(app_with(http::request_id({.from_request = from_request})), request));
  };
  EXPECT_NE(id_of(false, "abc-1"), "abc-1");
  EXPECT_EQ(id_of(true, "abc-1"), "abc-1");
  for (const std::string& bad : {std::string(""), std::string("a b"), std::string("a\"b"), std::string(129, 'a'),
                                 std::string("a\r\nX-Request-Id: b"), std::string("\xC3\xA9")}) {
    EXPECT_EQ(id_of(true, bad).size(), 32U) << bad;
  }
}

TEST_F(HttpReadyMiddleware, access_log_has_status_bytes_and_escaped_texts) {
  using Format = http::AccessLogOptions::Format;
  const auto line_of = [](std::string_view request, Format format) {
    std::string all;
    answer(app_with(http::access_log({.format = format, .sink = [&](std::string_view line) { all = line; }})), request);
    return std::regex_replace(all, std::regex(R"(\[[^\]]*\]|"time":"[^"]*"|0\.0\d*)"), "T");
  };
  EXPECT_EQ(line_of("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Format::common), "- - - T \"GET / HTTP/1.1\" 200 0 T");
  EXPECT_EQ(line_of("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n", Format::common),
            "- - - T \"GET /stream HTTP/1.1\" 200 - T");
  EXPECT_EQ(line_of("GET /refused HTTP/1.1\r\nHost: a\r\n\r\n", Format::common),
            "- - - T \"GET /refused HTTP/1.1\" 418 14 T");
  EXPECT_EQ(line_of("GET /broken HTTP/1.1\r\nHost: a\r\n\r\n", Format::common),
            "- - - T \"GET /broken HTTP/1.1\" 500 26 T");
  EXPECT_EQ(line_of("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: x\" 200\\\x80\r\n\r\n", Format::combined),
            "- - - T \"GET / HTTP/1.1\" 200 0 \"\" \"x\\\" 200\\\\\\x80\" T");
  const std::string agent(1500, 'x');
  EXPECT_TRUE(
      line_of("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: " + agent + "\r\n\r\n", Format::combined).contains(agent));
  const std::string json = line_of("GET /?a=%22 HTTP/1.1\r\nHost: a\r\nReferer: \"\r\n\r\n", Format::json);
  EXPECT_TRUE(json.contains(R"("method":"GET","target":"/?a=%22","status":200,"bytes":0,)")) << json;
  EXPECT_TRUE(json.contains(R"("referer":"\"")")) << json;
}

TEST_F(HttpReadyMiddleware, access_log_counts_no_body_that_is_not_sent) {
  const auto bytes_of = [](std::string_view method, int status, bool is_stream = false) {
    std::string line;
    App app = app_with(http::access_log(
        {.format = http::AccessLogOptions::Format::common, .sink = [&](std::string_view text) { line = text; }}));
    app.get("/text", [&](Request&) {
      if (is_stream) return Response::stream("text/plain", [](http::BodyWriter&) -> Task<> { co_return; });
      return Response::text("body", status);
    });
    answer(std::move(app), fmt::format("{} /text HTTP/1.1\r\nHost: a\r\n\r\n", method));
    const std::string rest = line.substr(line.rfind('"') + 2);
    return rest.substr(0, rest.rfind(' '));
  };
  EXPECT_EQ(bytes_of("GET", 200), "200 4");
  EXPECT_EQ(bytes_of("GET", 200, true), "200 -");
  EXPECT_EQ(bytes_of("HEAD", 200), "200 0");
  EXPECT_EQ(bytes_of("HEAD", 200, true), "200 0");
  for (const int status : {204, 205, 304}) EXPECT_EQ(bytes_of("GET", status), fmt::format("{} 0", status));
}

TEST_F(HttpReadyMiddleware, timeout_answers_503_and_cancels_the_handler) {
  test::simulate(1, [](SimNetwork&) -> Task<> {
    bool is_cancelled = false;
    App app = bare();
    app.use(http::timeout(std::chrono::seconds(5)));
    app.get("/slow", [&](Request&) -> Task<Response> {
      try {
        co_await sleep(std::chrono::minutes(1));
      } catch (const Cancelled&) {
        is_cancelled = true;
        throw;
      }
      co_return Response::text("late");
    });
    app.get("/own", [](Request&) -> Task<Response> {
      co_await timeout(std::chrono::seconds(1), sleep(std::chrono::minutes(1)));
      co_return Response{};
    });
    app.get("/quick", [](Request&) { return Response::text("quick"); });
    const Handler handler = http::handler(std::move(app));
    const std::string slow = co_await test::ask(handler, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(slow.starts_with("HTTP/1.1 503 ")) << slow;
    EXPECT_TRUE(is_cancelled);
    const std::string own = co_await test::ask(handler, "GET /own HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(own.starts_with("HTTP/1.1 500 ")) << own;
    const std::string quick = co_await test::ask(handler, "GET /quick HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(body_of(quick), "quick");
  });
}

TEST_F(HttpReadyMiddleware, security_headers_keep_those_of_the_handler) {
  const auto make = [](bool is_secure) {
    App app = bare();
    app.use([=](Request& request, http::Next next) -> Task<Response> {
      request.set_secure(is_secure);
      co_return co_await next(request);
    });
    app.use(http::security_headers({.hsts_max_age = std::chrono::seconds(60)}));
    app.get("/", [](Request&) { return Response{}; });
    app.get("/own", [](Request&) { return Response{}.header("content-security-policy", "default-src *"); });
    return app;
  };
  const std::string text = get(make(false), "/");
  EXPECT_EQ(header_of(text, "Content-Security-Policy"), "default-src 'self'; frame-ancestors 'none'; base-uri 'none'");
  EXPECT_EQ(header_of(text, "Referrer-Policy"), "strict-origin-when-cross-origin");
  EXPECT_EQ(header_of(text, "Strict-Transport-Security"), "none");
  EXPECT_EQ(header_of(get(make(true), "/"), "Strict-Transport-Security"), "max-age=60");
  EXPECT_EQ(header_of(get(make(true), "/own"), "Content-Security-Policy"), "none");
  EXPECT_TRUE(get(make(true), "/none").contains("Content-Security-Policy"));
  EXPECT_THROW(http::security_headers({.referrer_policy = "a\r\nX: y"}), Error);
}

TEST_F(HttpReadyMiddleware, cors_answers_by_origin) {
  struct Case {
    const char* request;
    const char* status;
    const char* origin;  // Access-Control-Allow-Origin
  };
  const http::CorsOptions options{.origins = {"https://a.example"}, .headers = {"X-Key"}, .credentials = true};
  for (const Case& one : std::initializer_list<Case>{
           {"GET / HTTP/1.1\r\nHost: h\r\n", "200", "none"},
           {"GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n", "200", "https://a.example"},
           {"GET /refused HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n", "418", "https://a.example"},
           {"GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://b.example\r\n", "200", "none"},
           {"GET / HTTP/1.1\r\nHost: h\r\nOrigin: http://a.example\r\n", "200", "none"},
           {"GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example.evil\r\n", "200", "none"},
           {"GET / HTTP/1.1\r\nHost: h\r\nOrigin: null\r\n", "200", "none"},
           {"GET / HTTP/1.1\r\nHost: h\r\nOrigin: *\r\n", "200", "none"},
           {"GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\nOrigin: https://b.example\r\n", "200", "none"},
           {"OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n",
            "204", "https://a.example"},
           {"OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: null\r\nAccess-Control-Request-Method: PUT\r\n", "403", "none"},
           {"OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n", "204", "https://a.example"},
       }) {
    const std::string text = answer(app_with(http::cors(options)), std::string(one.request) + "\r\n");
    EXPECT_TRUE(text.starts_with(std::string("HTTP/1.1 ") + one.status)) << one.request << text;
    EXPECT_EQ(header_of(text, "Access-Control-Allow-Origin"), one.origin) << one.request;
    EXPECT_EQ(header_of(text, "Vary"), "Origin") << one.request;
    EXPECT_EQ(header_of(text, "Access-Control-Allow-Credentials"),
              std::string_view(one.origin) == "none" ? "none" : "true");
  }
}

TEST_F(HttpReadyMiddleware, cors_preflight_lists_methods_headers_and_age) {
  const http::CorsOptions options{.origins = {"*"}, .methods = {"GET", "PUT"}, .headers = {"X-Key"}};
  EXPECT_EQ(answer(app_with(http::cors(options)),
                   "OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: null\r\nAccess-Control-Request-Method: PUT\r\n\r\n"),
            "HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: GET\r\n"
            "Access-Control-Allow-Headers: X-Key\r\nAccess-Control-Max-Age: 600\r\n\r\n");
}

TEST_F(HttpReadyMiddleware, cors_preflight_lists_methods_that_the_path_has) {
  const auto methods_of = [](std::string_view path) {
    App app = bare();
    app.use(http::cors({.origins = {"*"}, .methods = {"GET", "HEAD", "POST", "PUT"}}));
    const auto reply = [](Request&) { return Response{}; };
    app.get("/get", reply).post("/post", reply).delete_("/delete", reply).any("/any", reply);
    app.get("/own", reply).route("OPTIONS", "/own", reply);
    app.get("/item/{id}", reply).put("/item/{id}", reply);
    return header_of(answer(std::move(app), fmt::format("OPTIONS {} HTTP/1.1\r\nHost: h\r\nOrigin: null\r\n"
                                                        "Access-Control-Request-Method: POST\r\n\r\n",
                                                        path)),
                     "Access-Control-Allow-Methods");
  };
  EXPECT_EQ(methods_of("/get"), "GET, HEAD");
  EXPECT_EQ(methods_of("/post"), "POST");
  EXPECT_EQ(methods_of("/item/7"), "GET, HEAD, PUT");
  EXPECT_EQ(methods_of("/delete"), "none") << "cors() does not allow it";
  for (const char* path : {"/any", "/own", "/unknown"}) EXPECT_EQ(methods_of(path), "GET, HEAD, POST, PUT") << path;
}

TEST_F(HttpReadyMiddleware, access_log_has_the_status_that_the_client_gets) {
  const auto line_for = [](Response response) {
    std::string line;
    App app = bare();
    app.use(http::access_log(
        {.format = http::AccessLogOptions::Format::common, .sink = [&line](std::string_view text) { line = text; }}));
    app.get("/", [&response](Request&) { return std::move(response); });
    return get(std::move(app), "/").substr(9, 3) + " " + line;
  };
  const std::string header = line_for(Response::text("x").header("A", "b\r\nc"));
  EXPECT_TRUE(header.starts_with("500 ") && header.contains(" 500 ")) << header;
  const std::string status = line_for(Response{.status = 42});
  EXPECT_TRUE(status.starts_with("500 ") && status.contains(" 500 ")) << status;
}

// Automatic responses go through the middleware of the router that has the path.
TEST_F(HttpReadyMiddleware, cors_of_a_mounted_router_answers_preflights_and_other_methods) {
  const auto ask = [](std::string_view method, std::string_view path) {
    http::Router api;
    api.use(http::cors({.origins = {"https://a.example"}, .methods = {"PUT"}, .headers = {"X-Key"}}));
    api.put("/item", [](Request&) { return Response::text("put"); });
    api.websocket("/socket", [](ws::WebSocket&) -> Task<> { co_return; });
    http::App app = bare();
    app.mount("/api", std::move(api));
    app.get("/open", [](Request&) { return Response::text("open"); });
    return answer(std::move(app), fmt::format("{} {} HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n"
                                              "Access-Control-Request-Method: PUT\r\n\r\n",
                                              method, path));
  };
  const std::string preflight = ask("OPTIONS", "/api/item");
  EXPECT_EQ(header_of(preflight, "Access-Control-Allow-Methods"), "PUT") << preflight;
  EXPECT_EQ(header_of(preflight, "Access-Control-Allow-Headers"), "X-Key") << preflight;
  const std::string other = ask("DELETE", "/api/item");
  EXPECT_TRUE(other.starts_with("HTTP/1.1 405 ")) << other;
  EXPECT_EQ(header_of(other, "Access-Control-Allow-Origin"), "https://a.example");
  EXPECT_EQ(header_of(other, "Allow"), "OPTIONS, PUT");
  EXPECT_TRUE(ask("GET", "/api/socket").starts_with("HTTP/1.1 426 "));
  EXPECT_EQ(header_of(ask("OPTIONS", "/open"), "Access-Control-Allow-Origin"), "none");
  for (const std::string_view below : {"/api", "/api/", "/api/none", "/api/none/x", "/api/item/x"}) {
    const std::string none = ask("GET", below);
    EXPECT_TRUE(none.starts_with("HTTP/1.1 404 ")) << none;
    EXPECT_EQ(header_of(none, "Access-Control-Allow-Origin"), "https://a.example") << below;
  }
  EXPECT_EQ(header_of(ask("GET", "/none"), "Access-Control-Allow-Origin"), "none");
  EXPECT_EQ(header_of(ask("GET", "/apix"), "Access-Control-Allow-Origin"), "none");
  EXPECT_EQ(header_of(ask("OPTIONS", "*"), "Allow"), "GET, HEAD, OPTIONS, PUT");
  // A router without a prefix has no say about paths of others.
  http::Router own;
  own.use([](Request&, http::Next) -> Task<Response> { co_return Response::text("no", 403); });
  own.get("/own", [](Request&) { return Response::text("own"); });
  http::App app = bare();
  app.mount("/", std::move(own));
  EXPECT_TRUE(answer(std::move(app), "GET /none HTTP/1.1\r\nHost: h\r\n\r\n").starts_with("HTTP/1.1 404 "));
}

TEST_F(HttpReadyMiddleware, cors_options_that_would_be_unsafe_are_refused) {
  EXPECT_THROW(http::cors({.origins = {"*"}, .credentials = true}), Error);
  for (const char* origin : {"https://a.example/", "a.example", "https://A.example", "https://", "https://*.a.example",
                             "https://a\r\nX: y"}) {
    EXPECT_THROW(http::cors({.origins = {origin}}), Error) << origin;
  }
  EXPECT_THROW(http::cors({.origins = {"*"}, .headers = {"X\r\nY"}}), Error);
}

}  // namespace coax::middleware_test
