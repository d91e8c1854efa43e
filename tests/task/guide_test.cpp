// Verifies docs/guide/tasks.md: its code is here, word for word, and runs.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>

#include "coax/coax.hpp"
#include "coax/stream/memory.hpp"
#include "tests/support/run.hpp"
#include "tests/support/sim.hpp"

namespace guide_test {

using namespace coax;
using namespace std::chrono_literals;

namespace {

Task<> echo(Stream& stream) {
  while (const auto bytes = co_await stream.recv()) co_await stream.send(bytes);
}
Task<std::size_t> count_bytes(Stream& stream) {
  std::size_t count = 0;
  while (const auto bytes = co_await stream.recv()) count += bytes.size();
  co_return count;
}
struct Settings {
  Event reloaded;
  void reload() { reloaded.set(); }
};

// --- from the guide ---
Task<> answer_or_leave(Stream& client, Event& closing) { co_await race(echo(client), closing.wait()); }

Task<std::size_t> both_lengths(Stream& left, Stream& right) {
  const auto lengths = co_await all(count_bytes(left), count_bytes(right));
  co_return std::get<0>(lengths) + std::get<1>(lengths);
}

Task<std::unique_ptr<SocketStream>> connect_soon(std::string_view where) {
  co_return co_await timeout(5s, connect(where));
}

Task<> say_goodbye(Stream& client) { co_await shield(1s, client.send("bye\n")); }

Task<> copy_all(std::vector<Stream*>& clients) {
  co_await task_group([&clients](TaskGroup& group) -> Task<> {
    for (Stream* client : clients) group.spawn(echo(*client));
    co_return;
  });
}

Task<std::size_t> count_in_both(Stream& left, Stream& right) {
  std::size_t sum = 0;
  co_await task_group([&](TaskGroup& group) -> Task<> {
    Future<std::size_t> first = group.spawn(count_bytes(left));
    sum = co_await count_bytes(right);
    sum += co_await first;
  });
  co_return sum;
}

Task<> on_each_loop(Task<> (*work)()) {
  for (Loop* loop : Loop::current().together()) co_await run_on(*loop, work());
}

Task<> produce(Channel<std::string>& lines) {
  for (int number = 0; number < 3; ++number) co_await lines.send("line " + std::to_string(number));
  lines.close();
}
Task<std::size_t> consume(Channel<std::string>& lines) {
  std::size_t bytes = 0;
  while (const auto line = co_await lines.recv()) bytes += line->size();
  co_return bytes;
}

Task<int> ask_somewhere_else(std::function<void(Promise<int>)> start) {
  Promise<int> promise;
  Future<int> answer = promise.future();
  start(std::move(promise));
  co_return co_await answer;
}

Task<> reload_on_hangup(Settings& settings) {
  Signals signals({SIGHUP});
  while (true) {
    co_await signals.next();
    settings.reload();
  }
}

Task<std::string> read_file(std::string path) {
  const auto read = [&path] {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  co_return co_await offload(read);
}

Task<std::vector<Endpoint>> look_up(std::string name) {
  const auto ask = [name] { return resolve(name, 80); };
  co_return co_await offload(ask, abandon_on_cancel);
}
// --- until here ---

std::string text_of(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::size_t loops_visited = 0;

using GuideOnKernel = test::OnKernel;

}  // namespace

TEST(Guide, quotes_what_is_compiled_here) {
  const std::string guide = text_of("docs/guide/tasks.md");
  const std::string here = text_of("tests/task/guide_test.cpp");
  constexpr std::string_view opening = "```cpp\n";
  std::size_t blocks = 0;
  for (std::size_t at = guide.find(opening); at != std::string::npos; at = guide.find(opening, at), ++blocks) {
    at += opening.size();
    const std::string code = guide.substr(at, guide.find("```\n", at) - at);
    const bool is_program = code.contains("int main(");  // tests/tools/docs_test.py finds it in examples/
    if (!is_program) EXPECT_NE(here.find(code), std::string::npos) << code;
    at += code.size() + 1;
  }
  EXPECT_EQ(blocks, 13U);
}

TEST(Guide, streams_in_scopes) {
  test::run([]() -> Task<> {
    Event closing;
    closing.set();
    auto [near, far] = memory_stream_pair(64_KiB);
    co_await answer_or_leave(*near, closing);
    std::vector<Stream*> clients{near.get()};
    const auto client = [](Stream& stream) -> Task<> {
      co_await stream.send("hello");
      EXPECT_EQ(co_await stream.recv_exactly(5), "hello");
      co_await stream.shutdown_send();
    };
    co_await all(copy_all(clients), client(*far));
    co_await say_goodbye(*near);
    EXPECT_EQ(co_await far->recv_exactly(4), "bye\n");
  });
  test::run([]() -> Task<> {
    auto [near, far] = memory_stream_pair(64_KiB);
    const auto client = [](Stream& left, Stream& right) -> Task<> {
      co_await left.send("one");
      co_await left.shutdown_send();
      co_await right.send("three");
      co_await right.shutdown_send();
    };
    const auto results = co_await all(both_lengths(*near, *far), client(*near, *far));
    EXPECT_EQ(std::get<0>(results), 8U);
  });
  test::run([]() -> Task<> {
    auto [near, far] = memory_stream_pair(64_KiB);
    const auto finish_both = [](Stream& left, Stream& right) -> Task<> {
      co_await left.send("one");
      co_await left.shutdown_send();
      co_await right.shutdown_send();
    };
    EXPECT_EQ(std::get<0>(co_await all(count_in_both(*near, *far), finish_both(*near, *far))), 3U);
  });
}

TEST(Guide, promises) {
  test::run([]() -> Task<> {
    EXPECT_EQ(co_await ask_somewhere_else([](Promise<int> promise) { promise.set(42); }), 42);
    EXPECT_EQ(co_await test::outcome(ask_somewhere_else([](const Promise<int>&) {})), "disconnected");
  });
}

TEST_F(GuideOnKernel, promises_of_another_thread) {
  test::run([]() -> Task<> {
    std::thread other;
    EXPECT_EQ(co_await ask_somewhere_else([&](Promise<int> promise) {
                other = std::thread([held = std::move(promise)]() mutable { held.set(7); });
              }),
              7);
    other.join();
  });
}

TEST(Guide, the_network) {
  test::run([]() -> Task<> {
    const SocketListener listener(*Endpoint::parse("127.0.0.1:0"));
    const std::string where = listener.local().to_string();
    const auto stream = co_await connect_soon(where);
    EXPECT_EQ(stream->peer(), listener.local());
    for (const Endpoint& endpoint : co_await look_up("localhost")) EXPECT_TRUE(endpoint.is_loopback());
  });
}

TEST(Guide, loops_channels_signals_and_files) {
  test::run(
      []() -> Task<> {
        const auto visit = []() -> Task<> {
          ++loops_visited;
          co_return;
        };
        co_await on_each_loop(visit);
        EXPECT_EQ(loops_visited, 2U);
        Channel<std::string> lines(1);
        const auto results = co_await all(produce(lines), consume(lines));
        EXPECT_EQ(std::get<1>(results), 18U);
        Settings settings;
        const auto hang_up = [](Settings& told) -> Task<> {
          std::raise(SIGHUP);
          co_await told.reloaded.wait();
        };
        co_await race(reload_on_hangup(settings), hang_up(settings));
        const std::string text = co_await read_file("docs/guide/tasks.md");
        EXPECT_EQ(text, text_of("docs/guide/tasks.md"));
      },
      {.threads = 2});
}

}  // namespace guide_test
