// run(): from main() into the first task, as asyncio.run() does.
#pragma once

#include <memory>
#include <optional>

#include "coax/loop/backend.hpp"
#include "coax/task/task.hpp"

namespace coax {

class Loop;

struct RunOptions {
  // The number of loops, each on a thread of its own; serve() spreads connections over them. Empty: one per core.
  // Simulated time has one thread.
  std::optional<unsigned> threads = 1;
};

// Runs the task to its end. SIGINT, SIGTERM and SIGHUP cancel the task: a server then drains, and the exit code is 0. A
// second SIGINT or SIGTERM ends the process at once. A SIGHUP that the program ignores (nohup) or handles keeps its
// disposition, and so does every other signal.
// Returns: the exit code for main(): 0, or 1 after an error, which is printed on standard error.
int run(Task<> task, RunOptions options = {});
// The same for programs that print errors themselves.
// Throws: what the task throws, unless a signal cancelled it.
void run_or_throw(Task<> task, RunOptions options = {});

// The same without signals and output, for tests and for programs with a main loop of their own. Called inside a task
// of another loop, it blocks that loop; so the task must use nothing of it.
// Throws: what the task throws.
void run_to_end(Task<> task, RunOptions options = {});
// On one loop with this back-end.
void run_to_end(std::unique_ptr<Backend> backend, Task<> task);
// On this loop, which can be used again afterwards: blocking calls are made of tasks so.
void run_to_end(Loop& loop, Task<> task);

}  // namespace coax
