// The signals that the program ignores; the table for users is in docs/guide/program.md.
#include "app/signals.hpp"

#include <signal.h>

#include <initializer_list>

namespace coax::app {

namespace {

// A handler that a profiler or a debugger has installed is kept.
void ignore_default(int number) noexcept {
  struct sigaction now{};
  if (sigaction(number, nullptr, &now) != 0 || now.sa_handler != SIG_DFL) return;
  now.sa_handler = SIG_IGN;
  sigaction(number, &now, nullptr);
}

}  // namespace

void ignore_stray_signals() noexcept {
  for (const int number : {SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGSTKFLT}) {
    ignore_default(number);
  }
  for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) ignore_default(number);
}

}  // namespace coax::app
