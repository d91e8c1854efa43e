// A loop that GLib's main loop drives, by the GSource of the guide (examples/glib_source.hpp).
#include <glib.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "coax/stream/socket_stream.hpp"
#include "coax/task/loop_tasks.hpp"
#include "examples/glib_source.hpp"
#include "tests/support/run.hpp"

namespace glib_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

// A context of the test's own, which ends with a failure at the limit of all tests.
class GlibLoop : public OnKernel {
 protected:
  GlibLoop() { g_main_context_push_thread_default(context_); }
  ~GlibLoop() override {
    g_main_context_pop_thread_default(context_);
    g_main_context_unref(context_);
  }
  template <class Condition>
  void run_until(Condition condition) {
    bool is_over = false;
    GSource* const limit = add_timer(std::chrono::duration_cast<std::chrono::milliseconds>(time_limit), is_over);
    while (!condition() && !is_over) iterate();
    EXPECT_FALSE(is_over) << "the outer loop reached its limit";
    remove(limit);
  }
  // Until GLib would have to wait.
  void settle() {
    while (g_main_context_iteration(context_, FALSE) != FALSE) {
    }
  }
  void iterate() { g_main_context_iteration(context_, TRUE); }
  GSource* add_timer(std::chrono::milliseconds duration, bool& flag) {
    GSource* const timer = g_timeout_source_new(static_cast<guint>(duration.count()));
    const auto raise = [](gpointer data) -> gboolean {
      *static_cast<bool*>(data) = true;
      return G_SOURCE_REMOVE;
    };
    g_source_set_callback(timer, raise, &flag, nullptr);
    g_source_attach(timer, context_);
    return timer;
  }
  static void remove(GSource* source) {
    g_source_destroy(source);
    g_source_unref(source);
  }

  GMainContext* context_ = g_main_context_new();
};

Task<> echo_one(SocketListener& listener) {
  const auto accepted = co_await listener.accept();
  const auto stream = SocketStream::adopt(accepted.native);
  while (const auto bytes = co_await stream->recv()) co_await stream->send(bytes);
}

Task<> exchange(Endpoint server, int rounds, std::string& got) {
  const auto stream = co_await connect(server);
  for (int round = 0; round < rounds; ++round) {
    co_await stream->send("ping\n");
    got += co_await stream->recv_exactly(5);
    co_await sleep(1ms);
  }
}

}  // namespace

TEST_F(GlibLoop, drives_sockets_and_timers_beside_its_own) {
  Loop loop;
  const LoopSource source(loop, context_);
  const auto entered = loop.enter();
  SocketListener listener("127.0.0.1:0");
  LoopTasks tasks(loop);
  std::string got;
  bool has_fired = false;
  GSource* const timer = add_timer(5ms, has_fired);
  tasks.start(echo_one(listener));
  tasks.start(exchange(listener.local(), 20, got));
  run_until([&] { return tasks.size() == 0 && has_fired; });
  EXPECT_EQ(got.size(), 100U);
  remove(timer);
}

TEST_F(GlibLoop, post_from_another_thread_wakes_it) {
  Loop loop;
  const LoopSource source(loop, context_);
  bool ran = false;
  const std::jthread poster([&] { loop.post([&] { ran = true; }); });
  run_until([&] { return ran; });
}

TEST_F(GlibLoop, cancelled_tasks_end_and_when_empty_is_called) {
  Loop loop;
  const LoopSource source(loop, context_);
  LoopTasks tasks(loop);
  std::string end;
  bool is_empty = false;
  tasks.start([&]() -> Task<> { end = co_await outcome(sleep(1h)); });
  settle();
  tasks.cancel();
  tasks.when_empty([&] { is_empty = true; });
  run_until([&] { return is_empty; });
  EXPECT_EQ(end, "cancelled");
}

TEST_F(GlibLoop, task_that_uses_up_its_share_leaves_other_sources_theirs) {
  Loop loop;
  const LoopSource source(loop, context_);
  LoopTasks tasks(loop);
  bool has_fired = false;
  tasks.start([&]() -> Task<> {
    while (!has_fired) co_await checkpoint(64);
  });
  GSource* const timer = add_timer(5ms, has_fired);
  run_until([&] { return tasks.size() == 0; });
  EXPECT_TRUE(has_fired);
  remove(timer);
}

TEST_F(GlibLoop, idle_loop_does_not_wake_it) {
  Loop loop;
  const LoopSource source(loop, context_);
  const auto entered = loop.enter();
  SocketListener listener("127.0.0.1:0");
  LoopTasks tasks(loop);
  bool slept = false;
  tasks.start(echo_one(listener));
  tasks.start([&]() -> Task<> {
    co_await sleep(1h);
    slept = true;
  });
  settle();
  bool has_fired = false;
  GSource* const timer = add_timer(100ms, has_fired);
  int iterations = 0;
  while (!has_fired) {
    iterate();
    ++iterations;
  }
  EXPECT_EQ(iterations, 1);
  remove(timer);
}

}  // namespace glib_test
