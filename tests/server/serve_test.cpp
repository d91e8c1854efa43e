// serve(): which connections are accepted and refused, and how they end. Clients are plain sockets where they must
// misbehave.
#include "coax/server/serve.hpp"

#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <sys/resource.h>

#include <atomic>
#include <map>
#include <stdexcept>
#include <thread>

#include "coax/base/log.hpp"
#include "coax/stream/socket_stream.hpp"
#include "tests/support/run.hpp"
#include "tests/support/server.hpp"
#include "tests/support/sockets.hpp"

namespace serve_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

Task<> echo(Stream& peer) {
  while (const auto bytes = co_await peer.recv()) co_await peer.send(bytes);
}
Task<std::string> ask(Stream& stream, std::string question) {
  co_await stream.send(question);
  co_return co_await stream.recv_exactly(question.size());
}
// Its result or, when it fails, the error.
Task<std::string> text_of(Task<std::string> task) {
  try {
    co_return co_await task;
  } catch (const Error& error) {
    co_return error.what();
  }
}
Task<std::string> read_to_end(Stream& stream) {
  std::string all;
  while (const BytesView bytes = co_await stream.recv()) all.append(bytes.text());
  co_return all;
}
Task<> wait_for_ever() {
  Event never;
  co_await never.wait();
}
Task<> some_turns() {
  for (int turn = 0; turn < 20; ++turn) co_await next_turn();
}

class Serve : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::off); }
  void TearDown() override { log::set_level(log::Level::info); }
};

}  // namespace

TEST_F(Serve, runs_the_handler_per_connection_until_cancelled) {
  run([]() -> Task<> {
    Server server({}, echo);
    const auto one = co_await server.connect();
    const auto two = co_await server.connect();
    EXPECT_EQ(co_await ask(*one, "first"), "first");
    EXPECT_EQ(co_await ask(*two, "second"), "second");
    EXPECT_EQ(co_await server.stop(), "cancelled");
    EXPECT_EQ(co_await outcome(connect(std::vector{co_await server.address()})), "refused");
  });
}

// The peer still reads: a reset would destroy the answer that is on its way.
TEST_F(Serve, peer_that_closes_inside_a_message_gets_earlier_answers) {
  run([]() -> Task<> {
    constexpr std::size_t answer_bytes = 8_MiB;
    Server server({}, [](Stream& peer) -> Task<> {
      const std::string answer(answer_bytes, 'x');
      co_await peer.recv_exactly(4);
      co_await peer.send(answer);
      co_await peer.recv_exactly(10);
    });
    const auto client = co_await server.connect();
    co_await client->send("get\nabc");
    co_await client->shutdown_send();
    co_await some_turns();
    EXPECT_EQ((co_await text_of(read_to_end(*client))).size(), answer_bytes);
    co_await server.stop();
  });
}

TEST_F(Serve, connection_has_the_address_of_its_peer) {
  run([]() -> Task<> {
    std::vector<Endpoint> peers;
    std::vector<std::uint64_t> ids;
    Server server({}, [&](Connection& connection) -> Task<> {
      peers.push_back(connection.peer());
      ids.push_back(connection.id());
      EXPECT_EQ(connection.stream().peer_name(), connection.peer().to_string());
      co_return;
    });
    std::vector<Endpoint> expected;
    for (int times = 0; times < 3; ++times) {
      const auto client = co_await server.connect();
      expected.push_back(client->local());
      EXPECT_EQ(co_await read_to_end(*client), "");
    }
    EXPECT_EQ(peers, expected);
    EXPECT_EQ(ids, (std::vector<std::uint64_t>{1, 2, 3}));
    co_await server.stop();
  });
}

// --- limits ---

TEST_F(Serve, at_the_limit_new_connections_wait_until_one_ends) {
  run([]() -> Task<> {
    int handlers = 0;
    Server server({.limits = {.connections_max = 2}}, [&](Stream& peer) -> Task<> {
      ++handlers;
      co_await echo(peer);
    });
    auto one = co_await server.connect();
    auto two = co_await server.connect();
    const auto three = co_await server.connect();  // the kernel accepts it
    co_await three->send("may I?");
    EXPECT_EQ(co_await ask(*one, "1"), "1");
    EXPECT_EQ(co_await ask(*two, "2"), "2");
    co_await some_turns();
    EXPECT_EQ(handlers, 2);
    one->close();
    EXPECT_EQ(co_await three->recv_exactly(6), "may I?");
    EXPECT_EQ(handlers, 3);
    co_await server.stop();
  });
}

