// connect() by name: the loop continues while a name server does not answer, and a time limit holds. The resolver of
// these tests replaces the system's, and delays chosen answers.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <atomic>
#include <mutex>
#include <string_view>
#include <thread>

#include "coax/stream/socket_stream.hpp"
#include "tests/support/run.hpp"

namespace resolver_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

std::atomic<int> asked = 0;    // how often
std::atomic<int> waiting = 0;  // for the answer to slow.test; each connect() resolves twice
std::atomic<bool> answers = true;
std::atomic<std::thread::id> asked_on;

}  // namespace

// One at a time: ThreadSanitizer knows the locks inside the system's resolver only where it is called itself.
static int ask_system(const char* host, const char* port, const addrinfo* hints, addrinfo** found) {
  static auto* const system = reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  return system(host, port, hints, found);
}

// both.test is this machine by both families, each resolved by itself; slow.test by IPv4, once `answers` is true.
extern "C" int getaddrinfo(const char* host, const char* port, const addrinfo* hints, addrinfo** found) {
  ++asked;
  asked_on = std::this_thread::get_id();
  const bool is_v6 = hints->ai_family == AF_INET6;
  if (std::string_view(host) == "both.test") return ask_system(is_v6 ? "::1" : "127.0.0.1", port, hints, found);
  if (std::string_view(host) != "slow.test") return ask_system(host, port, hints, found);
  ++waiting;
  answers.wait(false);
  --waiting;
  if (is_v6) return EAI_NODATA;
  return ask_system("127.0.0.1", port, hints, found);
}

namespace {

// No query is answered during its lifetime; its end waits for the pending ones, so that none reaches the next test.
class SilentServer {
 public:
  SilentServer() { answers = false; }
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;
  ~SilentServer() { answer(); }
  static void answer() {
    answers = true;
    answers.notify_all();
  }
};

std::string at(std::string_view host, const SocketListener& listener) {
  return std::string(host) + ":" + std::to_string(listener.local().port());
}

}  // namespace

TEST(ConnectByName, asks_the_resolver_on_another_thread) {
  COAX_NEEDS_KERNEL();
  run([]() -> Task<> {
    SocketListener listener(*Endpoint::parse("127.0.0.1:0"));
    const std::string where = at("slow.test", listener);
    const auto stream = co_await connect(where);
    EXPECT_EQ(stream->peer(), listener.local());
    EXPECT_NE(asked_on.load(), std::this_thread::get_id());
  });
}

TEST(ConnectByName, does_not_ask_for_addresses) {
  COAX_NEEDS_KERNEL();
  run([]() -> Task<> {
    SocketListener listener(*Endpoint::parse("127.0.0.1:0"));
    const int before = asked;
    for (const std::string& where : {at("127.0.0.1", listener), at("[::ffff:127.0.0.1]", listener)}) {
      const auto stream = co_await connect(where);
      EXPECT_EQ(stream->peer().port(), listener.local().port());
    }
    EXPECT_EQ(asked, before);
  });
}

TEST(ConnectByName, leaves_the_loop_free_and_can_be_given_up) {
  COAX_NEEDS_KERNEL();
  run([]() -> Task<> {
    const SilentServer server;
    SocketListener listener(*Endpoint::parse("127.0.0.1:0"));
    const std::string where = at("slow.test", listener);
    EXPECT_EQ((co_await race(connect(where), until([] { return waiting == 2; }))).index(), 1U);
    EXPECT_EQ(co_await outcome(timeout(1ms, connect(where))), "timed_out");
    EXPECT_GE(waiting, 1);
  });
  run([]() -> Task<> { co_await until([] { return waiting == 0; }); });
}

TEST(ConnectByName, continues_when_the_answer_arrives) {
  COAX_NEEDS_KERNEL();
  run([]() -> Task<> {
    const SilentServer server;
    SocketListener listener(*Endpoint::parse("127.0.0.1:0"));
    const auto answer_late = []() -> Task<> {
      co_await until([] { return waiting == 2; });
      SilentServer::answer();
    };
    const std::string where = at("slow.test", listener);
    const auto both = co_await all(connect(where), answer_late());
    EXPECT_EQ(std::get<0>(both)->peer(), listener.local());
  });
}

TEST(ConnectByName, says_why_a_name_means_nothing) {
  run([]() -> Task<> { EXPECT_EQ(co_await outcome(connect("no such host:80")), "address"); });
}

TEST(ConnectByName, has_a_limit_of_its_own_that_counts_the_name_server_too) {
  COAX_NEEDS_KERNEL();
  run([]() -> Task<> {
    const SilentServer server;
    EXPECT_EQ(co_await text_of_error(connect("slow.test:80", {.limit = 1ms})),
              "connect to slow.test:80: no name server answered within 1ms");
  });
  run([]() -> Task<> { co_await until([] { return waiting == 0; }); });
}

TEST(ConnectByName, tries_both_families_and_says_what_each_address_said) {
  run([]() -> Task<> {
    std::string where;
    {
      SocketListener listener(*Endpoint::parse("127.0.0.1:0"));
      where = at("both.test", listener);
      const auto stream = co_await connect(where);
      EXPECT_EQ(stream->peer(), listener.local());
    }
    const std::string error = co_await text_of_error(connect(where));
    const std::string port = where.substr(where.find(':'));
    EXPECT_TRUE(error.starts_with("connect to " + where + ": [::1]" + port + ": ")) << error;
    EXPECT_TRUE(error.ends_with(", 127.0.0.1" + port + ": Connection refused")) << error;
  });
}

}  // namespace resolver_test
