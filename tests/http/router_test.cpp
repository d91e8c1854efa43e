// The router: which route answers, and what is answered without one.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <functional>

#include "coax/base/error.hpp"
#include "coax/http/app.hpp"
#include "tests/support/http.hpp"

namespace coax::router_test {
namespace {

using http::App;
using http::Request;
using http::Response;
using http::Router;
using test::answer;
using test::bare;
using test::body_of;
using test::get;

class HttpRouter : public test::QuietLog {};

}  // namespace

TEST_F(HttpRouter, the_most_specific_pattern_wins_whatever_the_order) {
  const auto make = [] {
    App app = bare();
    const auto say = [](const char* text) { return [text](Request&) { return Response::text(text); }; };
    app.get("/{a:path}",
            [](Request& request) { return Response::text("rest " + std::string(request.parameter("a"))); });
    app.get("/{a}/{b}", [](Request& request) {
      return Response::text(fmt::format("two {} {}", request.parameter("a"), request.parameter("b")));
    });
    app.get("/x/{b}", [](Request& request) { return Response::text("x " + std::string(request.parameter("b"))); });
    app.get("/x/y", say("x y"));
    app.get("/x/{b}/z", say("z"));
    app.post("/x/y", say("posted"));
    app.any("/any", [](Request& request) { return Response::text("any " + std::string(request.method())); });
    return app;
  };
  EXPECT_EQ(body_of(get(make(), "/x/y")), "x y");
  EXPECT_EQ(body_of(get(make(), "/x/q")), "x q");
  EXPECT_EQ(body_of(get(make(), "/w/y")), "two w y");
  EXPECT_EQ(body_of(get(make(), "/x/y/z")), "z");
  EXPECT_EQ(body_of(get(make(), "/x/y/w")), "rest x/y/w");
  EXPECT_EQ(body_of(get(make(), "/a%2Fb/c")), "two a/b c");
  EXPECT_EQ(body_of(get(make(), "/")), "rest ");
  EXPECT_EQ(body_of(get(make(), "/any")), "any GET");
  EXPECT_EQ(body_of(answer(make(), "PURGE /any HTTP/1.1\r\nHost: a\r\n\r\n")), "any PURGE");
  EXPECT_EQ(body_of(answer(make(), "POST /x/y HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")), "posted");
}

TEST_F(HttpRouter, another_method_is_405_with_the_methods_of_the_path) {
  const auto make = [] {
    App app = bare();
    const auto say = [](Request&) { return Response::text("x"); };
    app.get("/x", say).put("/x", say).delete_("/{name}", say).patch("/y", say);
    return app;
  };
  const std::string text = answer(make(), "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(text.starts_with("HTTP/1.1 405 ")) << text;
  EXPECT_NE(text.find("Allow: DELETE, GET, HEAD, OPTIONS, PUT\r\n"), std::string::npos) << text;
}

TEST_F(HttpRouter, mounts_below_a_prefix) {
  const auto make = [] {
    Router api;
    api.get("/", [](Request&) { return Response::text("root"); });
    api.get("/of/{name}", [](Request& request) { return Response::text(std::string(request.parameter("name"))); });
    Router outer;
    outer.mount("/v1", std::move(api));
    App app = bare();
    app.mount("/api/{version}", std::move(outer));
    return app;
  };
  EXPECT_EQ(body_of(get(make(), "/api/2/v1/of/me")), "me");
  EXPECT_EQ(body_of(get(make(), "/api/2/v1/")), "root");
  EXPECT_TRUE(get(make(), "/v1/of/me").starts_with("HTTP/1.1 404 "));
}

TEST_F(HttpRouter, refuses_patterns_that_are_malformed_or_there_already) {
  const auto say = [](Request&) { return Response::text("x"); };
  for (const char* pattern : {"/{a:path}/b", "/{...}", "/{a}/{a:path}", "/a//b", "/{a}{b}", "/:id", "/<id>",
                              "/of/<int:id>", "/of/*", "/{a:float}", "/{a:}", "/{:int}", "/{a:int}/{a}", "/{a...}"}) {
    Router router;
    EXPECT_THROW(router.get(pattern, say), Error) << pattern;
  }
  Router router;
  router.get("/of/{name}", say);
  EXPECT_THROW(router.get("/of/{other}", say), Error);
  EXPECT_THROW(router.use(http::Middleware()), Error);
  EXPECT_THROW(router.mount("*", Router()), Error);
  Router other;
  other.get("/{x}", say);
  EXPECT_THROW(router.mount("/of", std::move(other)), Error);
}

TEST_F(HttpRouter, parameters_that_the_pattern_does_not_have_are_errors) {
  const auto reason = [](auto read, std::string_view target = "/note/7") {
    std::string text = "none";
    App app = bare();
    const auto handle = [&](Request& request) {
      try {
        read(request);
      } catch (const Error& error) {
        text = error.what();
      }
      return Response{};
    };
    app.use([&](Request& request, http::Next next) -> Task<Response> {
      EXPECT_EQ(request.find_parameter("nmae"), std::nullopt);
      if (request.pattern().empty()) handle(request);
      co_return co_await next(request);
    });
    app.get("/note/{id:int}", handle).get("/of/{name}", handle);
    get(std::move(app), target);
    return text;
  };
  EXPECT_EQ(reason([](Request& request) { return request.parameter("id"); }), "none");
  EXPECT_EQ(reason([](Request& request) { return request.int_parameter("id"); }), "none");
  EXPECT_EQ(reason([](Request& request) { return request.parameter("nmae"); }),
            "read the parameter {nmae}: the pattern of the route is /note/{id:int}");
  EXPECT_EQ(reason([](Request& request) { return request.int_parameter("nmae"); }),
            "read the parameter {nmae:int}: the pattern of the route is /note/{id:int}");
  EXPECT_EQ(reason([](Request& request) { return request.int_parameter("name"); }, "/of/7"),
            "read the parameter {name:int}: the pattern of the route is /of/{name}");
  EXPECT_EQ(reason([](Request& request) { return request.parameter("id"); }, "/none"),
            "read the parameter {id}: the request has no route; for middleware there is find_parameter()");
}

TEST_F(HttpRouter, redirects_encode_what_no_url_may_have) {
  const auto location = [](std::string_view to) { return Response::redirect(to).headers.front().second; };
  EXPECT_EQ(location("/a?b=c&d=%20#e"), "/a?b=c&d=%20#e");
  EXPECT_EQ(location(std::string_view("/caf\xC3\xA9 x").substr(0, 6)), "/caf%C3%A9");
  EXPECT_EQ(location("/a b\"c\\d<e>`{|}^"), "/a%20b%22c%5Cd%3Ce%3E%60%7B%7C%7D%5E");
  EXPECT_EQ(location("/100%/%zz/%4"), "/100%25/%25zz/%254");
  EXPECT_EQ(location(std::string("https://a.example:8/[::1]/~x")), "https://a.example:8/[::1]/~x");
  EXPECT_EQ(Response::redirect("/", 307).status, 307);
  for (const char* bad : {"/a\r\nSet-Cookie: x", "/a\n", "/\t/evil.example", "/\x7F"}) {
    EXPECT_THROW((void)Response::redirect(bad), Error) << bad;
  }
}

TEST_F(HttpRouter, typed_parameters_match_what_they_name) {
  const auto make = [] {
    App app = bare();
    app.get("/item/{id:int}",
            [](Request& request) { return Response::text(fmt::format("{}", request.int_parameter("id"))); });
    app.get("/both/{id:int}", [](Request&) { return Response::text("number"); });
    app.get("/both/{name}",
            [](Request& request) { return Response::text("name " + std::string(request.parameter("name"))); });
    app.get("/both/7", [](Request&) { return Response::text("seven"); });
    return app;
  };
  EXPECT_EQ(body_of(get(make(), "/item/7")), "7");
  EXPECT_EQ(body_of(get(make(), "/item/%37")), "7") << "decoded first";
  EXPECT_EQ(body_of(get(make(), "/item/007")), "7");
  EXPECT_EQ(body_of(get(make(), "/item/9223372036854775807")), "9223372036854775807");
  for (const char* other : {"9223372036854775808", "-1", "+1", "1.0", "0x1", "1a", "",
                            "%20"
                            "1",
                            "1/2", "%D9%A3", "1%00"}) {
    const std::string text = get(make(), std::string("/item/") + other);
    EXPECT_TRUE(text.starts_with("HTTP/1.1 40")) << other << ": " << text;
  }
  EXPECT_EQ(body_of(get(make(), "/both/7")), "seven");
  EXPECT_EQ(body_of(get(make(), "/both/8")), "number");
  EXPECT_EQ(body_of(get(make(), "/both/8x")), "name 8x");
}

TEST_F(HttpRouter, options_and_head_answer_by_themselves) {
  const auto make = [] {
    App app = bare();
    app.get("/x", [](Request&) { return Response::text("hello"); }).post("/x", [](Request&) { return Response{}; });
    app.route("OPTIONS", "/own", [](Request&) { return Response::text("mine"); });
    return app;
  };
  const auto ask = [&](std::string_view method, std::string_view path) {
    return answer(make(), fmt::format("{} {} HTTP/1.1\r\nHost: a\r\n\r\n", method, path));
  };
  EXPECT_EQ(ask("OPTIONS", "/x"), "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, OPTIONS, POST\r\n\r\n");
  EXPECT_TRUE(ask("OPTIONS", "/own").ends_with("mine"));
  EXPECT_TRUE(ask("OPTIONS", "/none").starts_with("HTTP/1.1 404 "));
  const std::string head = ask("HEAD", "/x");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 ") && head.contains("Content-Length: 5\r\n") && head.ends_with("\r\n\r\n"))
      << head;
}

TEST_F(HttpRouter, hosts_have_routes_of_their_own) {
  const auto make = [] {
    const auto say = [](const char* text) { return [text](Request&) { return Response::text(text); }; };
    Router api;
    api.get("/", say("api"));
    api.get("/only", say("only"));
    Router users;
    users.get("/", say("a user's"));
    App app = bare();
    app.get("/", say("any")).get("/common", say("common"));
    app.host("*.example.org", std::move(users)).host("api.example.org", std::move(api));
    return app;
  };
  const auto ask = [&](std::string_view host, std::string_view path) {
    const std::string text = answer(make(), fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", path, host));
    return text.starts_with("HTTP/1.1 200 ") ? body_of(text) : text.substr(9, 3);
  };
  EXPECT_EQ(ask("api.example.org", "/"), "api");
  EXPECT_EQ(ask("API.Example.ORG:8080", "/only"), "only");
  EXPECT_EQ(ask("api.example.org.", "/"), "api");
  EXPECT_EQ(ask("alice.example.org", "/"), "a user's");
  EXPECT_EQ(ask("alice.example.org", "/only"), "404");
  EXPECT_EQ(ask("api.example.org", "/common"), "404") << "no other routes are theirs";
  for (const char* host :
       {"example.org", "a.b.example.org", "xapi-example.org", "127.0.0.1:80", "[::1]:80", ".example.org"}) {
    EXPECT_EQ(ask(host, "/"), "any") << host;
  }
  App app;
  for (const char* host : {"", "*", "*.", "a.*.b", "a:80", "http://a"})
    EXPECT_THROW(app.host(host, Router()), Error) << host;
  Router inner;
  inner.get("/", [](Request&) { return Response{}; });
  Router outer;
  outer.host("a.example", std::move(inner));
  EXPECT_THROW(app.host("b.example", std::move(outer)), Error);
}

TEST_F(HttpRouter, other_ending_of_a_path_is_a_redirect_unless_it_is_strict) {
  const auto make = [](http::TrailingSlash policy) {
    App app = bare({.trailing_slash = policy});
    const auto say = [](Request&) { return Response::text("x"); };
    app.get("/folder/", say).get("/file", say).get("/{a}/of/", say).post("/post", say);
    return app;
  };
  const auto location = [&](std::string_view target) {
    const std::string text = get(make(http::TrailingSlash::redirect), target);
    if (!text.starts_with("HTTP/1.1 308 ")) return text.substr(9, 3);
    const std::size_t begin = text.find("Location: ") + 10;
    return text.substr(begin, text.find("\r\n", begin) - begin);
  };
  EXPECT_EQ(location("/folder"), "/folder/");
  EXPECT_EQ(location("/file/"), "/file");
  EXPECT_EQ(location("/file/?a=b%20c&d"), "/file?a=b%20c&d");
  EXPECT_EQ(location("/a%2Fb%0D%0Ac/of"), "/a%2Fb%0D%0Ac/of/");
  EXPECT_EQ(location("//evil.example/of"), "/evil.example/of/") << "no address of another host";
  EXPECT_EQ(location("/none/"), "404");
  EXPECT_EQ(location("/post/"), "404") << "the method differs";
  EXPECT_EQ(location("/"), "404");
  EXPECT_TRUE(get(make(http::TrailingSlash::strict), "/folder").starts_with("HTTP/1.1 404 "));
}

TEST_F(HttpRouter, urls_are_built_from_names) {
  const auto say = [](Request&) { return Response{}; };
  const auto error_of = [](const std::function<std::string()>& call) {
    try {
      return call();
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  Router router;
  router.get("/item/{id:int}", say, {.name = "item"}).get("/of/{name}/", say, {.name = "of"});
  router.get("/files/{rest:path}", say, {.name = "files"}).get("/", say, {.name = "home"});
  EXPECT_EQ(router.url_for("home"), "/");
  EXPECT_EQ(router.url_for("item", {{"id", "7"}}), "/item/7");
  EXPECT_EQ(router.url_for("item", {{"id", "7"}, {"page", "2"}, {"q", "a b&c"}}), "/item/7?page=2&q=a%20b%26c");
  EXPECT_EQ(router.url_for("of", {{"name", "a/b ü?#%"}}), "/of/a%2Fb%20%C3%BC%3F%23%25/");
  EXPECT_EQ(router.url_for("files", {{"rest", "a b/c.txt"}}), "/files/a%20b/c.txt");
  EXPECT_EQ(router.url_for("files", {{"rest", ""}}), "/files/");
  EXPECT_EQ(error_of([&] { return router.url_for("none"); }),
            "make the URL of none: no route has this name (RouteOptions::name)");
  EXPECT_EQ(error_of([&] { return router.url_for("item"); }), "make the URL of item: {id} has no value");
  EXPECT_EQ(error_of([&] { return router.url_for("item", {{"id", "x"}}); }), "make the URL of item: {id} is no number");
  EXPECT_EQ(error_of([&] { return router.url_for("of", {{"name", ".."}}); }),
            "make the URL of of: {name} has a segment of dots");
  EXPECT_EQ(error_of([&] { return router.url_for("files", {{"rest", "a/../../b"}}); }),
            "make the URL of files: {rest} has a segment of dots");
  EXPECT_THROW(router.get("/again", say, {.name = "item"}), Error);

  App app = bare();
  app.mount("/shop", std::move(router));
  app.get("/go", [](Request& request) { return Response::text(request.url_for("item", {{"id", "9"}})); });
  EXPECT_EQ(body_of(get(std::move(app), "/go")), "/shop/item/9") << "with the prefix";
}

}  // namespace coax::router_test
