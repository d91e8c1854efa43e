// Testing on a simulated network: the real servers, streams and time limits, in memory and in virtual time, with the
// faults of a network. A test of hours takes milliseconds, and a failure reports a seed that repeats it.
//
//   coax::test::for_each_seed(200, [](coax::SimNetwork& network) -> coax::Task<> {
//     network.set_conditions({.latency_max = 50ms, .short_reads = 0.3});
//     ...
//     auto client = co_await coax::test::connect(network, "10.0.0.2", server);
//   });
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "coax/sim/sim.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/task/task.hpp"

namespace coax::test {

using Simulation = std::function<Task<>(SimNetwork&)>;

struct SimulateOptions {
  SimConditions conditions = {};
  // Of virtual time. A deadlocked simulation ends here, at once, with Error(timed_out).
  Duration limit = std::chrono::hours(1);
  // Called after each simulation that did not throw: for test frameworks whose checks do not throw, such as
  // ::testing::Test::HasFailure.
  std::function<bool()> has_failed = {};
};

// Runs the task that the body returns to its end, on a loop of its own. A failure, by an exception or by has_failed, is
// printed on standard error together with the seed; the exception is rethrown.
// Returns: SimNetwork::trace().
std::uint64_t simulate(std::uint64_t seed, const Simulation& body, const SimulateOptions& options = {});

// The same with the seeds from 1 to count, up to the first failure; or, when the variable COAX_SEED is set, with that
// one only.
void for_each_seed(std::uint64_t count, const Simulation& body, const SimulateOptions& options = {});

// Connects from a host of the network.
Task<std::unique_ptr<SocketStream>> connect(SimNetwork& network, std::string_view from_host, Endpoint to);

}  // namespace coax::test
