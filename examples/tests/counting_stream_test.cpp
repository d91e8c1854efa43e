// counting_stream_test: a layer that counts bytes, tested with the stream contract.
#include <gtest/gtest.h>

#include "coax/coax.hpp"
#include "coax/stream/layer.hpp"
#include "coax/stream/memory.hpp"
#include "coax/test/stream_contract.hpp"

// Counts the bytes that are received through it.
class CountingStream final : public coax::Layer {
 public:
  explicit CountingStream(Below below) noexcept : Layer(std::move(below)) {}
  std::size_t received() const noexcept { return received_; }

  bool start(coax::RecvOp& op) noexcept override {
    if (!Layer::start(op)) return false;  // complete() follows later
    count(op);
    return true;
  }
  void complete(coax::RecvOp& op) noexcept override {
    Layer::complete(op);
    count(op);
  }
  using Layer::complete;
  using Layer::start;

 private:
  void count(const coax::RecvOp& op) noexcept {
    if (op.result > 0) received_ += static_cast<std::size_t>(op.result);
  }

  std::size_t received_ = 0;
};

// The pair that each check gets: what one end sends, the other receives.
coax::Task<coax::test::StreamPair> counting_pair() {
  auto [near, far] = coax::memory_stream_pair();
  co_return coax::test::StreamPair{.near = std::make_unique<CountingStream>(std::move(near)),
                                   .far = std::make_unique<CountingStream>(std::move(far))};
}

[[maybe_unused]] const bool registered =
    coax::test::register_stream_contract({.name = "counting_stream", .make = counting_pair});

// What the layer does beyond the contract.
TEST(CountingStream, counts_received_bytes) {
  coax::test::run([]() -> coax::Task<> {
    auto [near, far] = coax::memory_stream_pair();
    CountingStream counting(*near);
    co_await far->send("hello");
    co_await counting.recv();
    EXPECT_EQ(counting.received(), 5U);
  });
}
