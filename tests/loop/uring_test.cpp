// The additions of io_uring to the contract: multishot requests, descriptors that the limit does not count, and a
// working fallback where the system forbids it.
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <thread>

#include "coax/loop/loop.hpp"
#include "coax/stream/socket_stream.hpp"
#include "tests/support/run.hpp"
#include "tests/support/sockets.hpp"

namespace uring_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

class Uring : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = why_no_uring(); !why.empty()) GTEST_SKIP() << why;
  }
  // Runs the task on one loop with io_uring, whatever COAX_BACKEND says.
  template <class Body>
  static void run(Body body) {
    struct Root : Context {
      Root()
          : Context([](Context& self) noexcept -> std::coroutine_handle<> {
              static_cast<Root&>(self).over = true;
              return std::noop_coroutine();
            }) {}
      bool over = false;
    } root;
    Loop loop(make_uring_backend());
    Task<> task = limited(body);
    loop.post([&] { task.start(root); });
    loop.run_until([&] { return root.over; });
    task.take();
  }
};

void send_natively(const Native& to, std::string_view bytes) {
  ASSERT_EQ(::send(to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

Task<std::string> recv_some(Stream& stream) { co_return (co_await stream.recv()).string(); }

}  // namespace

TEST_F(Uring, reads_hardly_ahead_in_bulk_transfers) {
  run([]() -> Task<> {
    constexpr std::size_t total = 64_MiB;
    NativePair pair = native_tcp_pair();
    const auto stream = SocketStream::adopt(pair.near.release());
    std::thread flood([&far = pair.far] {
      const std::string block(1_MiB, 'x');
      for (std::size_t sent = 0; sent != total; sent += block.size()) send_natively(far, block);
      far.close();
    });
    std::size_t received = 0;
    std::size_t most_lent = 0;
    while (const auto bytes = co_await stream->recv()) {
      received += bytes.size();
      co_await next_turn();
      most_lent = std::max(most_lent, Loop::current().backend().buffers().lent());
    }
    flood.join();
    EXPECT_EQ(received, total);
    EXPECT_LE(most_lent, 16U);
  });
}

// The kernel has received them into the caller's buffer when the cancellation reaches it.
TEST_F(Uring, keeps_the_bytes_of_a_receive_that_is_cancelled_as_they_arrive) {
  run([]() -> Task<> {
    NativePair pair = native_tcp_pair();
    const auto stream = SocketStream::adopt(pair.near.release());
    const auto recv = [&]() -> Task<std::string> {
      std::array<char, 3> buffer{};
      const std::size_t count = co_await stream->recv(buffer);
      co_return std::string(buffer.data(), count);
    };
    const auto send = [&](const std::string& text) -> Task<> {
      co_await next_turn();
      send_natively(pair.far, text);
    };
    std::string expected;
    std::string all;
    for (int number = 0; number < 200; ++number) {
      const std::string text = std::to_string(number) + " ";
      expected += text;
      const auto result = co_await race(send(text), recv());
      if (result.index() == 1) all += std::get<1>(result);
    }
    pair.far.close();
    for (std::string some = co_await recv(); !some.empty(); some = co_await recv()) all += some;
    EXPECT_EQ(all, expected);
  });
}

TEST_F(Uring, keeps_bytes_in_order_while_no_task_receives) {
  run([]() -> Task<> {
    NativePair pair = native_tcp_pair();
    const auto stream = SocketStream::adopt(pair.near.release());
    send_natively(pair.far, "a");
    EXPECT_EQ(co_await recv_some(*stream), "a");  // from now on a request stays with the kernel
    std::string expected;
    for (int number = 0; number < 200; ++number) {
      const std::string text = std::to_string(number) + " ";
      send_natively(pair.far, text);
      expected += text;
      if (number % 3 == 0) co_await next_turn();
    }
    pair.far.close();
    co_await next_turn();
    std::string all;
    std::string seven(7, '\0');
    for (bool lent = true;; lent = !lent) {  // alternately lent and into a small buffer
      std::string some;
      if (lent) {
        some = co_await recv_some(*stream);
      } else {
        some = seven.substr(0, co_await stream->recv(std::span(seven)));
      }
      if (some.empty()) break;
      all += some;
    }
    EXPECT_EQ(all, expected);
    EXPECT_EQ(co_await recv_some(*stream), "") << "and at every further call";
  });
}

TEST_F(Uring, a_cancelled_recv_leaves_later_bytes_to_the_next) {
  run([]() -> Task<> {
    NativePair pair = native_tcp_pair();
    const auto stream = SocketStream::adopt(pair.near.release());
    for (int times = 0; times < 50; ++times) {
      EXPECT_EQ(co_await outcome(race(stream->recv(), next_turn())), "done");
      send_natively(pair.far, "12345");
      if (times % 2 == 0) co_await next_turn();
      EXPECT_EQ(co_await stream->recv_exactly(5), "12345");
    }
  });
}

TEST_F(Uring, receives_a_bounded_amount_without_a_receiver) {
  run([]() -> Task<> {
    NativePair pair = native_tcp_pair();
    const auto stream = SocketStream::adopt(pair.near.release());
    send_natively(pair.far, "a");
    co_await recv_some(*stream);
    ::fcntl(pair.far.get(), F_SETFL, O_NONBLOCK);
    const std::string block(1_MiB, 'x');
    std::size_t sent = 0;
    for (int turn = 0; turn < 2000 && sent < 256_MiB; ++turn) {
      const ssize_t count = ::send(pair.far.get(), block.data(), block.size(), MSG_NOSIGNAL);
      if (count > 0) sent += static_cast<std::size_t>(count);
      co_await next_turn();
    }
    EXPECT_LT(sent, 64_MiB);
    stream->close();
  });
}

TEST_F(Uring, connections_do_not_count_against_the_limit_on_open_files) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit few{.rlim_cur = 300, .rlim_max = limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  run([]() -> Task<> {
    SocketListener listener(*Endpoint::parse("127.0.0.1:0"));
    const std::size_t before = open_descriptors();
    std::vector<std::unique_ptr<SocketStream>> clients;
    std::vector<std::unique_ptr<SocketStream>> served;
    for (int count = 0; count < 140; ++count) {  // 280 ends, where 300 are allowed in all
      clients.push_back(co_await connect(std::vector{listener.local()}));
      served.push_back(SocketStream::adopt((co_await listener.accept()).native));
    }
    // Before Linux 6.8 a fixed descriptor cannot be installed as a plain one: they count.
    if (open_descriptors() > before + 100) co_return;
    EXPECT_LE(open_descriptors(), before + 2);
    for (std::size_t index = 0; index < clients.size(); ++index) {
      EXPECT_EQ(served[index]->peer(), clients[index]->local());
      co_await clients[index]->send("ping");
      EXPECT_EQ(co_await served[index]->recv_exactly(4), "ping");
    }
    co_await clients.front()->shutdown_send();
    EXPECT_EQ(co_await recv_some(*served.front()), "");
    served.back()->abort();
    EXPECT_EQ(co_await outcome(clients.back()->recv()), "disconnected");
  });
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

namespace {

// In a process of its own: from here on every io_uring_setup() fails with EPERM, as in a container.
void forbid_io_uring() {
  const auto number = static_cast<unsigned>(__NR_io_uring_setup);
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = 4, .filter = filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

// The exit code of a child process that does only this.
template <class Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) _exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

}  // namespace

TEST(UringForbidden, falls_back_to_epoll_unless_uring_was_requested) {
  const int result = in_child([] {
    forbid_io_uring();
    if (why_no_uring().find("kernel.io_uring_disabled") == std::string::npos) return 1;
    ::setenv("COAX_BACKEND", "auto", 1);
    if (std::string_view(make_backend()->name()) != "epoll") return 2;
    ::setenv("COAX_BACKEND", "uring", 1);
    try {
      make_backend();
    } catch (const Error& error) {
      return std::string_view(error.what()).find("COAX_BACKEND=epoll") == std::string_view::npos ? 3 : 0;
    }
    return 4;
  });
  EXPECT_EQ(result, 0);
}

TEST(UringForbidden, an_unknown_name_is_reported_with_the_valid_ones) {
  const int result = in_child([] {
    ::setenv("COAX_BACKEND", "kqueue", 1);
    try {
      make_backend();
    } catch (const Error& error) {
      return std::string_view(error.what()).find("epoll, uring") == std::string_view::npos ? 1 : 0;
    }
    return 2;
  });
  EXPECT_EQ(result, 0);
}

}  // namespace uring_test
