// In the steady state a GET costs no allocation, neither alone nor in a pipeline, with a handler that waits or without;
// what an idle connection holds is its coroutine's frame and no buffer.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "coax/http/app.hpp"
#include "coax/stream/memory.hpp"
#include "tests/support/run.hpp"
#include "tests/support/stream_pairs.hpp"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COAX_SANITIZED
#endif
#endif

#ifndef COAX_SANITIZED  // sanitizers have their own allocator, and frames come from the heap then

namespace {
std::atomic<std::size_t> allocations = 0;
}

void* operator new(std::size_t size) {
  ++allocations;
  void* block = std::malloc(size);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }

namespace allocation_test {

namespace {

using namespace coax;
using namespace coax::test;

constexpr std::string_view body = "Hello world!";

Task<http::Response> later(http::Request&) { co_return http::Response::text(std::string(body)); }

Handler make_handler() {
  http::App app;
  app.get("/hello/and/be/greeted", [](http::Request&) { return http::Response::text(std::string(body)); });
  app.get("/of/{name}",
          [](http::Request& request) { return http::Response::text(std::string(request.parameter("name"))); });
  app.get("/later", later);
  return http::handler(std::move(app));
}

// All bodies are as long as this one.
Task<std::string> recv_one(Stream& stream) {
  std::string answer;
  std::size_t head_end = std::string::npos;
  while (head_end == std::string::npos || answer.size() < head_end + 4 + body.size()) {
    answer += (co_await stream.recv()).text();
    head_end = answer.find("\r\n\r\n");
  }
  co_return answer;
}

Task<> recv_all(Stream& stream, std::span<char> answers) {
  std::size_t have = 0;
  while (have < answers.size()) have += co_await stream.recv(answers.subspan(have));
}
// Both at once: neither end can buffer all of them.
Task<> ask(Stream& stream, BytesView questions, std::span<char> answers) {
  co_await all(stream.send(questions), recv_all(stream, answers));
}

Task<> ask_many_times(Stream& stream, std::string_view path, std::size_t depth, std::size_t& counted) {
  const std::string question = fmt::format(
      "GET {} HTTP/1.1\r\nHost: example.com:8080\r\nUser-Agent: a test that counts what is allocated\r\n"
      "Accept: text/html,application/xhtml+xml;q=0.9\r\nConnection: keep-alive\r\n\r\n",
      path);
  co_await stream.send(question);
  const std::string answer = co_await recv_one(stream);
  std::string questions;
  for (std::size_t count = 0; count < depth; ++count) questions += question;
  std::string answers(answer.size() * depth, '\0');
  std::size_t before = 0;
  for (int times = 0; times < 200; ++times) {
    if (times == 100) before = allocations;
    co_await ask(stream, questions, answers);
  }
  counted = allocations - before;
  EXPECT_TRUE(answers.ends_with(answer.substr(answer.size() - 4))) << answers;
  co_await stream.shutdown_send();
}

Task<> send_and_recv(ws::WebSocket& from, ws::WebSocket& to) {
  co_await from.send_text("Hello world!");
  co_await to.recv();
}

}  // namespace

// Compression and subprotocols cost a WebSocket that has none nothing.
TEST(Allocations, a_websocket_without_extensions_makes_none) {
  EXPECT_LE(sizeof(ws::WebSocket), 120U);
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    std::size_t before = allocations;
    ws::WebSocket server(*near, ws::Role::server);
    ws::WebSocket client(*far, ws::Role::client);
    EXPECT_EQ(allocations, before);
    for (int times = 0; times < 200; ++times) {
      if (times == 100) before = allocations;
      co_await send_and_recv(server, client);
    }
    EXPECT_EQ(allocations, before);
  });
}

TEST(Allocations, a_get_makes_none) {
  for (const StreamKind& kind : stream_kinds) {
    const std::string_view name = kind.name;
    if (name.starts_with("narrow")) continue;  // they take long, and tell nothing more
    // With a rate it depends on the time how many buffers are lent at once, also after the first round.
    if (name.starts_with("limited") || name.starts_with("layered")) continue;
    for (const std::string_view path : {"/hello/and/be/greeted", "/of/Hello+world!", "/later"}) {
      for (const std::size_t depth : {1UZ, 16UZ, 100UZ}) {
        std::size_t counted = 1;
        run([&]() -> Task<> {
          StreamPair pair = co_await kind.make();
          const Handler handler = make_handler();
          Connection connection(*pair.far, 1);
          co_await all(handler(connection), ask_many_times(*pair.near, path, depth, counted));
        });
        EXPECT_EQ(counted, 0U) << kind.name << ", " << path << ", " << depth << " deep";
      }
    }
  }
}

}  // namespace allocation_test

#endif
