// Sessions and the protection from cross-site request forgery.
#include "coax/http/session.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <thread>

#include "coax/http/cookie.hpp"
#include "coax/http/csrf.hpp"
#include "coax/http/middleware.hpp"
#include "coax/http/status_error.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/http.hpp"

namespace coax::session_test {
namespace {

using http::App;
using http::BodyReader;
using http::Request;
using http::Response;
using http::Value;
using test::bare;
using test::body_of;
using test::header_of;

class HttpSession : public test::QuietLog {};

// A browser's cookies, and the app that it visits.
class Visitor {
 public:
  explicit Visitor(const Handler& handler) : handler_(handler) {}

  // Returns: the response; its cookies are kept for the next request.
  Task<std::string> visit(std::string method, std::string target, std::string fields = "", std::string body = "") {
    std::string request = fmt::format("{} {} HTTP/1.1\r\nHost: h\r\n{}", method, target, fields);
    if (!cookie.empty()) request += "Cookie: " + cookie + "\r\n";
    if (method == "POST") request += fmt::format("Content-Length: {}\r\n", body.size());
    request += "\r\n" + body;
    std::string text = co_await test::ask(handler_, std::move(request));
    const std::string_view head = std::string_view(text).substr(0, text.find("\r\n\r\n") + 2);
    constexpr std::string_view field = "\r\nSet-Cookie: ";
    for (std::size_t at = head.find(field); at != head.npos; at = head.find(field, at + 1)) {
      const std::string_view line = head.substr(at + field.size());
      keep(line.substr(0, line.find("\r\n")));
    }
    co_return text;
  }
  Task<std::string> body(std::string target) {
    const std::string text = co_await visit("GET", std::move(target));
    co_return body_of(text);
  }

  std::string cookie;  // as in the header: "a=1; b=2"

 private:
  void keep(std::string_view set) {
    const std::string_view pair = set.substr(0, set.find(';'));
    std::string kept = set.contains("Max-Age=0") ? "" : std::string(pair);
    for (std::string_view rest = cookie; !rest.empty();) {
      const std::string_view other = rest.substr(0, rest.find("; "));
      rest.remove_prefix(std::min(other.size() + 2, rest.size()));
      if (other.starts_with(pair.substr(0, pair.find('=') + 1))) continue;
      kept.append(kept.empty() ? "" : "; ").append(other);
    }
    cookie = kept;
  }

