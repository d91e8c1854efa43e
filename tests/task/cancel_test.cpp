// One program that uses everything, cancelled at each of its awaits in turn: before it waits, at the start of the wait,
// and some turns later. However it ends, every task has ended and cleaned up, every value is in one place, and every
// buffer and descriptor is released.
#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "coax/task/channel.hpp"
#include "coax/task/offload.hpp"
#include "coax/task/scope.hpp"
#include "tests/support/ambush.hpp"
#include "tests/support/run.hpp"
#include "tests/support/stream_pairs.hpp"

namespace cancel_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

using Value = std::unique_ptr<int>;

// Where the program is cancelled, and the resources that must be released.
class World {
 public:
  World(std::size_t await, std::size_t turns) : await_(await), turns_(turns) {}

  void begins(Ambush& ambush) { ambush_ = &ambush; }
  // Called before each await.
  void reaches_await() {
    if (awaits_++ == await_) ambush_->in(turns_);
  }
  [[nodiscard]] bool is_behind_the_end() const noexcept { return awaits_ <= await_; }
  void ends() const {
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(cleaned, begun);
    EXPECT_EQ(offloaded, 0);
  }

  int begun = 0;
  int cleaned = 0;
  std::atomic<int> alive = 0;  // on every loop
  std::atomic<int> offloaded = 0;
  Channel<Value> queue{2};
  Channel<Value> meeting{0};
  std::set<int> accepted;
  std::set<int> received;
  Event event;
  StreamPair tcp;
  StreamPair memory;

 private:
  std::size_t await_;
  std::size_t turns_;
  std::size_t awaits_ = 0;
  Ambush* ambush_ = nullptr;
};

// co_await at(world, x) is co_await x, with the ambush before it.
template <class Awaitable>
detail::task_of<Awaitable> at(World& world, Awaitable awaitable) {
  world.reaches_await();
  co_return co_await std::move(awaitable);
}

struct Alive {
  explicit Alive(World& of) : world(of) { ++world.alive; }
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;
  ~Alive() { --world.alive; }
  World& world;
};

// Runs the task, and then cleans up, which has to wait, whatever the result was.
Task<> with_cleaning(World& world, Task<> task) {
  const Alive alive(world);
  ++world.begun;
  std::exception_ptr error;
  try {
    co_await std::move(task);
  } catch (...) {
    error = std::current_exception();
  }
  co_await at(world, shield(next_turn()));
  ++world.cleaned;
  if (error) std::rethrow_exception(error);
}

Task<> produce(World& world, Channel<Value>& channel, int first) {
  for (int number = first; number < first + 4; ++number) {
    Value value = std::make_unique<int>(number);
    try {
      co_await at(world, channel.send(std::move(value)));
    } catch (const Cancelled&) {
      EXPECT_NE(value, nullptr) << "it was cancelled, and yet it was sent";
      throw;
    }
    EXPECT_EQ(value, nullptr);
    world.accepted.insert(number);
  }
}
void note(World& world, const Value& value) { EXPECT_TRUE(world.received.insert(*value).second) << "twice"; }
Task<> consume(World& world, Channel<Value>& channel) {
  for (int left = 4; left != 0; --left) note(world, *co_await at(world, channel.recv()));
}
// The first to complete; the other is not lost.
Task<> consume_either(World& world) {
  for (int left = 8; left != 0; --left) {
    auto either = co_await at(world, race(world.queue.recv(), world.meeting.recv()));
    note(world, either.index() == 0 ? *std::get<0>(either) : *std::get<1>(either));
  }
}

Task<> echo(World& world, Stream& stream) {
  while (const auto bytes = co_await at(world, stream.recv())) co_await at(world, stream.send(bytes));
}
Task<> ask(World& world, Stream& stream, std::size_t bytes) {
  const std::string question(bytes, 'x');
  co_await at(world, stream.send(question));
  std::size_t have = 0;
  while (have < bytes) have += (co_await at(world, stream.recv())).size();
  co_await at(world, stream.shutdown_send());
}
Task<> talk(World& world, StreamPair& pair) {
  co_await at(world, all(with_cleaning(world, echo(world, *pair.far)), ask(world, *pair.near, 2000)));
}

