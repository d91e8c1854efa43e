// simulated_udp_test: tests requests over UDP with retransmission, on a network with loss, duplicates and reordering,
// two hundred times in a moment. A failure reports the seed that repeats it: COAX_SEED=17 simulated_udp_test.
#include "coax/coax.hpp"
#include "coax/test/sim.hpp"

using namespace std::chrono_literals;

// Counts each request once, however often it arrives, and answers it each time: an earlier answer may have been lost.
coax::Task<> count(coax::DatagramTransport& transport, int& done) {
  while (true) {
    const coax::Datagram request = co_await transport.recv_from();
    if (std::stoi(request.bytes.string()) == done + 1) ++done;
    co_await transport.reply(request, request.bytes);
  }
}

coax::Task<> answer_to(coax::DatagramTransport& server, const std::string& request) {
  while ((co_await server.recv_from()).bytes.text() != request) {
  }  // one that was asked for before came late, or twice
}

coax::Task<> ask(coax::DatagramTransport& server, std::string request) {
  for (int attempt = 0; attempt != 50; ++attempt) try {
      co_await server.send(request);
      co_await coax::timeout(200ms, answer_to(server, request));
      co_return;
    } catch (const coax::Error& error) {
      if (error.kind() != coax::ErrorKind::timed_out) throw;
    }
  throw std::runtime_error("no answer to request " + request);
}

coax::Task<> client(coax::SimNetwork& network, coax::Endpoint where) {
  network.connect_from("10.0.0.2");
  auto server = coax::DatagramTransport::connect(where);
  for (int number = 1; number <= 20; ++number) co_await ask(server, std::to_string(number));
}

coax::Task<> test(coax::SimNetwork& network) {
  network.set_conditions({.latency_max = 50ms, .loss = 0.3, .duplication = 0.1, .reordering = 0.2});
  const auto where = coax::Endpoint::parse("10.0.0.1:7").value();
  coax::DatagramTransport server(where);
  int done = 0;
  co_await coax::race(count(server, done), client(network, where));
  if (done != 20) throw std::runtime_error(fmt::format("20 requests counted as {}", done));
}

int main() try { coax::test::for_each_seed(200, test); } catch (const std::exception&) {
  return 1;
}