  const Handler& handler_;
};

App app_with(http::SessionOptions options, bool is_secure = false) {
  App app = bare();
  app.use([=](Request& request, http::Next next) -> Task<Response> {
    request.set_secure(is_secure);
    co_return co_await next(request);
  });
  app.use(http::sessions(std::move(options)));
  app.get("/count", [](Request& request) {
    http::Session& session = http::session(request);
    session.set("count", session.integer("count") + 1);
    return Response::text(std::to_string(session.integer("count")));
  });
  app.get("/look",
          [](Request& request) { return Response::text(std::to_string(http::session(request).integer("count"))); });
  app.get("/plain", [](Request&) { return Response::text("plain"); });
  app.get("/who", [](Request& request) {
    return Response::text(request.principal().name + (request.principal().has_role("admin") ? "!" : ""));
  });
  app.get("/in", [](Request& request) {
    http::log_in(request, {.kind = Principal::Kind::user, .name = "Ada", .roles = {"admin"}});
    return Response{};
  });
  app.get("/out", [](Request& request) {
    http::log_out(request);
    return Response::text(request.principal().name);
  });
  app.get("/out-with-message", [](Request& request) {
    http::log_out(request);
    http::session(request).flash("bye");
    return Response{};
  });
  app.get("/flash", [](Request& request) {
    http::session(request).flash("saved");
    http::session(request).flash("twice");
    return Response{};
  });
  app.get("/flashes", [](Request& request) {
    std::string all;
    for (const std::string& text : http::session(request).take_flashes()) all += text + ";";
    return Response::text(all);
  });
  app.get("/broken", [](Request& request) -> Response {
    http::session(request).set("count", 100);
    throw std::runtime_error("broken");
  });
  app.get("/large", [](Request& request) {
    http::session(request).set("large", std::string(20'000, 'x'));
    return Response{};
  });
  return app;
}

}  // namespace

TEST_F(HttpSession, cookie_is_set_once_and_only_with_content) {
  test::run([]() -> Task<> {
    const Handler handler = http::handler(app_with({}));
    Visitor visitor(handler);
    EXPECT_EQ(header_of(co_await visitor.visit("GET", "/plain"), "Set-Cookie"), "none");
    EXPECT_EQ(header_of(co_await visitor.visit("GET", "/look"), "Set-Cookie"), "none");
    const std::string first = co_await visitor.visit("GET", "/count");
    EXPECT_TRUE(std::regex_match(header_of(first, "Set-Cookie"),
                                 std::regex("session=[A-Za-z0-9_-]{32}; Path=/; HttpOnly; SameSite=Lax")))
        << first;
    EXPECT_EQ(header_of(first, "Vary"), "Cookie");
    const std::string second = co_await visitor.visit("GET", "/count");
    EXPECT_EQ(header_of(second, "Set-Cookie"), "none");
    EXPECT_EQ(body_of(second), "2");
    Visitor other(handler);
    EXPECT_EQ(co_await other.body("/count"), "1");
  });
}

TEST_F(HttpSession, cookie_over_tls_is_bound_to_the_host) {
  test::run([]() -> Task<> {
    const Handler handler = http::handler(app_with({}, true));
    Visitor visitor(handler);
    const std::string text = co_await visitor.visit("GET", "/count");
    EXPECT_TRUE(
        std::regex_match(header_of(text, "Set-Cookie"),
                         std::regex("__Host-session=[A-Za-z0-9_-]{32}; Path=/; Secure; HttpOnly; SameSite=Lax")))
        << text;
    visitor.cookie = visitor.cookie.substr(7);  // "session=", which another host of the domain can set
    EXPECT_EQ(co_await visitor.body("/look"), "0");
  });
}

TEST_F(HttpSession, ids_that_the_server_did_not_make_are_not_adopted) {
  test::run([]() -> Task<> {
    const Handler handler = http::handler(app_with({}));
    Visitor visitor(handler);
    co_await visitor.visit("GET", "/count");
    const std::string good = visitor.cookie;
    std::string tampered = good;
    tampered.back() = tampered.back() == 'A' ? 'B' : 'A';
    for (const std::string& cookie : {tampered, good + "A", std::string("session="), "session=" + std::string(32, 'A'),
                                      "session=" + std::string(9000, 'A'), std::string("session=%00")}) {
      visitor.cookie = cookie;
      EXPECT_EQ(co_await visitor.body("/look"), "0") << cookie;
      EXPECT_EQ(co_await visitor.body("/count"), "1") << cookie;
      EXPECT_NE(visitor.cookie, cookie);
    }
  });
}

TEST_F(HttpSession, login_changes_the_id_and_voids_the_old_one) {
  test::run([]() -> Task<> {
    const Handler handler = http::handler(app_with({}));
    Visitor visitor(handler);
    co_await visitor.visit("GET", "/count");
    Visitor attacker(handler);
    attacker.cookie = visitor.cookie;  // planted by the attacker
    co_await visitor.visit("GET", "/in");
    EXPECT_NE(visitor.cookie, attacker.cookie);
    EXPECT_EQ(co_await visitor.body("/who"), "Ada!");
    EXPECT_EQ(co_await visitor.body("/look"), "1");
    EXPECT_EQ(co_await attacker.body("/who"), "");
    EXPECT_EQ(co_await attacker.body("/look"), "0");
  });
}

TEST_F(HttpSession, logout_ends_it_on_the_server) {
  test::run([]() -> Task<> {
    const Handler handler = http::handler(app_with({}));
    Visitor visitor(handler);
    co_await visitor.visit("GET", "/in");
    Visitor thief(handler);
    thief.cookie = visitor.cookie;
    EXPECT_EQ(co_await thief.body("/who"), "Ada!");
    const std::string out = co_await visitor.visit("GET", "/out");
    EXPECT_EQ(body_of(out), "");
    EXPECT_TRUE(header_of(out, "Set-Cookie").starts_with("session=; Path=/; Max-Age=0")) << out;
    EXPECT_EQ(co_await thief.body("/who"), "");
    co_await visitor.visit("GET", "/in");
    const std::string before = visitor.cookie;
    co_await visitor.visit("GET", "/out-with-message");
    EXPECT_NE(visitor.cookie, before);
    EXPECT_EQ(co_await visitor.body("/who"), "");
    EXPECT_EQ(co_await visitor.body("/flashes"), "bye;");
  });
}

TEST_F(HttpSession, flashes_are_shown_once) {
  test::run([]() -> Task<> {
    const Handler handler = http::handler(app_with({}));
    Visitor visitor(handler);
    co_await visitor.visit("GET", "/flash");
    EXPECT_EQ(co_await visitor.body("/plain"), "plain");
    EXPECT_EQ(co_await visitor.body("/flashes"), "saved;twice;");
    EXPECT_EQ(co_await visitor.body("/flashes"), "");
  });
}

TEST_F(HttpSession, changes_of_a_failed_or_too_large_request_are_dropped) {
  test::run([]() -> Task<> {
    const Handler handler = http::handler(app_with({}));
    Visitor visitor(handler);
    co_await visitor.visit("GET", "/count");
    EXPECT_TRUE((co_await visitor.visit("GET", "/broken")).starts_with("HTTP/1.1 500 "));
    EXPECT_TRUE((co_await visitor.visit("GET", "/large")).starts_with("HTTP/1.1 500 "));
    EXPECT_EQ(co_await visitor.body("/look"), "1");
    const Handler without = http::handler([] {
      App app = bare();
      app.get("/", [](Request& request) { return Response::text(http::session(request).text("a")); });
      return app;
    }());
    Visitor other(without);
    EXPECT_TRUE((co_await other.visit("GET", "/")).starts_with("HTTP/1.1 500 "));
  });
}

TEST_F(HttpSession, expires_when_idle_and_at_the_end_of_its_lifetime) {
  test::simulate(1, [](SimNetwork&) -> Task<> {
    const auto store = http::memory_sessions({.idle = std::chrono::minutes(10), .lifetime = std::chrono::minutes(25)});
    const Handler handler = http::handler(app_with({.store = store}));
    Visitor visitor(handler);
    EXPECT_EQ(co_await visitor.body("/count"), "1");
    co_await sleep(std::chrono::minutes(9));
    EXPECT_EQ(co_await visitor.body("/count"), "2");
    co_await sleep(std::chrono::minutes(9));
    EXPECT_EQ(co_await visitor.body("/look"), "2") << "it was used within 10 minutes";
    co_await sleep(std::chrono::minutes(8));
    EXPECT_EQ(co_await visitor.body("/look"), "0") << "26 minutes are above its lifetime";
    EXPECT_EQ(co_await visitor.body("/count"), "1");
    co_await sleep(std::chrono::minutes(11));
    EXPECT_EQ(co_await visitor.body("/look"), "0");
  });
}

TEST_F(HttpSession, above_the_limit_the_one_unused_for_longest_ends) {
  test::run([]() -> Task<> {
    const Handler handler = http::handler(app_with({.store = http::memory_sessions({.sessions_max = 2})}));
    Visitor first(handler);
    Visitor second(handler);
    Visitor third(handler);
    co_await first.visit("GET", "/count");
    co_await second.visit("GET", "/count");
    co_await first.visit("GET", "/look");
    co_await third.visit("GET", "/count");
    EXPECT_EQ(co_await first.body("/look"), "1");
    EXPECT_EQ(co_await second.body("/look"), "0");
    EXPECT_EQ(co_await third.body("/look"), "1");
  });
  EXPECT_THROW(http::memory_sessions({.sessions_max = 0}), Error);
}

TEST_F(HttpSession, requests_at_the_same_time_lose_no_changes) {
  test::run([]() -> Task<> {
    const auto store = http::memory_sessions();
    co_await store->insert("k", Value{{"a", 1}, {"b", 1}});
    const std::vector<http::SessionChange> one{{"a", Value(2)}, {"c", Value(3)}};
    const std::vector<http::SessionChange> other{{"b", std::nullopt}};
    EXPECT_TRUE(co_await store->update("k", one));
    EXPECT_TRUE(co_await store->update("k", other));
    const std::optional<Value> values = co_await store->load("k");
    EXPECT_EQ(values.value_or(Value()).to_json(), R"({"a":2,"c":3})");
    EXPECT_TRUE(co_await store->rename("k", "l"));
    EXPECT_FALSE(co_await store->update("k", one)) << "never revived";
    EXPECT_FALSE(co_await store->rename("k", "m"));
    co_await store->erase("l");
    EXPECT_FALSE(co_await store->update("l", one));
  });
}

TEST_F(HttpSession, memory_store_is_used_by_several_threads) {
  const auto store = http::memory_sessions({.sessions_max = 50});
  const auto work = [&](int thread) {
    test::run([&]() -> Task<> {
      for (int i = 0; i < 300; ++i) {
        const std::string own = fmt::format("{}-{}", thread, i);
        const std::string shared = std::to_string(i % 20);
        const std::vector<http::SessionChange> changes{{fmt::format("t{}", thread), Value(i)}};
        co_await store->insert(own, Value{{"own", own}});
        if (!co_await store->update(shared, changes)) co_await store->insert(shared, Value::object());
        const std::optional<Value> values = co_await store->load(own);
        if (values) EXPECT_EQ((*values)["own"].as_string(), own);
        co_await store->rename(own, own + "x");
        co_await store->erase(own + "x");
      }
    });
  };
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) threads.emplace_back(work, thread);
}

// --- csrf.hpp ---

namespace {

App csrf_app(http::SessionOptions options = {}, bool is_secure = false) {
  App app = app_with(std::move(options), is_secure);
  app.use(http::csrf_protection({.origins = {"https://app.example"}}));
  app.get("/form", [](Request& request) { return Response::text(http::csrf_token(request)); });
  app.post("/unchecked", [](Request&) { return Response::text("done"); });
  app.post("/header", [](Request& request) {
    http::check_csrf(request);
    return Response::text("done");
  });
  app.post("/form", [](Request& request, BodyReader& body) -> Task<Response> {
    const http::Form form = co_await http::read_form(request, body);
    http::check_csrf(request, form);
    co_return Response::text("done");
  });
  return app;
}

constexpr const char* form_type = "Content-Type: application/x-www-form-urlencoded\r\n";

Task<std::string> status_of(Visitor& who, std::string path, std::string fields, std::string body) {
  const std::string text = co_await who.visit("POST", std::move(path), std::move(fields), std::move(body));
  co_return text.substr(9, 3);
}
Task<std::string> sign(Visitor& who, std::string token) { return status_of(who, "/form", form_type, "_csrf=" + token); }

}  // namespace

TEST_F(HttpSession, unsafe_requests_from_other_origins_are_refused) {
  struct Case {
    const char* fields;
    const char* status;
  };
  test::run([]() -> Task<> {
    const Handler handler = http::handler(csrf_app());
    Visitor visitor(handler);
    for (const Case& one : std::initializer_list<Case>{
             {"", "200"},  // no browser
             {"Sec-Fetch-Site: same-origin\r\n", "200"},
             {"Sec-Fetch-Site: none\r\n", "200"},
             {"Sec-Fetch-Site: same-site\r\n", "403"},
             {"Sec-Fetch-Site: cross-site\r\n", "403"},
             {"Sec-Fetch-Site: cross-site\r\nOrigin: http://h\r\n", "403"},
             {"Sec-Fetch-Site: \r\n", "403"},
             {"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n", "403"},
             {"Sec-Fetch-Site: cross-site\r\nOrigin: https://app.example\r\n", "200"},
             {"Origin: http://h\r\n", "200"},
             {"Origin: http://h:80\r\n", "200"},
             {"Origin: https://h\r\n", "403"},
             {"Origin: http://h:81\r\n", "403"},
             {"Origin: http://evil.example\r\n", "403"},
             {"Origin: http://h.evil.example\r\n", "403"},
             {"Origin: null\r\n", "403"},
             {"Origin: \r\n", "403"},
             {"Origin: http://h\r\nOrigin: http://evil.example\r\n", "403"},
             {"Origin: https://app.example\r\n", "200"},
             {"Origin: https://app.example.evil.example\r\n", "403"},
         }) {
      const std::string text = co_await visitor.visit("POST", "/unchecked", one.fields);
      EXPECT_EQ(text.substr(9, 3), one.status) << one.fields;
      const std::string read = co_await visitor.visit("GET", "/form", one.fields);
      EXPECT_EQ(read.substr(9, 3), "200") << "links may come from anywhere: " << one.fields;
    }
  });
}

TEST_F(HttpSession, tokens_are_masked_and_belong_to_one_session) {
  test::run([]() -> Task<> {
    const Handler handler = http::handler(csrf_app());
    Visitor visitor(handler);
    const std::string token = co_await visitor.body("/form");
    const std::string again = co_await visitor.body("/form");
    EXPECT_EQ(token.size(), 86U);
    EXPECT_NE(token, again);
    EXPECT_EQ(co_await status_of(visitor, "/form", form_type, "_csrf=" + token), "200");
    EXPECT_EQ(co_await status_of(visitor, "/form", form_type, "_csrf=" + again), "200");
    EXPECT_EQ(co_await status_of(visitor, "/form", form_type + ("X-CSRF-Token: " + token + "\r\n"), "a=b"), "200");
    EXPECT_EQ(co_await status_of(visitor, "/header", "X-CSRF-Token: " + token + "\r\n", ""), "200");
    EXPECT_EQ(co_await status_of(visitor, "/header", "", ""), "403");
    std::string tampered = token;
    tampered[50] = tampered[50] == 'A' ? 'B' : 'A';
    for (const std::string& bad : {std::string(), tampered, token.substr(1), token + "A", std::string(86, 'A')}) {
      EXPECT_EQ(co_await status_of(visitor, "/form", form_type, "_csrf=" + bad), "403") << bad;
    }
    Visitor attacker(handler);
    const std::string foreign = co_await attacker.body("/form");
    EXPECT_EQ(co_await status_of(visitor, "/form", form_type, "_csrf=" + foreign), "403");
    Visitor stranger(handler);
    EXPECT_EQ(co_await status_of(stranger, "/form", form_type, "_csrf=" + token), "403");
    EXPECT_EQ(co_await status_of(stranger, "/form", form_type, "_csrf=" + std::string(86, 'A')), "403");
    co_await visitor.visit("GET", "/in");
    EXPECT_EQ(co_await status_of(visitor, "/form", form_type, "_csrf=" + token), "403") << "of before the login";
  });
}

TEST_F(HttpSession, a_page_with_a_form_makes_no_session) {
  test::run([]() -> Task<> {
    const Handler handler = http::handler(csrf_app({.store = http::memory_sessions({.sessions_max = 1})}));
    Visitor member(handler);
    co_await member.visit("GET", "/in");
    for (int count = 0; count < 3; ++count) {
      Visitor visitor(handler);
      const std::string page = co_await visitor.visit("GET", "/form");
      EXPECT_TRUE(std::regex_match(header_of(page, "Set-Cookie"),
                                   std::regex("csrf=[A-Za-z0-9_-]{43}; Path=/; HttpOnly; SameSite=Lax")))
          << page;
      EXPECT_EQ(header_of(page, "Vary"), "Cookie");
      EXPECT_EQ(header_of(co_await visitor.visit("GET", "/form"), "Set-Cookie"), "none");
      EXPECT_EQ(co_await sign(visitor, body_of(page)), "200");
    }
    EXPECT_EQ(co_await member.body("/who"), "Ada!") << "its session is the only one that fits";
  });
}

TEST_F(HttpSession, a_form_stays_valid_when_the_visitor_gets_a_session) {
  test::run([]() -> Task<> {
    const Handler handler = http::handler(csrf_app());
    Visitor visitor(handler);
    const std::string token = co_await visitor.body("/form");
    co_await visitor.visit("GET", "/count");
    EXPECT_TRUE(visitor.cookie.starts_with("session=")) << visitor.cookie;
    EXPECT_FALSE(visitor.cookie.contains("csrf")) << visitor.cookie;
    EXPECT_EQ(co_await sign(visitor, token), "200");
    EXPECT_EQ(co_await sign(visitor, co_await visitor.body("/form")), "200");
    co_await visitor.visit("GET", "/in");
    EXPECT_EQ(co_await sign(visitor, token), "403") << "of before the login";
    const std::string own = co_await visitor.body("/form");
    EXPECT_EQ(co_await sign(visitor, own), "200");
    co_await visitor.visit("GET", "/out");
    EXPECT_EQ(co_await sign(visitor, own), "403") << "of before the logout";
    EXPECT_EQ(co_await sign(visitor, co_await visitor.body("/form")), "200");
  });
}

TEST_F(HttpSession, a_planted_csrf_cookie_is_of_no_use_in_a_session) {
  test::run([]() -> Task<> {
    const Handler handler = http::handler(csrf_app());
    Visitor attacker(handler);
    const std::string token = co_await attacker.body("/form");
    for (const char* const way : {"/count", "/in"}) {
      Visitor visitor(handler);
      co_await visitor.visit("GET", way);
      visitor.cookie += "; " + attacker.cookie;
      EXPECT_EQ(co_await sign(visitor, token), "403") << way;
      co_await visitor.visit("GET", "/form");
      EXPECT_EQ(co_await sign(visitor, token), "403") << way;
    }
    Visitor late(handler);
    late.cookie = attacker.cookie;
    co_await late.visit("GET", "/in");
    EXPECT_EQ(co_await sign(late, token), "403") << "planted before the login";
  });
}

TEST_F(HttpSession, csrf_cookie_over_tls_is_bound_to_the_host) {
  test::run([]() -> Task<> {
    const Handler handler = http::handler(csrf_app({}, true));
    Visitor visitor(handler);
    const std::string page = co_await visitor.visit("GET", "/form");
    EXPECT_TRUE(std::regex_match(header_of(page, "Set-Cookie"),
                                 std::regex("__Host-csrf=[A-Za-z0-9_-]{43}; Path=/; Secure; HttpOnly; SameSite=Lax")))
        << page;
    EXPECT_EQ(co_await sign(visitor, body_of(page)), "200");
    visitor.cookie = visitor.cookie.substr(7);  // "csrf=", which another host of the domain can set
    EXPECT_EQ(co_await sign(visitor, body_of(page)), "403");
    for (const std::string cookie : {"__Host-csrf=", "__Host-csrf=AAAA", "__Host-csrf=%00"}) {
      visitor.cookie = cookie;
      EXPECT_EQ(co_await sign(visitor, std::string(86, 'A')), "403") << cookie;
    }
  });
}

}  // namespace coax::session_test