TEST_F(Serve, counts_open_connections_however_they_end) {
  run([]() -> Task<> {
    std::size_t present = 0;
    std::size_t most = 0;
    Server server({.limits = {.connections_max = 5}}, [&](Stream& peer) -> Task<> {
      most = std::max(most, ++present);
      const auto bytes = co_await peer.recv();
      --present;
      if (bytes.text() == "throw") throw std::runtime_error("as asked");
    });
    const auto visit = [](Server& where, int kind) -> Task<> {
      const auto client = co_await where.connect();
      if (kind == 0) co_await client->send("throw");
      if (kind == 1) co_await client->send("go");
      if (kind == 2) co_await client->shutdown_send();
      co_await outcome(read_to_end(*client));
    };
    TaskGroup group;
    for (int client = 0; client < 300; ++client) group.spawn(visit(server, client % 3));
    co_await group.join();
    EXPECT_EQ(present, 0U);
    EXPECT_LE(most, 5U);
    co_await server.stop();
  });
}

TEST_F(Serve, does_not_count_hosts_on_loopback) {
  run([]() -> Task<> {
    Server server({.limits = {.connections_per_host_max = 1}}, echo);
    std::vector<std::unique_ptr<SocketStream>> clients;
    for (int client = 0; client < 5; ++client) {
      clients.push_back(co_await server.connect());
      EXPECT_EQ(co_await ask(*clients.back(), "x"), "x");
    }
    co_await server.stop();
  });
}

namespace {

// An address of this machine that is not loopback.
std::optional<Endpoint> own_address() {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return std::nullopt;
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(all, freeifaddrs);
  for (const ifaddrs* entry = all; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    const Endpoint address = Endpoint::from_native(entry->ifa_addr);
    if (!address.is_loopback()) return address;
  }
  return std::nullopt;
}

}  // namespace

TEST_F(Serve, closes_one_more_than_a_host_may_have) {
  const std::string address = on_sim() ? "10.0.0.1" : own_address() ? own_address()->ip() : "";
  if (address.empty()) GTEST_SKIP() << "this machine has only loopback";
  run([&]() -> Task<> {
    Server server({.listen = address + ":0", .limits = {.connections_per_host_max = 2}}, echo);
    auto one = co_await server.connect();
    auto two = co_await server.connect();
    EXPECT_EQ(co_await ask(*one, "1"), "1");
    EXPECT_EQ(co_await ask(*two, "2"), "2");
    const auto three = co_await server.connect();
    EXPECT_EQ(co_await outcome(three->recv()), "done");  // the end
    one->close();
    std::string end;
    while (end != "done") {  // until the server has seen it
      const auto again = co_await server.connect();
      end = co_await outcome(ask(*again, "4"));
    }
    co_await server.stop();
  });
}

TEST_F(Serve, ends_an_idle_connection) {
  run([]() -> Task<> {
    CloseReason reason = CloseReason::finished;
    Server server({.limits = {.idle = 100ms}}, [&](Connection& connection) -> Task<> {
      try {
        co_await echo(connection.stream());
      } catch (const Cancelled&) {
        reason = connection.reason();
        throw;
      }
    });
    const auto client = co_await server.connect();
    EXPECT_EQ(co_await ask(*client, "x"), "x");
    EXPECT_EQ(co_await read_to_end(*client), "");
    EXPECT_EQ(reason, CloseReason::idle);
    co_await server.stop();
  });
}

TEST_F(Serve, ends_a_connection_whose_peer_does_not_read) {
  run([]() -> Task<> {
    std::optional<CloseReason> reason;
    Event ended;
    Server server({.limits = {.write_timeout = 100ms}}, [&](Connection& connection) -> Task<> {
      const std::string much(64_MiB, 'x');
      try {
        co_await connection.stream().send(much);
      } catch (const Cancelled&) {
        reason = connection.reason();
        ended.set();
        throw;
      }
    });
    const auto client = co_await server.connect();
    co_await ended.wait();
    EXPECT_EQ(reason, CloseReason::write_timeout);
    co_await server.stop();
  });
}

