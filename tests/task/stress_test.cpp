// Random trees of scopes, cancelled at random moments: every task that began has ended when its scope has, no task
// waits without an end, and (AddressSanitizer) no memory is leaked.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <stdexcept>

#include "coax/task/channel.hpp"
#include "coax/task/offload.hpp"
#include "coax/task/scope.hpp"
#include "coax/test/random.hpp"
#include "tests/support/ambush.hpp"
#include "tests/support/run.hpp"
#include "tests/support/stream_pairs.hpp"

namespace stress_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

// Shared by the trees of one loop. Those of the other loop have their own.
struct Forest {
  Random random;
  std::size_t alive = 0;
  std::size_t begun = 0;
  std::vector<Event> events{8};
  std::array<Channel<std::size_t>, 3> channels{Channel<std::size_t>(0), Channel<std::size_t>(1),
                                               Channel<std::size_t>(5)};
  std::size_t sent = 0;
  std::size_t received = 0;
  std::atomic<int> offloaded = 0;  // that run at this moment
  Loop* loop = &Loop::current();
  Forest* other = this;
};

struct Alive {
  explicit Alive(Forest& of) : forest(of) {
    ++forest.alive;
    ++forest.begun;
  }
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;
  ~Alive() { --forest.alive; }
  Forest& forest;
};

Task<> grow(Forest& forest, int depth);

// From inside the tree, the whole tree of this task is cancelled, or an event is set or cleared.
Task<> meddle(Forest& forest, Context& context) {
  const Alive alive(forest);
  for (std::size_t turn = forest.random.below(6); turn != 0; --turn) co_await next_turn();
  Event& event = forest.events[forest.random.below(forest.events.size())];
  switch (forest.random.below(4)) {
    case 0: context.cancel(); break;
    case 1: event.clear(); break;
    default: event.set(); break;
  }
}

Task<> pass_a_value(Forest& forest) {
  const Alive alive(forest);
  Channel<std::size_t>& channel = forest.channels[forest.random.below(forest.channels.size())];
  if (forest.random.one_in(2)) {
    co_await channel.send(1);
    ++forest.sent;
  } else {
    if (co_await channel.recv()) ++forest.received;
  }
}

Task<> work_elsewhere(Forest& forest) {
  const Alive alive(forest);
  if (forest.random.one_in(2)) {
    co_await offload([&inside = forest.offloaded] {
      ++inside;
      --inside;
    });
  } else {
    auto owned = std::make_unique<int>(7);
    auto work = [owned = std::move(owned)] { return *owned; };
    const int result = co_await offload(std::move(work), abandon_on_cancel);
    EXPECT_EQ(result, 7);
  }
}

Task<> wait_somehow(Forest& forest) {
  const Alive alive(forest);
  Event& event = forest.events[forest.random.below(forest.events.size())];
  Ambush ambush(co_await this_context());
  if (forest.random.one_in(8)) ambush.in(forest.random.below(4));
  switch (forest.random.below(9)) {
    case 0: co_await next_turn(); break;
    case 1: co_await sleep(std::chrono::microseconds(forest.random.below(3000))); break;
    case 2: co_await timeout(2ms, event.wait()); break;
    case 3: co_await shield(1ms, event.wait()); break;
    case 4: throw std::runtime_error("as planned");
    case 5: co_await timeout(2ms, pass_a_value(forest)); break;
    case 6: co_await shield(1ms, pass_a_value(forest)); break;
    case 7: co_await work_elsewhere(forest); break;
    default: break;
  }
}

