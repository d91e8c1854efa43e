// Invariant: whatever happens to the bytes on the way, in either direction, a TLS connection delivers a prefix of what
// was sent, and nothing else; and both sides come to an end.
#include "tests/support/tls.hpp"

#include "coax/stream/memory.hpp"
#include "coax/test/sim.hpp"
#include "coax/tls/issue.hpp"
#include "fuzz/input.hpp"

namespace {

using coax::BytesView;
using coax::RecvOp;
using coax::Task;

// Flips bits of received bytes, at the positions that the input names: three bytes each, a distance and a mask.
class Flipping final : public coax::Layer {
 public:
  Flipping(Below below, std::string_view& input) : Layer(std::move(below)), input_(input) { next(); }
  bool start(RecvOp& op) noexcept override {
    if (!Layer::start(op)) return false;
    flip(op);
    return true;
  }
  void complete(RecvOp& op) noexcept override {
    Layer::complete(op);
    flip(op);
  }

 private:
  void next() noexcept {
    if (input_.size() < 3) {
      mask_ = 0;
      return;
    }
    distance_ = static_cast<std::uint8_t>(input_[0]) + std::size_t{256} * (static_cast<std::uint8_t>(input_[1]) % 8);
    mask_ = input_[2];
    input_.remove_prefix(3);
  }
  void flip(RecvOp& op) noexcept {
    if (op.result <= 0) return;
    std::span<char> bytes = op.received().writable();
    while (mask_ != 0 && distance_ < bytes.size()) {
      bytes[distance_] = static_cast<char>(bytes[distance_] ^ mask_);
      bytes = bytes.subspan(distance_ + 1);
      next();
    }
    distance_ -= std::min(distance_, bytes.size());
  }

  std::string_view& input_;
  std::size_t distance_ = 0;
  char mask_ = 0;
};

Task<> talk(coax::Stream& stream, std::string& received) {
  const std::string sent(3000, 'x');
  co_await stream.send(sent);
  co_await stream.shutdown_send();
  while (const BytesView bytes = co_await stream.recv()) received += bytes.text();
}

Task<> run_side(coax::tls::Stream& stream, std::string& received) {
  try {
    co_await stream.handshake();
    co_await coax::timeout(std::chrono::seconds(60), talk(stream, received));
  } catch (const coax::Error&) {
  }
  stream.close();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input = coax::fuzz::text_of(data, size);
  const coax::test::TestTls& test = coax::test::TestTls::instance();
  std::string at_client;
  std::string at_server;
  coax::test::simulate(1, [&](coax::SimNetwork&) -> Task<> {
    auto [near, far] = coax::memory_stream_pair();
    const bool is_old = !input.empty() && (input.front() & 1) != 0;
    if (!input.empty()) input.remove_prefix(1);
    coax::tls::Stream client(std::make_unique<Flipping>(std::move(near), input),
                             is_old ? test.client_context_12 : test.client_context, "localhost");
    coax::tls::Stream server(std::make_unique<Flipping>(std::move(far), input), test.server_context);
    co_await coax::all(run_side(client, at_client), run_side(server, at_server));
  });
  for (const std::string& received : {at_client, at_server}) {
    coax::fuzz::require(received.size() <= 3000 && received.find_first_not_of('x') == std::string::npos);
  }
  return 0;
}
