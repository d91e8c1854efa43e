// The stream contract on TLS over every kind of stream.
#include "coax/test/stream_contract.hpp"
#include "tests/support/stream_pairs.hpp"
#include "tests/support/tls.hpp"

namespace contract_test {

using namespace coax;
using namespace coax::test;

namespace {

Task<StreamPair> tls13_over(Task<StreamPair> below) {
  const TestTls& test = TestTls::instance();
  co_return co_await tls_pair_over(co_await std::move(below), test.client_context, test.server_context);
}
Task<StreamPair> tls12_over(Task<StreamPair> below) {
  const TestTls& test = TestTls::instance();
  co_return co_await tls_pair_over(co_await std::move(below), test.client_context_12, test.server_context);
}

Task<StreamPair> over_tcp() { return tls13_over(tcp_pair()); }
Task<StreamPair> over_tcp_with_12() { return tls12_over(tcp_pair()); }
Task<StreamPair> over_narrow_tcp() { return tls13_over(narrow_tcp_pair()); }
Task<StreamPair> over_unix() { return tls13_over(unix_abstract_pair()); }
Task<StreamPair> over_memory() { return tls13_over(memory_pair()); }
Task<StreamPair> over_narrow_memory() { return tls12_over(narrow_memory_pair()); }
Task<StreamPair> over_limited_tcp() { return tls13_over(limited_tcp_pair()); }
Task<StreamPair> over_tls() { return tls13_over(tls13_over(tcp_pair())); }
Task<StreamPair> server_is_near() {
  StreamPair pair = co_await tls13_over(tcp_pair());
  co_return StreamPair{.near = std::move(pair.far), .far = std::move(pair.near)};
}

[[maybe_unused]] const bool registered = [] {
  const StreamKind kinds[] = {
      {.name = "tls13", .make = over_tcp, .marks_end = true},
      {.name = "tls12", .make = over_tcp_with_12, .marks_end = true},
      {.name = "tls_narrow_tcp", .make = over_narrow_tcp, .marks_end = true},
      {.name = "tls_unix", .make = over_unix, .marks_end = true},
      {.name = "tls_memory", .make = over_memory, .marks_end = true},
      {.name = "tls12_narrow_memory", .make = over_narrow_memory, .marks_end = true},
      {.name = "tls_limited", .make = over_limited_tcp, .marks_end = true},
      {.name = "tls_tls", .make = over_tls, .marks_end = true},
      {.name = "tls_server", .make = server_is_near},
  };
  for (const StreamKind& kind : kinds) register_stream_contract(kind);
  return true;
}();

}  // namespace

}  // namespace contract_test
