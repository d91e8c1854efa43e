// Logins: Basic and Bearer, passwords, attempts, redirects to the login page.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "coax/http/middleware.hpp"
#include "coax/http/password.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/http.hpp"
#include "tests/support/sim.hpp"

namespace coax::login_test {
namespace {

using http::App;
using http::Request;
using http::Response;
using test::answer;
using test::bare;
using test::body_of;
using test::header_of;

class HttpLogin : public test::QuietLog {};

std::string ask_with(http::Middleware middleware, std::string_view fields, std::string_view target = "/") {
  App app = bare();
  app.use(std::move(middleware));
  app.get("/{all:path}", [](Request& request) { return Response::text(request.principal().name); });
  app.post("/", [](Request&) { return Response{}; });
  return answer(std::move(app), fmt::format("GET {} HTTP/1.1\r\nHost: h\r\n{}\r\n", target, fields));
}

}  // namespace

TEST_F(HttpLogin, basic_needs_the_name_and_the_password) {
  struct Case {
    const char* fields;
    const char* status;
  };
  for (const Case& one : std::initializer_list<Case>{
           {"Authorization: Basic QWRhOnTDqWE6eA==\r\n", "200"},  // Ada:téa:x
           {"Authorization: bAsIc  QWRhOnTDqWE6eA==\r\n", "200"},
           {"", "401"},
           {"Authorization: Basic QWRhOnRlYTp4\r\n", "401"},  // Ada:tea:x
           {"Authorization: Basic YWRhOnTDqWE6eA==\r\n", "401"},
           {"Authorization: Basic QWRhOnTDqWE6eA\r\n", "401"},
           {"Authorization: Basic QWRhOnTDqWE6eB==\r\n", "401"},
           {"Authorization: Basic QWRh\r\n", "401"},          // no colon
           {"Authorization: Basic QWRhOnTpYTp4\r\n", "401"},  // Latin-1
           {"Authorization: Basic\r\n", "401"},
           {"Authorization: Bearer QWRhOnTDqWE6eA==\r\n", "401"},
           {"Authorization: Basic QWRhOnTDqWE6eA==\r\nAuthorization: Basic QWRhOnTDqWE6eA==\r\n", "401"},
       }) {
    const std::string text = ask_with(http::basic_auth(http::only_user("Ada", "t\xC3\xA9\x61:x"), "Tea"), one.fields);
    EXPECT_EQ(text.substr(9, 3), one.status) << one.fields;
    const bool is_in = std::string_view(one.status) == "200";
    if (is_in) EXPECT_EQ(body_of(text), "Ada");
    EXPECT_EQ(header_of(text, "WWW-Authenticate"), is_in ? "none" : "Basic realm=\"Tea\", charset=\"UTF-8\"");
  }
  EXPECT_THROW(http::basic_auth(http::only_user("a", "b"), "a\"b"), Error);
  EXPECT_THROW(http::basic_auth(http::only_user("a", "b"), "a\r\nb"), Error);
}

TEST_F(HttpLogin, basic_counts_wrong_logins_of_an_address) {
  const auto only_ada = http::only_user("ada", "tea");
  auto attempts = std::make_shared<http::AttemptLimit>(3, std::chrono::minutes(1));
  test::simulate(1, [&](SimNetwork&) -> Task<> {
    App app = bare();
    app.use(http::basic_auth(only_ada, "Login", attempts));
    app.get("/", [](Request&) { return Response::text("in"); });
    const Handler handler = http::handler(std::move(app));
    const auto log_in = [&](std::string_view credentials) -> Task<std::string> {
      const std::string field = credentials.empty() ? "" : fmt::format("Authorization: Basic {}\r\n", credentials);
      const std::string text = co_await test::ask(handler, fmt::format("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", field));
      co_return text.substr(9, 3) + " " + header_of(text, "Retry-After");
    };
    const std::string_view right = "YWRhOnRlYQ==", wrong = "YWRhOngxMjM=";
    for (int count = 0; count < 5; ++count) {
      EXPECT_EQ(co_await log_in(""), "401 none") << "a browser asks first without a password";
      EXPECT_EQ(co_await log_in(right), "200 none");
    }
    for (int count = 0; count < 3; ++count) EXPECT_EQ(co_await log_in(wrong), "401 none");
    EXPECT_EQ(co_await log_in(wrong), "429 60");
    EXPECT_EQ(co_await log_in(right), "429 60");
    co_await sleep(std::chrono::seconds(61));
    EXPECT_EQ(co_await log_in(right), "200 none");
  });
}

TEST_F(HttpLogin, bearer_tells_missing_malformed_and_wrong_tokens) {
  const auto verify = [](std::string token) -> Task<std::optional<Principal>> {
    if (token != "t0k-en") co_return std::nullopt;
    co_return Principal{.kind = Principal::Kind::user, .name = "robot"};
  };
  const auto challenge_of = [&](std::string_view fields) {
    const std::string text = ask_with(http::bearer_auth(verify), fields);
    return text.substr(9, 3) + " " + header_of(text, "WWW-Authenticate");
  };
  EXPECT_EQ(challenge_of("Authorization: Bearer t0k-en\r\n"), "200 none");
  EXPECT_EQ(challenge_of(""), "401 Bearer realm=\"API\"");
  EXPECT_EQ(challenge_of("Authorization: Bearer other\r\n"), "401 Bearer realm=\"API\", error=\"invalid_token\"");
  EXPECT_EQ(challenge_of("Authorization: Bearer a b\r\n"), "400 Bearer realm=\"API\", error=\"invalid_request\"");
  EXPECT_EQ(challenge_of("Authorization: Bearer\r\n"), "400 Bearer realm=\"API\", error=\"invalid_request\"");
}

TEST_F(HttpLogin, redirect_targets_stay_on_this_site) {
  for (const char* good : {"/", "/a", "/a/b?c=d&e=//f", "/caf%C3%A9", "/a%20b", "/a#b", "/a?next=https://b.example"}) {
    EXPECT_EQ(http::safe_redirect_target(good), good);
  }
  for (const char* bad : {"",
                          "a",
                          "//evil.example",
                          "///evil.example",
                          "/\\evil.example",
                          "\\\\evil.example",
                          "https://evil.example",
                          "https:evil.example",
                          "javascript:alert(1)",
                          "/%2Fevil.example",
                          "/%2f/evil.example",
                          "/%5Cevil.example",
                          "/\tevil",
                          "/\n/evil.example",
                          "/a\r\nSet-Cookie: x",
                          "/%0d%0aSet-Cookie:x",
                          "/%00",
                          "/%09/evil.example",
                          "/%",
                          "/%zz",
                          "/..//evil.example",
                          "/.//evil.example",
                          "/%2e%2e/x",
                          "/a/../../x",
                          "/a//b",
                          " /a",
                          "/ a",
                          "/\x7F",
                          "/\xC3\xA9",
                          "/a?b\\c",
                          "/a?b\nc",
                          "?a",
                          "#a",
                          "@evil.example",
                          "/a%2f%2fb"}) {
    EXPECT_EQ(http::safe_redirect_target(bad), "/") << bad;
  }
  EXPECT_EQ(http::safe_redirect_target("/" + std::string(3000, 'a')), "/");
}

TEST_F(HttpLogin, strangers_are_sent_to_the_login_page) {
  const auto target_of = [](std::string_view target) {
    const std::string text = ask_with(http::login_required("/login"), "", target);
    return text.substr(9, 3) + " " + header_of(text, "Location");
  };
  EXPECT_EQ(target_of("/a?b=c&d"), "303 /login?next=%2Fa%3Fb%3Dc%26d");
  EXPECT_EQ(target_of("//a//b?c=d"), "303 /login?next=%2Fa%2Fb%3Fc%3Dd");
  EXPECT_EQ(target_of("/./a/../b"), "303 /login?next=%2Fb");
  EXPECT_EQ(target_of("//evil.example/"), "303 /login?next=%2Fevil.example%2F");
  EXPECT_EQ(target_of("http://evil.example/x"), "303 /login?next=%2Fx");
  EXPECT_EQ(target_of("http://evil.example//x"), "303 /login?next=%2Fx");
  for (const char* foreign :
       {"/\\evil.example", "//\\evil.example", "/%09/evil.example", "/%2Fevil.example", "/%5Cevil"}) {
    EXPECT_EQ(target_of(foreign), "303 /login?next=%2F") << foreign;
  }
  EXPECT_EQ(target_of("/login"), "200 none");
  EXPECT_THROW(http::login_required("https://evil.example/"), Error);
  EXPECT_THROW(http::login_required("/login?x"), Error);
  App app = bare();
  app.use(http::login_required("/login"));
  app.post("/", [](Request&) { return Response{}; });
  const std::string text = answer(std::move(app), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(header_of(text, "Location"), "/login");
}

TEST_F(HttpLogin, sender_of_a_form_returns_to_its_page) {
  const auto target_of = [](std::string_view fields, std::string_view method = "POST") {
    App app = bare();
    app.use(http::login_required("/login"));
    app.any("/note/{id}", [](Request&) { return Response{}; });
    return header_of(
        answer(std::move(app),
               fmt::format("{} /note/7 HTTP/1.1\r\nHost: h:80\r\n{}Content-Length: 0\r\n\r\n", method, fields)),
        "Location");
  };
  EXPECT_EQ(target_of("Referer: http://h/notes?page=2\r\n"), "/login?next=%2Fnotes%3Fpage%3D2");
  EXPECT_EQ(target_of("Referer: http://h:80/notes\r\n", "DELETE"), "/login?next=%2Fnotes");
  EXPECT_EQ(target_of("Referer: http://h\r\n"), "/login?next=%2F");
  for (const char* fields :
       {"", "Referer: https://h/notes\r\n", "Referer: http://h:81/notes\r\n", "Referer: http://evil.example/\r\n",
        "Referer: http://h@evil.example/\r\n", "Referer: /notes\r\n", "Referer: http://h/login?next=%2F\r\n",
        "Referer: http://h/a\r\nReferer: http://h/b\r\n"}) {
    EXPECT_EQ(target_of(fields), "/login") << fields;
  }
  EXPECT_EQ(target_of("Referer: http://h//evil.example/\r\n"), "/login?next=%2F");
  EXPECT_EQ(target_of("Referer: http://h/other\r\n", "GET"), "/login?next=%2Fnote%2F7");
}

TEST_F(HttpLogin, passwords_are_verified_by_their_hash) {
  test::run([]() -> Task<> {
    const std::string password("s\0cret", 6);
    const std::string hash = co_await http::hash_password(password);
    EXPECT_TRUE(hash.starts_with("$argon2id$v=19$m=65536,t=2,p=1$")) << hash;
    EXPECT_NE(co_await http::hash_password(password), hash);
    EXPECT_TRUE(co_await http::verify_password(password, hash));
    EXPECT_FALSE(co_await http::verify_password("s", hash));
    EXPECT_FALSE(co_await http::verify_password("no user has this password", ""));
    EXPECT_FALSE(co_await http::verify_password(password, "$argon2id$junk"));
    EXPECT_FALSE(co_await http::verify_password(std::string(2000, 'x'), hash));
    EXPECT_EQ(co_await test::outcome(http::hash_password(std::string(2000, 'x'))), "invalid");
    EXPECT_FALSE(http::should_rehash_password(hash));
    EXPECT_TRUE(
        http::should_rehash_password("$argon2id$v=19$m=8192,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
                                     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
  });
}

TEST_F(HttpLogin, passwords_above_the_limit_of_those_that_wait_are_503) {
  COAX_NEEDS_KERNEL();
  test::run([]() -> Task<> {
    std::vector<int> refused;
    const auto hash_many = [&]() -> Task<> {
      TaskGroup group;
      for (std::size_t count = 0; count != http::password_hashes_max; ++count) {
        group.spawn([]() -> Task<> { co_await http::hash_password("secret"); });
      }
      co_await test::next_turn();
      for (int count = 0; count != 3; ++count) {
        try {
          co_await http::verify_password("secret", "");
        } catch (const http::StatusError& error) {
          refused.push_back(error.status());
        }
      }
      group.cancel();
      co_await group.join();
    };
    co_await hash_many();
    EXPECT_EQ(refused, (std::vector{503, 503, 503}));
    EXPECT_FALSE(co_await http::verify_password("secret", "")) << "those that were cancelled do not count any more";
  });
}

TEST_F(HttpLogin, attempts_are_limited_per_key_and_given_back_in_time) {
  test::simulate(1, [](SimNetwork&) -> Task<> {
    http::AttemptLimit limit(2, std::chrono::minutes(10));
    EXPECT_TRUE(limit.attempt("ada"));
    EXPECT_TRUE(limit.attempt("ada"));
    EXPECT_FALSE(limit.attempt("ada"));
    EXPECT_TRUE(limit.attempt("bob"));
    limit.succeeded("ada");
    EXPECT_TRUE(limit.attempt("ada"));
    EXPECT_TRUE(limit.attempt("ada"));
    EXPECT_EQ(limit.retry_after("ada"), std::chrono::minutes(10));
    EXPECT_EQ(limit.retry_after("bob"), std::chrono::seconds(0));
    limit.take_back("ada");
    EXPECT_EQ(limit.retry_after("ada"), std::chrono::seconds(0));
    co_await sleep(std::chrono::minutes(5));
    EXPECT_TRUE(limit.attempt("ada"));
    EXPECT_FALSE(limit.attempt("ada")) << "in any 10 minutes";
    EXPECT_EQ(limit.retry_after("ada"), std::chrono::minutes(5));
    co_await sleep(std::chrono::minutes(5));
    EXPECT_TRUE(limit.attempt("ada"));
    EXPECT_FALSE(limit.attempt("ada"));
  });
}

}  // namespace coax::login_test
