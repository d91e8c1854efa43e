// The contract at the top of coax/loop/backend.hpp, on the back-end that COAX_BACKEND names.
#include "coax/loop/backend.hpp"

#include <gtest/gtest.h>
#include <sys/uio.h>

#include <array>
#include <thread>

#include "tests/support/run.hpp"

namespace backend_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

// An operation that records its completion.
struct Noted : Op {
  Noted(Kind which, Descriptor of)
      : Op(which, [](Completion& self) noexcept { static_cast<Noted&>(self).is_done = true; }) {
    descriptor = of;
  }
  bool is_done = false;
};

struct Recv : Noted {
  explicit Recv(Descriptor of) : Noted(Kind::recv_into, of) { into() = {.data = bytes.data(), .size = bytes.size()}; }
  std::array<char, 100> bytes{};
  [[nodiscard]] std::string_view text() const { return {bytes.data(), static_cast<std::size_t>(result)}; }
};

struct Send : Noted {
  Send(Descriptor of, std::string_view text)
      : Noted(Kind::send, of), piece{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()} {
    gather() = {.list = &piece, .count = 1};
  }
  iovec piece;
};

class BackendContract : public ::testing::Test {
 protected:
  // Polls until the condition is true; calls done() of completed operations, as the loop does.
  template <class Condition>
  void poll_until(Condition condition) {
    const TimePoint deadline = backend->now() + time_limit;
    while (!condition()) {
      ASSERT_LT(backend->now(), deadline);
      backend->poll(backend->finished().empty() ? deadline : backend->now());
      while (!backend->finished().empty()) backend->complete(backend->finished().pop_front());
    }
  }
  void perform(Noted& op) {
    op.is_done = backend->submit(op);
    poll_until([&] { return op.is_done; });
  }
  Descriptor listen() {
    const auto listener = backend->listen(*Endpoint::parse("127.0.0.1:0"), {});
    return listener.value();
  }
  Descriptor connect_to(const Address& where) {
    const auto made = backend->open(where.family());
    Noted connect(Op::Kind::connect, made.value());
    connect.address() = &where;
    perform(connect);
    EXPECT_EQ(connect.result, 0);
    return *made;
  }
  struct Pair {
    Descriptor near;
    Descriptor far;
  };
  Pair connected() {
    const Descriptor listener = listen();
    Pair pair;
    pair.near = connect_to(backend->local(listener));
    Endpoint peer;
    Noted accept(Op::Kind::accept, listener);
    accept.endpoint() = &peer;
    perform(accept);
    EXPECT_EQ(peer, backend->local(pair.near));
    pair.far = backend->adopt(static_cast<int>(accept.result)).value();
    backend->close(listener);
    return pair;
  }

  std::unique_ptr<Backend> backend = make_backend();
};

}  // namespace

TEST_F(BackendContract, connects_accepts_and_names_both_ends) {
  const Pair pair = connected();
  EXPECT_EQ(backend->local(pair.near), backend->peer(pair.far));
  EXPECT_EQ(backend->local(pair.far), backend->peer(pair.near));
  Send send(pair.near, "hello");
  perform(send);
  EXPECT_EQ(send.result, 5);
  Recv recv(pair.far);
  perform(recv);
  EXPECT_EQ(recv.text(), "hello");
  EXPECT_EQ(backend->shutdown_send(pair.near), 0);
  Recv end(pair.far);
  perform(end);
  EXPECT_EQ(end.result, 0);
}

TEST_F(BackendContract, done_is_never_called_inside_submit_cancel_or_close) {
  const Pair pair = connected();
  Recv first(pair.near);
  EXPECT_FALSE(backend->submit(first));
  backend->cancel(first);
  EXPECT_FALSE(first.is_done);
  poll_until([&] { return first.is_done; });
  EXPECT_EQ(first.result, -ECANCELED);
  Recv second(pair.near);
  EXPECT_FALSE(backend->submit(second));
  backend->close(pair.near);
  EXPECT_FALSE(second.is_done);
  poll_until([&] { return second.is_done; });
  EXPECT_EQ(second.result, -EBADF);
}

TEST_F(BackendContract, one_operation_of_a_kind_at_a_time) {
  const Pair pair = connected();
  Recv first(pair.near);
  Recv second(pair.near);
  EXPECT_FALSE(backend->submit(first));
  perform(second);
  EXPECT_EQ(second.result, -EBUSY);
  Send send(pair.far, "x");
  perform(send);
  poll_until([&] { return first.is_done; });
  EXPECT_EQ(first.text(), "x");
}

TEST_F(BackendContract, a_cancelled_recv_took_nothing) {
  const Pair pair = connected();
  Recv cancelled(pair.near);
  EXPECT_FALSE(backend->submit(cancelled));
  Send send(pair.far, "x");
  perform(send);
  backend->cancel(cancelled);
  poll_until([&] { return cancelled.is_done; });
  if (cancelled.result != -ECANCELED) {  // it was faster
    EXPECT_EQ(cancelled.text(), "x");
    return;
  }
  Recv recv(pair.near);
  perform(recv);
  EXPECT_EQ(recv.text(), "x");
}

TEST_F(BackendContract, a_stale_descriptor_does_not_affect_its_successor) {
  const Descriptor old = listen();
  backend->close(old);
  const Descriptor successor = listen();
  EXPECT_EQ(successor.index, old.index);
  EXPECT_NE(successor.generation, old.generation);
  backend->close(old);
  EXPECT_EQ(backend->shutdown_send(old), EBADF);
  EXPECT_EQ(backend->local(old).family(), Family::none);
  Noted accept(Op::Kind::accept, old);
  perform(accept);
  EXPECT_EQ(accept.result, -EBADF);
  EXPECT_EQ(backend->local(successor).endpoint().ip(), "127.0.0.1");
}

TEST_F(BackendContract, what_is_no_connection_cannot_be_adopted) { EXPECT_EQ(backend->adopt(-1).error(), EBADF); }

TEST_F(BackendContract, a_connection_that_is_not_adopted_can_be_discarded) {
  const Descriptor listener = listen();
  const Descriptor near = connect_to(backend->local(listener));
  Noted accept(Op::Kind::accept, listener);
  perform(accept);
  backend->discard(static_cast<int>(accept.result));
  Recv recv(near);
  perform(recv);
  EXPECT_EQ(recv.result, 0);
}

TEST_F(BackendContract, is_woken_by_another_thread) {
  std::jthread waker([this] { backend->wake(); });
  backend->poll(std::nullopt);
  waker.join();
  backend->wake();
  backend->wake();
  backend->poll(std::nullopt);
}

TEST_F(BackendContract, poll_never_returns_before_its_time_without_a_reason) {
  const TimePoint until = backend->now() + 3ms + 100us;
  backend->poll(until);
  EXPECT_GE(backend->now(), until);
  EXPECT_GE(backend->turn_began(), until);
}

}  // namespace backend_test