Task<> work_elsewhere(World& world) {
  const Alive alive(world);
  const auto work = [&inside = world.offloaded] {
    ++inside;
    --inside;
    return 5;
  };
  EXPECT_EQ(co_await at(world, offload(work)), 5);
  const auto own = [number = std::make_shared<int>(6)] { return *number; };
  EXPECT_EQ(co_await at(world, offload(own, abandon_on_cancel)), 6);
}

// Its awaits belong to the other loop; they are cancelled from here.
Task<> far_away(World& world) {
  const Alive alive(world);
  co_await next_turn();
  co_await timeout(1h, sleep(1ns));
  Channel<int> channel(1);
  co_await all(channel.send(1), channel.recv());
  co_await offload([] {});
}

Task<> wait_in_scopes(World& world) {
  const auto set = [](World& in) -> Task<> {
    co_await at(in, next_turn());
    in.event.set();
  };
  co_await at(world, all(world.event.wait(), set(world)));
  co_await at(world, sleep(1ns));
  co_await at(world, timeout(1h, at(world, sleep(1ns))));
  co_await at(world, race(at(world, sleep(1h)), at(world, next_turn())));
  try {
    co_await at(world, timeout(1ns, at(world, sleep(1h))));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::timed_out);
  }
  co_await at(world, shield(at(world, sleep(1ns))));
  co_await at(world, run_on(*Loop::current().together().back(), far_away(world)));
}

Task<> everything(World& world) {
  const Alive alive(world);
  world.tcp = co_await at(world, tcp_pair());
  world.memory = co_await at(world, memory_pair());
  co_await at(world, all(with_cleaning(world, talk(world, world.tcp)), talk(world, world.memory)));
  TaskGroup group;
  group.spawn(with_cleaning(world, produce(world, world.queue, 0)));
  group.spawn(with_cleaning(world, produce(world, world.meeting, 10)));
  group.spawn(consume_either(world));
  group.spawn(work_elsewhere(world));
  group.spawn(with_cleaning(world, wait_in_scopes(world)));
  co_await at(world, group.join());
  co_await at(world, all(produce(world, world.meeting, 20), consume(world, world.meeting)));
}

Task<> begin(World& world) {
  Ambush ambush(co_await this_context());
  world.begins(ambush);
  co_await everything(world);
}
Task<> observe(Task<> task, std::string& end) { end = co_await outcome(std::move(task)); }

// How it ended.
Task<std::string> run_once(World& world) {
  std::string end;
  {
    TaskGroup group;
    group.spawn(observe(begin(world), end));
    co_await group.join();
  }
  world.ends();
  world.queue.close();
  while (const auto value = co_await world.queue.recv()) note(world, *value);
  EXPECT_EQ(world.received, world.accepted) << "lost";
  world.tcp = {};
  world.memory = {};
  co_return end;
}

}  // namespace

TEST(Cancelling, at_any_await_leaves_nothing_behind) {
  run(
      []() -> Task<> {
        co_await offload([] {});  // its threads are kept
        co_await offload([] {}, abandon_on_cancel);
        const std::size_t descriptors = open_descriptors();
        std::size_t awaits = 0;
        for (bool is_over = false; !is_over; ++awaits) {
          for (const std::size_t turns : {0UZ, 1UZ, 2UZ, 5UZ}) {
            SCOPED_TRACE(fmt::format("await {}, {} turns later", awaits, turns));
            World world(awaits, turns);
            const std::string end = co_await run_once(world);
            EXPECT_TRUE(end == "done" || end == "cancelled") << end;
            is_over = world.is_behind_the_end();
            if (is_over) EXPECT_EQ(end, "done");
            EXPECT_EQ(Loop::current().backend().buffers().lent(), 0U);
            co_await until([&] { return open_descriptors() == descriptors; });
          }
        }
        EXPECT_GT(awaits, 60U);
      },
      {.threads = on_sim() ? 1 : 2});
}

}  // namespace cancel_test
