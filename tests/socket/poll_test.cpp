// Waiting for several sockets at once.
#include "coax/socket/poll.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <thread>

#include "tests/support/blocking.hpp"

namespace poll_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

using Sockets = std::vector<Socket*>;

TEST(Waiting, mu01_clients_room_and_the_end_are_reported) {
  Listener listener = listener_on_loopback();
  EXPECT_TRUE(coax::select({&listener}, {}, {}, 0ms).readable.empty());
  Socket client = Socket::connect_to(listener.local());
  EXPECT_EQ(coax::select({&listener}, {&client}, {}, patience).readable, Sockets{&listener});
  Socket peer = listener.accept();
  const Selected selected = coax::select({&listener, &peer}, {&client, &peer}, {&peer}, patience);
  EXPECT_TRUE(selected.readable.empty());
  EXPECT_EQ(selected.writable, (Sockets{&client, &peer}));
  EXPECT_TRUE(selected.exceptional.empty());
  client.close();
  EXPECT_EQ(coax::select({&peer}, {}, {}, patience).readable, Sockets{&peer});
  EXPECT_TRUE(peer.recv().empty());
}

TEST(Waiting, mu02_a_closed_socket_throws_and_high_descriptors_work) {
  Socket closed;
  closed.close();
  EXPECT_EQ(reason_of([&] { coax::select({&closed}, {}, {}, 0ms); }), EBADF);
  const Socket behind;
  Socket also_behind = behind.dup();
  ::close(also_behind.native());
  EXPECT_EQ(reason_of([&] { coax::select({&also_behind}, {}, {}, 0ms); }), EBADF);
  static_cast<void>(also_behind.detach());
  ConnectedSockets pair = connected_sockets();
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_cur < 2000) GTEST_SKIP() << "this system does not permit that many descriptors";
  const int high = ::fcntl(pair.far.native(), F_DUPFD_CLOEXEC, 1500);
  ASSERT_GE(high, 1500);
  Socket far = Socket::adopt(high);
  pair.near.send("x");
  EXPECT_EQ(coax::select({&far}, {}, {}, patience).readable, Sockets{&far});
}

TEST(Waiting, mu03_zero_does_not_wait_and_a_limit_is_kept) {
  ConnectedSockets pair = connected_sockets();
  EXPECT_TRUE(coax::select({&pair.near}, {}, {}, 0ms).readable.empty());
  EXPECT_EQ(wait_for(pair.near, Events::readable, 0ms), Events::none);
  Poller poller;
  poller.add(pair.near, Events::readable);
  EXPECT_TRUE(poller.wait(0ms).empty());
  const TimePoint start = Clock::now();
  EXPECT_TRUE(coax::select({&pair.near}, {}, {}, 10ms).readable.empty());
  EXPECT_TRUE(poller.wait(10ms).empty());
  EXPECT_GE(Clock::now() - start, 20ms);
  EXPECT_EQ(kind_thrown([&] { poller.wait(-1ms); }), ErrorKind::invalid);
}

TEST(Waiting, mu04_hang_up_and_close_are_reported) {
  ConnectedSockets pair = connected_sockets();
  pair.near.shutdown_send();
  pair.far.shutdown_send();
  EXPECT_TRUE(has(wait_for(pair.near, Events::hung_up, patience), Events::hung_up));
  EXPECT_TRUE(has(wait_for(pair.near, Events::peer_finished, patience), Events::peer_finished));
  Socket copy = pair.near.dup();
  ::close(copy.native());
  EXPECT_EQ(wait_for(copy, Events::readable, patience), Events::not_open);
  static_cast<void>(copy.detach());
  EXPECT_EQ(wait_for(copy, Events::readable, patience), Events::not_open);
}

TEST(Waiting, mu05_adding_twice_and_modifying_an_unknown_one_throw) {
  ConnectedSockets pair = connected_sockets();
  Poller poller;
  EXPECT_EQ(reason_of([&] { poller.modify(pair.far, Events::readable); }), ENOENT);
  poller.add(pair.far, Events::readable | Events::edge_triggered);
  EXPECT_EQ(reason_of([&] { poller.add(pair.far, Events::readable); }), EEXIST);
  pair.near.send("x");
  EXPECT_EQ(poller.wait(patience).size(), 1U);
  EXPECT_TRUE(poller.wait(0ms).empty()) << "it was reported before";
  poller.modify(pair.far, Events::readable);
  EXPECT_EQ(poller.wait(0ms).size(), 1U);
  EXPECT_EQ(poller.wait(0ms).size(), 1U) << "as long as it lasts";
  poller.modify(pair.far, Events::readable | Events::once);
  EXPECT_EQ(poller.wait(0ms).size(), 1U);
  EXPECT_TRUE(poller.wait(0ms).empty());
}

TEST(Waiting, mu06_a_poller_returns_the_data_of_a_socket) {
  ConnectedSockets pair = connected_sockets();
  Poller poller;
  poller.add(pair.near, Events::readable | Events::writable, std::string("near"));
  EXPECT_EQ(poller.size(), 1U);
  EXPECT_EQ(reason_of([&] { poller.remove(pair.far); }), ENOENT);
  EXPECT_EQ(reason_of([&] { static_cast<void>(poller.at(pair.far.native())); }), ENOENT);
  auto ready = poller.wait(patience);
  ASSERT_EQ(ready.size(), 1U);
  EXPECT_EQ(ready[0].events, Events::writable);
  EXPECT_EQ(ready[0].key->native, pair.near.native());
  EXPECT_EQ(std::any_cast<std::string>(ready[0].key->data), "near");
  poller.modify(pair.near, Events::writable, 42);
  EXPECT_EQ(std::any_cast<int>(poller.wait(patience)[0].key->data), 42);
  EXPECT_EQ(poller.at(pair.near.native()).wanted, Events::writable);
  poller.remove(pair.near);
  EXPECT_TRUE(poller.wait(0ms).empty());
}

TEST(Waiting, mu07_a_poller_survives_a_closed_socket) {
  ConnectedSockets pair = connected_sockets();
  Poller poller;
  const int native = pair.near.native();
  poller.add(pair.near, Events::writable);
  poller.add(pair.far, Events::writable);
  pair.near.close();
  const auto ready = poller.wait(patience);
  ASSERT_EQ(ready.size(), 1U);
  EXPECT_EQ(ready[0].key->native, pair.far.native());
  poller.remove(native);
  EXPECT_EQ(poller.size(), 1U);
}

namespace {

std::atomic<int> handled = 0;

}  // namespace

TEST(Waiting, mu08_a_signal_only_runs_its_handler) {
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = [](int) { ++handled; };
  sigaction(SIGUSR2, &action, &before);
  ConnectedSockets pair = connected_sockets();
  Poller poller;
  poller.add(pair.far, Events::readable);
  for (int round = 0; round < 2; ++round) {
    std::atomic<bool> started = false;
    std::atomic<bool> over = false;
    std::size_t ready = 0;
    std::jthread waiter([&] {
      started = true;
      EXPECT_NO_THROW({
        ready = round == 0 ? coax::select({&pair.far}, {}, {}, patience).readable.size() : poller.wait(patience).size();
      });
      over = true;
    });
    while (!started) std::this_thread::yield();
    const int wanted = handled + 50;
    while (handled < wanted && !over) {
      ASSERT_EQ(pthread_kill(waiter.native_handle(), SIGUSR2), 0);
      std::this_thread::yield();
    }
    pair.near.send("x");
    waiter.join();
    EXPECT_EQ(ready, 1U);
    pair.far.recv();
  }
  sigaction(SIGUSR2, &before, nullptr);
}

}  // namespace poll_test