TEST_F(Serve, a_connection_can_be_ended_from_outside_its_handler) {
  run([]() -> Task<> {
    Connection* only = nullptr;
    std::string end;
    Server server({}, [&](Connection& connection) -> Task<> {
      only = &connection;
      end = co_await outcome(connection.stream().recv());
      EXPECT_EQ(connection.reason(), CloseReason::protocol);
    });
    const auto client = co_await server.connect();
    co_await until([&] { return only != nullptr; });
    only->end(CloseReason::protocol);
    only->end(CloseReason::idle);  // the first reason is kept
    EXPECT_EQ(co_await read_to_end(*client), "");
    EXPECT_EQ(end, "cancelled");
    co_await server.stop();
  });
}

// --- handlers that throw ---

TEST_F(Serve, what_a_handler_throws_ends_its_own_connection_only) {
  run([]() -> Task<> {
    Server server({}, [](Stream& peer) -> Task<> {
      while (const auto bytes = co_await peer.recv()) {
        if (bytes.text() == "error") throw Error(ErrorKind::protocol, "parse", "", "nonsense");
        if (bytes.text() == "exception") throw std::runtime_error("a bug");
        if (bytes.text() == "number") throw 42;  // NOLINT(misc-throw-by-value-catch-by-reference)
        if (bytes.text() == "cancelled") throw Cancelled();
        co_await peer.send(bytes);
      }
    });
    const auto bystander = co_await server.connect();
    EXPECT_EQ(co_await ask(*bystander, "before"), "before");
    for (const std::string how : {"error", "exception", "number", "cancelled"}) {
      const auto client = co_await server.connect();
      co_await client->send(how);
      EXPECT_EQ(co_await outcome(read_to_end(*client)), "done") << how;
      EXPECT_EQ(co_await ask(*bystander, how + "?"), how + "?");
    }
    EXPECT_EQ(co_await server.stop(), "cancelled");
  });
}

TEST_F(Serve, a_handler_that_throws_before_its_first_wait_is_no_different) {
  run([]() -> Task<> {
    Server server({}, [](Stream&) -> Task<> { throw std::runtime_error("not even a coroutine"); });
    for (int times = 0; times < 3; ++times) {
      const auto client = co_await server.connect();
      EXPECT_EQ(co_await outcome(read_to_end(*client)), "done");
    }
    EXPECT_EQ(co_await server.stop(), "cancelled");
  });
}

// --- the end of a connection ---

// A close(2) while the peer still sends causes a reset, which may destroy bytes that the peer has not read yet.
TEST_F(Serve, a_peer_that_still_sends_after_the_answer_is_not_reset) {
  run([]() -> Task<> {
    Server server({}, [](Stream& peer) -> Task<> {
      std::array<char, 1> byte{};
      co_await peer.recv(byte);
      co_await peer.send("enough");
    });
    const auto client = co_await server.connect();
    const std::string more(1000, 'x');
    co_await client->send(more);
    EXPECT_EQ(co_await client->recv_exactly(6), "enough");
    EXPECT_EQ(co_await outcome(read_to_end(*client)), "done");
    for (int times = 0; times < 5; ++times) {
      EXPECT_EQ(co_await outcome(client->send(more)), "done");
      co_await some_turns();
    }
    co_await server.stop();
  });
}

