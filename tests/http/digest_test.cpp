// Digest authentication: the example of RFC 7616, section 3.9.1, and what must not be accepted.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "coax/codec/parameters.hpp"
#include "coax/http/middleware.hpp"
#include "coax/http/sha256.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/http.hpp"

namespace coax::digest_test {
namespace {

using http::App;
using http::Request;
using http::Response;

class HttpDigest : public test::QuietLog {};

std::string hash(std::string_view text) {
  http::Sha256 digest;
  digest.update(text);
  return digest.hexadecimal();
}

App app() {
  App result = test::bare();
  result.use(http::digest_auth(
      [](std::string name) -> Task<std::optional<std::string>> {
        if (name != "ada \"x\"") co_return std::nullopt;
        co_return http::digest_secret(name, "Tea room", "wonder:land");
      },
      "Tea room"));
  result.any("/{rest:path}", [](Request& request) { return Response::text(request.principal().name); });
  return result;
}

struct Login {
  std::string name = "ada \"x\"";
  std::string password = "wonder:land";
  std::string method = "GET";
  std::string target = "/a?b=c";
  std::string uri = target;
  std::string count = "00000001";
  std::string algorithm = "SHA-256";
  std::string realm = "Tea room";
  std::string qop = "auth";
};

// As section 3.4.1 has it.
std::string request_of(const Login& login, std::string_view nonce) {
  const std::string secret = hash(fmt::format("{}:{}:{}", login.name, login.realm, login.password));
  const std::string response = hash(fmt::format("{}:{}:{}:c n:auth:{}", secret, nonce, login.count,
                                                hash(fmt::format("{}:{}", login.method, login.uri))));
  std::string name = login.name;
  for (std::size_t at = 0; (at = name.find('"', at)) != std::string::npos; at += 2) name.insert(at, "\\");
  return fmt::format(
      "{} {} HTTP/1.1\r\nHost: a\r\nAuthorization: Digest username=\"{}\", realm=\"{}\", uri=\"{}\", nonce=\"{}\", "
      "nc={}, cnonce=\"c n\", qop={}, response=\"{}\", algorithm={}\r\n\r\n",
      login.method, login.target, name, login.realm, login.uri, nonce, login.count, login.qop, response,
      login.algorithm);
}

std::string challenge_of(std::string_view response) { return test::header_of(response, "WWW-Authenticate"); }

Task<std::string> nonce_of(const Handler& handler) {
  const std::string refused = co_await test::ask(handler, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 401 "));
  const auto challenge = http::parse_credentials(challenge_of(refused));
  EXPECT_EQ(challenge->value, "digest");
  EXPECT_EQ(challenge->find("realm"), "Tea room");
  EXPECT_EQ(challenge->find("algorithm"), "SHA-256");
  EXPECT_EQ(challenge->find("qop"), "auth");
  co_return std::string(challenge->find("nonce").value());
}

Task<std::string> status_of(const Handler& handler, std::string request) {
  const std::string answer = co_await test::ask(handler, std::move(request));
  const bool is_stale = challenge_of(answer).ends_with("stale=true");
  co_return answer.substr(9, 3) + (is_stale ? " stale" : "");
}

}  // namespace

TEST_F(HttpDigest, secrets_and_responses_are_those_of_the_rfc) {
  EXPECT_EQ(http::digest_secret("Mufasa", "http-auth@example.org", "Circle of Life"),
            hash("Mufasa:http-auth@example.org:Circle of Life"));
  const std::string secret = http::digest_secret("Mufasa", "http-auth@example.org", "Circle of Life");
  EXPECT_EQ(hash(secret +
                 ":7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v:00000001:"
                 "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth:" +
                 hash("GET:/dir/index.html")),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
}

TEST_F(HttpDigest, each_count_of_a_nonce_is_accepted_once) {
  test::run([]() -> Task<> {
    const Handler handler = http::handler(app());
    const std::string nonce = co_await nonce_of(handler);
    EXPECT_EQ(test::body_of(co_await test::ask(handler, request_of({}, nonce))), "ada \"x\"");
    EXPECT_EQ(co_await status_of(handler, request_of({}, nonce)), "401 stale") << "a replay";
    EXPECT_EQ(co_await status_of(handler, request_of({.count = "00000003"}, nonce)), "200");
    EXPECT_EQ(co_await status_of(handler, request_of({.count = "00000002"}, nonce)), "200") << "out of order";
    EXPECT_EQ(co_await status_of(handler, request_of({.count = "00000002"}, nonce)), "401 stale");
    EXPECT_EQ(co_await status_of(handler, request_of({.count = "00000100"}, nonce)), "200");
    EXPECT_EQ(co_await status_of(handler, request_of({.count = "00000004"}, nonce)), "401 stale") << "too old to tell";
    EXPECT_EQ(co_await status_of(handler, request_of({.count = "000000c1"}, nonce)), "200");
    EXPECT_EQ(co_await status_of(handler, request_of({.method = "PUT", .count = "00000101"}, nonce)), "200");
  });
}

// RFC 7616, section 3.4: "Jäsøn Doe", whom its section 3.9.2 has.
TEST_F(HttpDigest, names_beyond_ascii_are_extended_values) {
  test::run([]() -> Task<> {
    const std::string name = "J\xC3\xA4s\xC3\xB8n Doe";
    App own = test::bare();
    own.use(http::digest_auth(
        [name](std::string given) -> Task<std::optional<std::string>> {
          if (given != name) co_return std::nullopt;
          co_return http::digest_secret(name, "Tea room", "wonder:land");
        },
        "Tea room"));
    own.get("/a", [](Request& request) { return Response::text(request.principal().name); });
    const Handler handler = http::handler(std::move(own));
    const std::string nonce = co_await nonce_of(handler);
    const auto with = [&](std::string_view field, int count) {
      std::string request = request_of({.name = name, .count = fmt::format("{:08x}", count)}, nonce);
      const std::string plain = "username=\"" + name + "\"";
      return request.replace(request.find(plain), plain.size(), field);
    };
    EXPECT_EQ(co_await status_of(handler, with("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe", 1)), "200");
    EXPECT_EQ(co_await status_of(handler, with("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, username=\"x\"", 2)), "401");
    EXPECT_EQ(co_await status_of(handler, with("username*=latin1''J%E4s%F8n%20Doe", 3)), "401");
    EXPECT_EQ(co_await status_of(handler, with("username*=\"Doe\"", 4)), "401");
  });
}

TEST_F(HttpDigest, wrong_responses_are_refused) {
  test::run([]() -> Task<> {
    const Handler handler = http::handler(app());
    const std::string nonce = co_await nonce_of(handler);
    const std::vector<Login> logins{{.name = "bob"},     {.password = "other"},  {.uri = "/b"},
                                    {.realm = "Coffee"}, {.algorithm = "MD5"},   {.qop = "auth-int"},
                                    {.count = "1"},      {.count = "0000000100"}};
    for (const Login& login : logins) EXPECT_EQ(co_await status_of(handler, request_of(login, nonce)), "401");
    EXPECT_EQ(co_await status_of(handler, request_of({.count = "00000000"}, nonce)), "401 stale");
    EXPECT_EQ(co_await status_of(handler, request_of({.count = "0000000x"}, nonce)), "401 stale");
    EXPECT_EQ(co_await status_of(handler, request_of({}, "invented")), "401 stale");
    const std::string other = co_await nonce_of(http::handler(app()));
    EXPECT_EQ(co_await status_of(handler, request_of({}, other)), "401 stale") << "of another server";
    for (const char* malformed :
         {"Digest", "Digest username=\"a", "Digest a=b a=c", "Digest nonce=1, nonce=2", "Basic x"}) {
      EXPECT_EQ(
          co_await status_of(handler, fmt::format("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\n\r\n", malformed)),
          "401");
    }
    EXPECT_EQ(co_await status_of(handler, request_of({}, nonce)), "200");
  });
}

TEST_F(HttpDigest, realms_that_cannot_be_quoted_are_refused) {
  EXPECT_THROW(http::digest_auth({}, "a\"b"), Error);
  EXPECT_THROW(http::digest_auth({}, "a\nb"), Error);
}

}  // namespace coax::digest_test
