// A layer over a stream that marks its end, as TLS does, and the pair of streams for its test.
#pragma once

#include <memory>

#include "coax/stream/layer.hpp"
#include "coax/stream/memory.hpp"
#include "coax/test/stream_pair.hpp"

// As TLS 1.2: the end is marked, and there is no half-close. To be short, the mark is transferred beside the bytes.
class EndMarkedStream final : public coax::Layer {
 public:
  struct Marks {
    bool near = false;
    bool far = false;
  };
  EndMarkedStream(Below below, std::shared_ptr<Marks> marks, bool is_near)
      : Layer(std::move(below)),
        marks_(std::move(marks)),
        own_(is_near ? marks_->near : marks_->far),
        peers_(is_near ? marks_->far : marks_->near) {}

  void close() noexcept override {
    own_ = true;
    Layer::close();
  }
  void truncate() noexcept { Layer::close(); }
  void end_input() noexcept override {
    wants_input_ = false;
    Layer::end_input();
  }
  void reopen_input() noexcept override {
    wants_input_ = true;
    Layer::reopen_input();
  }
  bool start(coax::RecvOp& op) noexcept override {
    if (!Layer::start(op)) return false;
    check(op);
    return true;
  }
  void complete(coax::RecvOp& op) noexcept override {
    Layer::complete(op);
    check(op);
  }
  bool start(coax::SendOp& op) noexcept override {
    if (op.then == coax::SendOp::Then::shutdown) {
      own_ = true;
      end_input();
    }
    return Layer::start(op);
  }
  using Layer::complete;

 private:
  void check(coax::RecvOp& op) const noexcept {
    if (op.result == 0 && wants_input_ && !peers_) op.result = -coax::stream_truncated;
  }

  std::shared_ptr<Marks> marks_;
  bool& own_;
  bool& peers_;
  bool wants_input_ = true;
};
inline coax::Task<coax::test::StreamPair> end_marked_pair() {
  auto [near, far] = coax::memory_stream_pair();
  const auto marks = std::make_shared<EndMarkedStream::Marks>();
  co_return coax::test::StreamPair{.near = std::make_unique<EndMarkedStream>(std::move(near), marks, true),
                                   .far = std::make_unique<EndMarkedStream>(std::move(far), marks, false),
                                   .truncate_far = [](coax::test::StreamPair& pair) -> coax::Task<> {
                                     dynamic_cast<EndMarkedStream&>(*pair.far).truncate();
                                     co_return;
                                   }};
}
