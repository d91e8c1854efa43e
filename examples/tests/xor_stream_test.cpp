// xor_stream_test: a layer that changes the bytes in both directions, tested with the stream contract over TCP.
#include <gtest/gtest.h>

#include <string>
#include <unordered_map>

#include "coax/coax.hpp"
#include "coax/stream/layer.hpp"
#include "coax/stream/memory.hpp"
#include "coax/test/stream_contract.hpp"

// Combines each byte with a key, by exclusive or: what one end does, the other undoes.
class XorStream final : public coax::Layer {
 public:
  XorStream(Below below, char key) noexcept : Layer(std::move(below)), key_(key) {}
  ~XorStream() override {
    if (!sends_.empty()) abort_destroyed_in_use();
  }

  bool start(coax::RecvOp& op) noexcept override {
    if (!Layer::start(op)) return false;  // complete() follows later
    change(op.received().writable());
    return true;
  }
  void complete(coax::RecvOp& op) noexcept override {
    Layer::complete(op);
    change(op.received().writable());
  }

  bool start(coax::SendOp& op) noexcept override {
    Changed& changed = sends_.try_emplace(&op, *this, op).first->second;
    if (!below().start(changed)) return false;  // its done() follows later
    finish(changed);
    return true;
  }
  void complete(coax::SendOp& op) noexcept override { (void)op; }  // finish() has done it
  void cancel(coax::SendOp& op) noexcept override { below().cancel(sends_.at(&op)); }
  bool queue(coax::BytesView bytes) noexcept override {
    std::string copy = bytes.string();
    change(copy);
    return Layer::queue(copy);
  }

 private:
  // What the stream below sends in place of the caller's operation.
  struct Changed : coax::SendOp {
    Changed(XorStream& stream, coax::SendOp& op) noexcept : SendOp(on_done), of(stream), original(op) {
      for (const coax::BytesView piece : op.pieces()) bytes += piece.text();
      stream.change(bytes);
      assign(coax::BytesView(bytes));
      then = op.then;
    }
    static void on_done(coax::Completion& self) noexcept {
      auto& changed = static_cast<Changed&>(self);
      coax::SendOp& op = changed.original;
      changed.of.below().complete(changed);
      changed.of.finish(changed);
      op.done(op);  // last: the stream may be destroyed in it
    }
    XorStream& of;
    coax::SendOp& original;
    std::string bytes;
  };
  void finish(Changed& changed) noexcept {
    changed.original.error = changed.error;
    changed.original.sent = changed.sent;
    changed.original.state = coax::SendOp::State::complete;
    sends_.erase(&changed.original);
  }
  void change(std::span<char> bytes) const noexcept {
    for (char& byte : bytes) byte = static_cast<char>(byte ^ key_);
  }

  char key_;
  std::unordered_map<coax::SendOp*, Changed> sends_;  // in progress
};

coax::Task<coax::test::StreamPair> xor_pair() {
  coax::SocketListener listener("127.0.0.1:0");
  auto near = co_await coax::connect(listener.address());
  auto far = coax::SocketStream::adopt((co_await listener.accept()).native);
  co_return coax::test::StreamPair{.near = std::make_unique<XorStream>(std::move(near), 42),
                                   .far = std::make_unique<XorStream>(std::move(far), 42)};
}

[[maybe_unused]] const bool registered = coax::test::register_stream_contract({.name = "xor_stream", .make = xor_pair});

TEST(XorStream, changes_what_is_sent) {
  coax::test::run([]() -> coax::Task<> {
    auto [near, far] = coax::memory_stream_pair();
    XorStream stream(*near, ' ');
    co_await stream.send("abc");
    EXPECT_EQ(co_await far->recv(), "ABC");
    co_await far->send("abc");
    EXPECT_EQ(co_await stream.recv(), "ABC");
  });
}