// A stream whose other end behaves at random.
Task<> talk(Forest& forest) {
  const Alive alive(forest);
  const StreamKind& kind = stream_kinds[forest.random.below(std::size(stream_kinds))];
  StreamPair pair = co_await kind.make();
  const std::string bytes(forest.random.one_in(3) ? 300'000 : 10, 'x');
  const auto send = [](Forest& here, Stream& stream, BytesView what) -> Task<> {
    const Alive sending(here);
    co_await stream.send(what);
    if (here.random.one_in(2)) co_await stream.shutdown_send();
  };
  const auto read = [](Forest& here, Stream& stream) -> Task<> {
    const Alive reading(here);
    while (co_await stream.recv()) {
      if (here.random.one_in(4)) co_await next_turn();
      if (here.random.one_in(40)) stream.close();
    }
  };
  Ambush ambush(co_await this_context());
  if (forest.random.one_in(3)) ambush.in(forest.random.below(8));
  co_await timeout(3ms, race(all(send(forest, *pair.near, bytes), send(forest, *pair.near, bytes)),
                             all(read(forest, *pair.far), send(forest, *pair.far, bytes)), read(forest, *pair.near)));
}

Task<> grow_group(Forest& forest, int depth) {
  co_await task_group([&forest, depth](TaskGroup& group) -> Task<> {
    for (std::size_t child = forest.random.below(5); child != 0; --child) {
      group.spawn(grow(forest, depth - 1));
      if (forest.random.one_in(3)) co_await next_turn();
      if (forest.random.one_in(9)) group.cancel();
    }
  });
}

Task<> grow_below(Forest& forest, int depth) {
  switch (forest.random.below(8)) {
    case 0: co_await race(grow(forest, depth - 1), grow(forest, depth - 1), grow(forest, depth - 1)); break;
    case 1: co_await all(grow(forest, depth - 1), grow(forest, depth - 1)); break;
    case 2: co_await timeout(std::chrono::microseconds(forest.random.below(4000)), grow(forest, depth - 1)); break;
    case 3: co_await shield(grow(forest, depth - 1)); break;
    case 4: co_await shield(2ms, grow(forest, depth - 1)); break;
    case 5: co_await grow_group(forest, depth); break;
    case 6: co_await run_on(*forest.other->loop, grow(*forest.other, depth - 1)); break;
    default: {
      Context& self = co_await this_context();
      co_await all(grow(forest, depth - 1), meddle(forest, self));
    }
  }
}

Task<> grow(Forest& forest, int depth) {
  const Alive alive(forest);
  if (depth == 0) {
    if (forest.random.one_in(10)) {
      co_await talk(forest);
    } else {
      co_await wait_somehow(forest);
    }
    co_return;
  }
  for (std::size_t times = forest.random.between(1, 2); times != 0; --times) {
    try {
      co_await grow_below(forest, depth);
    } catch (const Error&) {
    } catch (const std::runtime_error&) {
      if (forest.random.one_in(4)) throw;
    } catch (const Cancelled&) {
      if (!forest.random.one_in(8)) throw;  // some swallow it, and are cancelled again
    }
  }
}

// On a simulated network, other conditions for each tree.
void change_weather(Random& random) {
  SimNetwork* const network = SimNetwork::of(Loop::current().backend());
  if (network == nullptr) return;
  network->set_conditions({.latency_max = std::chrono::microseconds(20 + random.below(2000)),
                           .short_reads = random.one_in(2) ? 0.3 : 0,
                           .short_writes = random.one_in(2) ? 0.3 : 0,
                           .resets = random.one_in(3) ? 0.05 : 0,
                           .window_bytes = random.between(1000, 300'000)});
}

// A task may wait for an event that no task is left to set.
Task<> set_all(Forest& forest) {
  while (true) {
    co_await sleep(1ms);
    for (Event& event : forest.events) event.set();
  }
}
Task<> join(TaskGroup& group) {
  try {
    co_await group.join();
  } catch (const std::runtime_error&) {
  }
}

// On the forest's loop: no task is left, and none of its resources.
Task<> inspect(Forest& forest) {
  EXPECT_EQ(forest.alive, 0U);
  EXPECT_EQ(forest.offloaded, 0);
  for (Event& event : forest.events) event.clear();
  for (Channel<std::size_t>& channel : forest.channels) {
    while ((co_await race(channel.recv(), next_turn())).index() == 0) ++forest.received;
  }
  EXPECT_EQ(forest.received, forest.sent) << "lost, or given twice; seed " << forest.random.seed();
  EXPECT_EQ(Loop::current().backend().buffers().lent(), 0U);
}

// A tree begins here and may grow into the other forest and back.
Task<> grow_many(Forest& here) {
  for (int tree = 0; tree < 150; ++tree) {
    change_weather(here.random);
    TaskGroup group;
    group.spawn(grow(here, 5));
    for (std::size_t turn = here.random.below(20); turn != 0; --turn) co_await next_turn();
    if (here.random.one_in(2)) group.cancel();
    co_await race(join(group), set_all(here), run_on(*here.other->loop, set_all(*here.other)));
    co_await inspect(here);
    co_await run_on(*here.other->loop, inspect(*here.other));
  }
  EXPECT_GT(here.begun, 1000U);
}

// Created and destroyed on its own loop.
Task<> grow_beside(Forest& here) {
  Forest there;
  here.other = &there;
  there.other = &here;
  co_await run_on(*here.loop, grow_many(here));
  EXPECT_GT(there.begun, 100U);
}

}  // namespace

TEST(Stress, every_task_of_a_random_tree_ends) {
  run([]() -> Task<> {
    Forest forest;
    co_await grow_many(forest);
  });
}

TEST(Stress, every_task_of_a_random_tree_on_two_loops_ends) {
  run(
      []() -> Task<> {
        Forest here;
        co_await run_on(*Loop::current().together()[1], grow_beside(here));
      },
      {.threads = 2});
}

}  // namespace stress_test
