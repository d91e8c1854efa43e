// An operation as a value: its states, and the payload of its kind.
#include "coax/loop/op.hpp"

#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "coax/loop/backend.hpp"
#include "coax/loop/loop.hpp"
#include "tests/support/run.hpp"

namespace op_test {

using namespace coax;
using namespace coax::test;

namespace {

// An operation that counts the calls of done().
struct Counted : Op {
  explicit Counted(Kind which)
      : Op(which, [](Completion& self) noexcept { ++static_cast<Counted&>(self).done_calls; }) {}
  int done_calls = 0;
};

}  // namespace

TEST(Op, of_each_kind_begins_idle_with_an_empty_payload) {
  Counted recv(Op::Kind::recv);
  EXPECT_EQ(recv.state, Op::State::idle);
  EXPECT_EQ(recv.lent().buffer, nullptr);
  EXPECT_EQ(recv.lent().data, nullptr);
  EXPECT_EQ(Counted(Op::Kind::recv_into).into().size, 0U);
  EXPECT_EQ(Counted(Op::Kind::send).gather().count, 0U);
  EXPECT_EQ(Counted(Op::Kind::accept).endpoint(), nullptr);
  EXPECT_EQ(Counted(Op::Kind::connect).address(), nullptr);
  EXPECT_FALSE(Counted(Op::Kind::recv_batch).incoming().may_be_joined);
  EXPECT_EQ(Counted(Op::Kind::send_batch).outgoing(), nullptr);
}

TEST(Op, deferred_and_cancelled_is_finished_without_a_back_end) {
  Loop loop;
  Counted recv(Op::Kind::recv);
  loop.submit_later(recv);
  EXPECT_EQ(recv.state, Op::State::deferred);
  loop.cancel(recv);
  EXPECT_EQ(recv.state, Op::State::finished);
  EXPECT_EQ(recv.result, -ECANCELED);
  turn_until(loop, [&] { return recv.done_calls == 1; });
}

TEST(Op, submitted_and_cancelled_finishes_with_ecanceled) {
  Loop loop;
  const auto listener = loop.backend().listen(*Endpoint::parse("127.0.0.1:0"), {});
  Counted accept(Op::Kind::accept);
  accept.descriptor = listener.value();
  turn_until(loop, [&] { return true; });
  EXPECT_FALSE(loop.backend().submit(accept));
  EXPECT_EQ(accept.state, Op::State::submitted);
  loop.backend().cancel(accept);
  EXPECT_NE(accept.state, Op::State::submitted);
  EXPECT_EQ(accept.done_calls, 0);
  turn_until(loop, [&] { return accept.done_calls == 1; });
  EXPECT_EQ(accept.state, Op::State::finished);
  EXPECT_EQ(accept.result, -ECANCELED);
  loop.backend().close(*listener);
}

#ifndef NDEBUG
TEST(OpDeath, payload_of_another_kind_is_asserted) {
  Counted recv(Op::Kind::recv);
  EXPECT_DEATH(static_cast<void>(recv.into()), "the payload of another kind of operation");
}
#endif

}  // namespace op_test
