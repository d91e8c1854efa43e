// In the steady state a message costs no allocation: not the operations, not the tasks around them, not the time
// limits.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/support/run.hpp"
#include "tests/support/stream_pairs.hpp"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COAX_SANITIZED
#endif
#endif

#ifndef COAX_SANITIZED  // they have their own allocator, and frames come from the heap then

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

namespace {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

Task<> echo(Stream& peer) {
  while (const auto bytes = co_await peer.recv()) co_await peer.send(bytes);
}

Task<> recv_all(Stream& stream, std::span<char> answer) {
  std::size_t have = 0;
  while (have < answer.size()) have += co_await stream.recv(answer.subspan(have));
}
// Both at once: neither end may hold all of a long message.
Task<> ask(Stream& stream, Bytes question, std::span<char> answer) {
  co_await all(stream.send(question), recv_all(stream, answer));
}

Task<> ask_many_times(Stream& stream, std::size_t bytes, std::size_t& counted) {
  const std::string question(bytes, 'x');
  std::string answer(bytes, '\0');
  std::size_t before = 0;
  for (int times = 0; times < 2000; ++times) {
    if (times == 1000) before = allocations;
    co_await timeout(1h, ask(stream, question, answer));
    const auto first = co_await race(ask(stream, question, answer), sleep(1h));
    EXPECT_EQ(first, 0U);
  }
  counted = allocations - before;
  co_await stream.finish();
}

}  // namespace

TEST(Allocations, an_echo_makes_none) {
  for (const StreamKind& kind : stream_kinds) {
    for (const std::size_t bytes : {64UZ, 3'000UZ, 100'000UZ}) {
      std::size_t counted = 1;
      run([&]() -> Task<> {
        StreamPair pair = co_await kind.make();
        co_await all(echo(*pair.far), ask_many_times(*pair.near, bytes, counted));
      });
      EXPECT_EQ(counted, 0U) << kind.name << ", " << bytes << " bytes";
    }
  }
}

#endif
