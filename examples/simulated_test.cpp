// simulated_test: tests an echo server on a network with delays, short reads and outages, a hundred times in a moment.
// It prints nothing when it passes; a failure reports the seed that repeats it: COAX_SEED=17 simulated_test.
#include "coax/coax.hpp"
#include "coax/test/sim.hpp"

using namespace std::chrono_literals;

coax::Task<> echo(coax::Stream& peer) {
  while (auto bytes = co_await peer.recv()) co_await peer.send(bytes);
}

coax::Task<> client(coax::SimNetwork& network, coax::Endpoint server) {
  const auto stream = co_await coax::test::connect(network, "10.0.0.2", server);
  network.partition("10.0.0.1", "10.0.0.2");
  co_await stream->send("hello");  // into the send buffer; TCP retransmits it until it arrives
  co_await coax::sleep(30s);       // of the network's time, not of yours
  network.heal();
  const std::string answer = co_await stream->recv_exactly(5);
  if (answer != "hello") throw std::runtime_error("the echo said " + answer);
}

coax::Task<> test(coax::SimNetwork& network) {
  network.set_conditions({.latency_max = 50ms, .short_reads = 0.5, .short_writes = 0.5});
  const auto server = coax::Endpoint::parse("10.0.0.1:7").value();
  co_await coax::race(coax::serve({.listen = server.to_string()}, echo), client(network, server));
}

int main() try { coax::test::for_each_seed(100, test); } catch (const std::exception&) {
  return 1;
}
