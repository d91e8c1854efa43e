// The client behind proxies, and limits by its address.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "coax/http/middleware.hpp"
#include "coax/http/rate_private.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/http.hpp"

namespace coax::proxies_test {
namespace {

using http::App;
using http::ProxyOptions;
using http::Request;
using http::Response;
using test::answer;
using test::bare;
using test::body_of;

class HttpProxies : public test::QuietLog {};

// As if the connection came from there.
http::Middleware from_peer(const char* address) {
  return
      [peer = Endpoint::from_ip(address, 9).value_or(Endpoint())](Request& request, http::Next next) -> Task<Response> {
        request.set_peer(peer);
        co_return co_await next(request);
      };
}

std::string client_of(const char* peer, const ProxyOptions& options, std::string_view fields) {
  App app = bare();
  app.use(from_peer(peer)).use(http::trusted_proxies(options));
  app.get("/", [](Request& request) {
    return Response::text(
        fmt::format("{} {} {}", request.peer().ip(), request.is_secure() ? "https" : "http", request.host()));
  });
  const std::string text = answer(std::move(app), fmt::format("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", fields));
  return text.starts_with("HTTP/1.1 200 ") ? body_of(text) : text.substr(9, 3);
}

ProxyOptions options(ProxyOptions::Header header = ProxyOptions::Header::x_forwarded) {
  return {.networks = {Network::parse("10.0.0.0/8"), Network::parse("fd00::/8")}, .header = header, .host = true};
}

}  // namespace

TEST_F(HttpProxies, x_forwarded_for_gives_the_last_address_that_is_no_proxy) {
  struct Case {
    const char* peer;
    const char* fields;
    const char* client;
  };
  for (const Case& one : std::initializer_list<Case>{
           {"10.0.0.1", "", "10.0.0.1 http h"},
           {"10.0.0.1", "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1 http h"},
           {"10.0.0.1", "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n", "192.0.2.1 http h"},
           {"10.0.0.1", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.1, 10.0.0.7\r\n", "192.0.2.1 http h"},
           {"10.0.0.1", "X-Forwarded-For: 10.0.0.9, 192.0.2.1\r\n", "192.0.2.1 http h"},
           {"10.0.0.1", "X-Forwarded-For: 192.0.2.1, junk\r\n", "10.0.0.1 http h"},
           {"10.0.0.1", "X-Forwarded-For: unknown, 10.0.0.2\r\n", "10.0.0.2 http h"},
           {"10.0.0.1", "X-Forwarded-For: 192.0.2.1:4711\r\n", "192.0.2.1 http h"},
           {"10.0.0.1", "X-Forwarded-For: [2001:db8::1]:80\r\n", "2001:db8::1 http h"},
           {"10.0.0.1", "X-Forwarded-For: ::ffff:192.0.2.1\r\n", "192.0.2.1 http h"},
           {"::ffff:10.0.0.1", "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1 http h"},
           {"10.0.0.1", "X-Forwarded-For: 10.0.0.2, 10.0.0.3\r\n", "10.0.0.2 http h"},
           {"192.0.2.9", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n", "192.0.2.9 http h"},
           {"", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n", "? http h"},
           {"10.0.0.1", "Forwarded: for=6.6.6.6;proto=https\r\n", "10.0.0.1 http h"},
           {"10.0.0.1", "X-Forwarded-Proto: https\r\n", "10.0.0.1 https h"},
           {"10.0.0.1",
            "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example:8443\r\n",
            "192.0.2.1 https a.example:8443"},
           {"10.0.0.1", "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\nX-Forwarded-Proto: https, http\r\n",
            "192.0.2.1 http h"},
           {"10.0.0.1", "X-Forwarded-For: 192.0.2.1, 10.0.0.2\r\nX-Forwarded-Proto: https, http\r\n",
            "192.0.2.1 https h"},
           {"10.0.0.1", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: a/b\r\n", "192.0.2.1 http h"},
           {"10.0.0.1", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: ftp\r\n", "192.0.2.1 http h"},
       }) {
    EXPECT_EQ(client_of(one.peer, options(), one.fields), one.client) << one.peer << " " << one.fields;
  }
}

TEST_F(HttpProxies, forwarded_is_read_as_the_rfc_has_it) {
  struct Case {
    const char* value;
    const char* client;
  };
  for (const Case& one : std::initializer_list<Case>{
           {"for=192.0.2.1", "192.0.2.1 http h"},
           {"For=\"[2001:db8::1]:4711\";Proto=HTTPS;Host=a.example;by=_x", "2001:db8::1 https a.example"},
           {"for=6.6.6.6, for=192.0.2.1;proto=https", "192.0.2.1 https h"},
           {"for=\"6.6.6.6, for=7.7.7.7\", for=192.0.2.1", "192.0.2.1 http h"},
           {"for=192.0.2.1 , , for=10.0.0.2;proto=https", "192.0.2.1 http h"},
           {"for=\"\\192.0.2.1\"", "192.0.2.1 http h"},
           {"for=unknown", "10.0.0.1 http h"},
           {"for=_hidden, for=10.0.0.2", "10.0.0.2 http h"},
           {"proto=https", "10.0.0.1 https h"},
           {"for=192.0.2.1;host=\"a b\"", "192.0.2.1 http h"},
           {"for=\"192.0.2.1", "400"},
           {"\", for=192.0.2.1", "400"},
           {"for", "400"},
           {"for=", "400"},
           {"for=1.2.3.4;for=5.6.7.8", "400"},
           {"for=2001:db8::1", "400"},
           {"for=192.0.2.1;", "400"},
           {"for=192.0.2.1 x", "400"},
       }) {
    EXPECT_EQ(
        client_of("10.0.0.1", options(ProxyOptions::Header::forwarded), fmt::format("Forwarded: {}\r\n", one.value)),
        one.client)
        << one.value;
  }
  EXPECT_EQ(client_of("192.0.2.9", options(ProxyOptions::Header::forwarded), "Forwarded: \"\r\n"), "192.0.2.9 http h");
}

TEST_F(HttpProxies, host_is_taken_only_by_option) {
  ProxyOptions without = options();
  without.host = false;
  EXPECT_EQ(client_of("10.0.0.1", without, "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: evil\r\n"),
            "192.0.2.1 http h");
  ProxyOptions local{.local_sockets = true};
  EXPECT_EQ(client_of("", local, "X-Forwarded-For: 192.0.2.1\r\n"), "192.0.2.1 http h");
}

TEST_F(HttpProxies, rate_limit_is_per_address_and_recovers) {
  test::simulate(1, [](SimNetwork&) -> Task<> {
    App app = bare();
    app.use(http::trusted_proxies({.local_sockets = true}));
    app.use(http::rate_limit({.requests = 2, .period = std::chrono::seconds(10)}));
    app.get("/", [](Request&) { return Response::text("x"); });
    const Handler handler = http::handler(std::move(app));
    const auto from = [&](std::string_view address) -> Task<std::string> {
      const std::string request = fmt::format("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {}\r\n\r\n", address);
      const std::string text = co_await test::ask(handler, request);
      co_return text.substr(9, 3) + " " + test::header_of(text, "Retry-After");
    };
    EXPECT_EQ(co_await from("192.0.2.1"), "200 none");
    EXPECT_EQ(co_await from("192.0.2.1"), "200 none");
    EXPECT_EQ(co_await from("192.0.2.1"), "429 5");
    EXPECT_EQ(co_await from("192.0.2.2"), "200 none");
    EXPECT_EQ(co_await from("2001:db8::1"), "200 none");
    EXPECT_EQ(co_await from("2001:db8::2"), "200 none");
    EXPECT_EQ(co_await from("2001:db8::ffff:0:0:3"), "429 5") << "the same /64";
    EXPECT_EQ(co_await from("2001:db8:0:1::1"), "200 none");
    co_await sleep(std::chrono::seconds(5));
    EXPECT_EQ(co_await from("192.0.2.1"), "200 none");
    EXPECT_EQ(co_await from("192.0.2.1"), "429 5");
  });
}

TEST_F(HttpProxies, rate_table_is_bounded_and_forgets_the_oldest) {
  using std::chrono::seconds;
  http::RateTable table(1, seconds(10), 3);
  const TimePoint now = TimePoint(seconds(1000));
  for (const char* key : {"a", "b", "c"}) EXPECT_EQ(table.acquire(key, now), Duration());
  EXPECT_EQ(table.acquire("a", now), Duration(seconds(10)));
  EXPECT_EQ(table.acquire("d", now), Duration());
  EXPECT_EQ(table.size(), 3U);
  EXPECT_EQ(table.acquire("a", now), Duration(seconds(10))) << "b was unused for longest";
  EXPECT_EQ(table.acquire("e", now + seconds(10)), Duration());
  EXPECT_LE(table.size(), 3U);
  EXPECT_THROW(http::RateTable(0, seconds(1), 1), Error);
  EXPECT_THROW(http::RateTable(1, Duration(), 1), Error);
  EXPECT_THROW(http::RateTable(1, seconds(1), 0), Error);
}

}  // namespace coax::proxies_test
