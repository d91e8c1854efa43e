// The stream contract on every kind of stream of the library (support/stream_pairs.hpp).
#include "coax/test/stream_contract.hpp"

#include "tests/support/stream_pairs.hpp"

namespace stream_contract_test {

using namespace coax;
using namespace coax::test;

namespace {

[[maybe_unused]] const bool registered = [] {
  for (const StreamKind& kind : stream_kinds) register_stream_contract(kind);
  return true;
}();

Task<> expect_one_lent_buffer(const StreamKind& kind) {
  StreamPair pair = co_await kind.make();
  co_await pair.near->send("x");
  co_await pair.far->recv();
  EXPECT_EQ(checks::lent_buffers(), 1U) << kind.name;
}

}  // namespace

TEST(StreamContract, recv_lends_one_buffer_of_the_pool) {
  for (const StreamKind& kind : stream_kinds) {
    run([&kind] { return expect_one_lent_buffer(kind); });
  }
}

TEST(StreamContract, applies_by_half_close_and_end_mark) {
  const auto count = [](const StreamKind& kind) {
    return std::ranges::count_if(checks::end_checks, [&](const StreamCheck& check) { return applies(check, kind); });
  };
  const StreamKind tcp{.name = "tcp", .make = tcp_pair};
  const StreamKind tls12{.name = "tls12", .make = end_marked_pair, .half_closes = false, .marks_end = true};
  EXPECT_EQ(count(tls12), count(tcp) + 2);
  EXPECT_EQ(static_cast<std::size_t>(count(tls12)), std::size(checks::end_checks) - 1);
}

}  // namespace stream_contract_test
