// run(): from main() into the first task and back, as asyncio.run() does.
#pragma once

#include <memory>
#include <optional>

#include "coax/loop/backend.hpp"
#include "coax/task/task.hpp"

namespace coax {

struct RunOptions {
  // Loops, each on a thread of its own; serve() spreads connections over them. Nothing: one per core. Simulated time
  // has one thread.
  std::optional<unsigned> threads = 1;
};

// Runs the task to its end and returns the exit code for main(): 0; or 1 after an error, which is told on standard
// error. SIGINT, SIGTERM and SIGHUP cancel the task: a server then drains, and the exit code is 0. A second SIGINT or
// SIGTERM ends the process at once. A SIGHUP that the program ignores (nohup) or handles is left alone; no other signal
// is touched.
int run(Task<> task, RunOptions options = {});
// The same for programs that tell errors themselves: throws what the task throws, unless a signal cancelled it.
void run_or_throw(Task<> task, RunOptions options = {});

// The same for tests and for programs with a main loop of their own: no signals, no output; throws what the task
// throws. It may run inside a task of another loop, which stops meanwhile: so it must use nothing of that one.
void run_to_end(Task<> task, RunOptions options = {});
// On one loop with this back-end.
void run_to_end(std::unique_ptr<Backend> backend, Task<> task);

}  // namespace coax