TEST_F(Serve, lingering_close_has_a_limit) {
  run([]() -> Task<> {
    Server server({}, [](Stream&) -> Task<> { co_return; });
    const auto client = co_await server.connect();
    const std::string more(10'000, 'x');
    std::string end = "done";
    while (end == "done") end = co_await outcome(client->send(more));
    EXPECT_EQ(end, "disconnected");
    co_await server.stop();
  });
}

TEST_F(Serve, hundreds_of_resets_at_once_leave_nothing_behind) {
  COAX_NEEDS_KERNEL();
  run([]() -> Task<> {
    std::size_t present = 0;
    Server server({}, [&](Stream& peer) -> Task<> {
      ++present;
      co_await outcome(echo(peer));
      --present;
    });
    const Endpoint at = co_await server.address();
    const std::size_t before = open_descriptors();
    {
      std::vector<Native> clients;
      for (int client = 0; client < 200; ++client) {
        clients.push_back(connect_to(at));
        clients.back().reset_on_close();
        ::send(clients.back().get(), "x", 1, MSG_NOSIGNAL);
      }
      co_await until([&] { return present == 200; });
    }
    co_await until([&] { return present == 0 && open_descriptors() == before; });
    const auto client = co_await server.connect();
    EXPECT_EQ(co_await ask(*client, "still there?"), "still there?");
    co_await server.stop();
  });
}

// --- draining ---

TEST_F(Serve, drains_idle_connections_at_once) {
  run([]() -> Task<> {
    Server server({.drain = time_limit}, echo);
    std::vector<std::unique_ptr<SocketStream>> clients;
    for (int client = 0; client < 20; ++client) {
      clients.push_back(co_await server.connect());
      EXPECT_EQ(co_await ask(*clients.back(), "x"), "x");
    }
    EXPECT_EQ(co_await server.stop(), "cancelled");
    for (const auto& client : clients) EXPECT_EQ(co_await outcome(read_to_end(*client)), "done");
  });
}

TEST_F(Serve, lets_busy_connections_finish) {
  run([]() -> Task<> {
    Event busy;
    Server server({.drain = time_limit}, [&](Connection& connection) -> Task<> {
      Stream& peer = connection.stream();
      while (co_await peer.recv()) {
        connection.set_busy(true);
        busy.set();
        const std::string rest = co_await peer.recv_exactly(4);
        co_await peer.send(rest);
        connection.set_busy(false);
      }
    });
    const auto client = co_await server.connect();
    co_await client->send("?");
    co_await busy.wait();
    server.cancel();
    co_await server.draining().wait();
    co_await some_turns();
    EXPECT_EQ(co_await ask(*client, "rest"), "rest");
    EXPECT_EQ(co_await read_to_end(*client), "");
    EXPECT_EQ(co_await server.stop(), "cancelled");
  });
}

TEST_F(Serve, disconnects_those_that_do_not_end_in_time) {
  run([]() -> Task<> {
    std::string end;
    Server server({.drain = 20ms}, [&](Connection& connection) -> Task<> {
      connection.set_busy(true);
      co_await connection.stream().send("!");
      end = co_await outcome(wait_for_ever());
      EXPECT_TRUE(connection.draining());
    });
    const auto client = co_await server.connect();
    EXPECT_EQ(co_await client->recv_exactly(1), "!");
    EXPECT_EQ(co_await server.stop(), "cancelled");
    EXPECT_EQ(end, "cancelled");
    EXPECT_EQ(co_await read_to_end(*client), "");
  });
}

TEST_F(Serve, takes_whom_it_had_accepted_and_drains_them_too) {
  COAX_NEEDS_KERNEL();
  run([]() -> Task<> {
    for (int times = 0; times < 50; ++times) {
      Server server({}, echo);
      const Endpoint at = co_await server.address();
      std::vector<Native> clients;
      for (int client = 0; client < 5; ++client) clients.push_back(connect_to(at));
      for (int turn = 0; turn < times % 6; ++turn) co_await next_turn();
      EXPECT_EQ(co_await server.stop(), "cancelled");
    }
  });
}

// --- out of descriptors ---

namespace {

class DescriptorLimit {
 public:
  // The limit is the number of open descriptors.
  DescriptorLimit() {
    const Error seen(EMFILE, "a sanitizer takes a descriptor when it sees a type for the first time");
    getrlimit(RLIMIT_NOFILE, &before_);
    const int highest = ::dup(0);
    ::close(highest);
    rlimit low = before_;
    low.rlim_cur = static_cast<rlim_t>(highest);
    setrlimit(RLIMIT_NOFILE, &low);
  }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

Duration cpu_time() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace

TEST_F(Serve, without_descriptors_new_connections_wait_idly) {
  COAX_NEEDS_KERNEL();
  run([]() -> Task<> {
    Server server({}, echo);
    const auto first = co_await server.connect();
    EXPECT_EQ(co_await ask(*first, "x"), "x");
    std::vector<Native> newcomers;
    const Endpoint at = co_await server.address();
    for (int client = 0; client < 5; ++client) {
      newcomers.push_back(connect_to(at));
      ::send(newcomers.back().get(), "hello", 5, MSG_NOSIGNAL);
    }
    {
      const DescriptorLimit limit;
      const Duration before = cpu_time();
      co_await sleep(350ms);
      EXPECT_LT(cpu_time() - before, 150ms);
      EXPECT_EQ(co_await ask(*first, "still served"), "still served");
    }
    for (Native& native : newcomers) {
      const auto client = SocketStream::adopt(set_nonblocking(std::move(native)));
      EXPECT_EQ(co_await client->recv_exactly(5), "hello");
    }
    co_await server.stop();
  });
}

// --- several loops ---

TEST_F(Serve, spreads_connections_evenly_over_the_loops) {
  run(
      []() -> Task<> {
        std::mutex mutex;
        std::map<std::thread::id, int> handlers;
        Server server({}, [&](Stream& peer) -> Task<> {
          {
            const std::scoped_lock lock(mutex);
            ++handlers[std::this_thread::get_id()];
          }
          co_await echo(peer);
        });
        std::vector<std::unique_ptr<SocketStream>> clients;
        for (int client = 0; client < 40; ++client) {
          clients.push_back(co_await server.connect());
          EXPECT_EQ(co_await ask(*clients.back(), "x"), "x");
        }
        EXPECT_EQ(co_await server.stop(), "cancelled");
        EXPECT_EQ(handlers.size(), 2U);
        for (const auto& [thread, count] : handlers) EXPECT_EQ(count, 20);
      },
      {.threads = 2});
}

TEST_F(Serve, serves_drains_and_fails_on_several_loops) {
  run(
      []() -> Task<> {
        std::atomic<int> present = 0;
        std::atomic<int> begun = 0;
        Server server({.limits = {.connections_max = 30}, .drain = 20ms}, [&](Connection& connection) -> Task<> {
          ++present;
          ++begun;
          co_await outcome(echo(connection.stream()));
          --present;
          if (connection.id() % 5 == 0) co_await wait_for_ever();
          if (connection.id() % 3 == 0) throw std::runtime_error("as planned");
        });
        const auto visit = [](Server& where, int number) -> Task<> {
          const auto client = co_await where.connect();
          EXPECT_EQ(co_await text_of(ask(*client, "hello")), "hello");
          if (number % 2 == 0) co_await client->shutdown_send();
        };
        TaskGroup group;
        for (int client = 0; client < 100; ++client) group.spawn(visit(server, client));
        co_await until([&] { return begun > 50; });
        group.cancel();
        co_await group.join();
        EXPECT_EQ(co_await server.stop(), "cancelled");
        EXPECT_EQ(present, 0);
      },
      {.threads = 3});
}

// --- a full server ---

TEST_F(Serve, at_the_limit_one_that_never_sent_a_byte_makes_room) {
  run([]() -> Task<> {
    Server server({.limits = {.connections_max = 2}}, echo);
    const auto talker = co_await server.connect();
    EXPECT_EQ(co_await ask(*talker, "x"), "x");
    const auto silent = co_await server.connect();
    const auto newcomer = co_await server.connect();
    EXPECT_EQ(co_await timeout(5s, ask(*newcomer, "y")), "y");
    EXPECT_EQ(co_await read_to_end(*silent), "");
    EXPECT_EQ(co_await ask(*talker, "x"), "x");
    co_await server.stop();
  });
}

TEST_F(Serve, at_the_limit_a_farewell_is_said_when_none_is_idle) {
  run([]() -> Task<> {
    Server server({.limits = {.connections_max = 1}, .full_message = "full\n"}, echo);
    auto talker = co_await server.connect();
    EXPECT_EQ(co_await ask(*talker, "x"), "x");
    for (int times = 0; times < 3; ++times) {
      const auto newcomer = co_await server.connect();
      co_await newcomer->send("unread");
      EXPECT_EQ(co_await read_to_end(*newcomer), "full\n");
    }
    EXPECT_EQ(co_await ask(*talker, "x"), "x");
    talker->close();
    std::string answer;
    for (int times = 0; times < 100 && answer != "y"; ++times) {
      const auto next = co_await server.connect();
      answer = co_await text_of(ask(*next, "y"));
    }
    EXPECT_EQ(answer, "y");
    co_await server.stop();
  });
}

}  // namespace serve_test
