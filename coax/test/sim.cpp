// Simulations: one loop each, on a network of its own.
#include "coax/test/sim.hpp"

#include <fmt/core.h>

#include "coax/base/error.hpp"
#include "coax/task/run.hpp"
#include "coax/task/scope.hpp"

namespace coax::test {

namespace {

Task<> limited(const Simulation& body, SimNetwork& network, Duration limit) { co_await timeout(limit, body(network)); }

void tell(std::uint64_t seed, std::string_view what) {
  fmt::print(stderr, "the simulation failed{}{}; COAX_SEED={} repeats it\n", what.empty() ? "" : ": ", what, seed);
}

// False: it failed without throwing.
bool run_one(std::uint64_t seed, const Simulation& body, const SimulateOptions& options, std::uint64_t& trace) {
  const auto network = std::make_shared<SimNetwork>(seed, options.conditions);
  try {
    run_to_end(make_sim_backend(network), limited(body, *network, options.limit));
  } catch (const std::exception& error) {
    tell(seed, error.what());
    throw;
  } catch (const Cancelled&) {
    tell(seed, Cancelled::what());
    throw;
  } catch (...) {
    tell(seed, "");
    throw;
  }
  trace = network->trace();
  const bool failed = options.has_failed && options.has_failed();
  if (failed) tell(seed, "");
  return !failed;
}

}  // namespace

std::uint64_t simulate(std::uint64_t seed, const Simulation& body, const SimulateOptions& options) {
  std::uint64_t trace = 0;
  run_one(seed, body, options, trace);
  return trace;
}

void for_each_seed(std::uint64_t count, const Simulation& body, const SimulateOptions& options) {
  std::uint64_t trace = 0;
  if (const auto given = seed_from_environment()) {
    run_one(*given, body, options, trace);
    return;
  }
  for (std::uint64_t seed = 1; seed <= count; ++seed) {
    if (!run_one(seed, body, options, trace)) return;
  }
}

namespace {

Task<std::unique_ptr<SocketStream>> connect_from(SimNetwork& network, std::string host, Endpoint to) {
  network.connect_from(host);  // for the socket that connect() opens before it waits
  co_return co_await coax::connect(std::vector{to});
}

}  // namespace

Task<std::unique_ptr<SocketStream>> connect(SimNetwork& network, std::string_view from_host, Endpoint to) {
  return connect_from(network, std::string(from_host), to);
}

}  // namespace coax::test
