// The signals that the program does not act on, of the table in signal(7).
#pragma once

namespace coax::app {

// For commands that run until they are stopped: ignores signals without a meaning for them whose default action ends
// the process (SIGUSR1, SIGALRM, the real-time ones, ...). The signals that run() handles (SIGINT, SIGTERM, SIGHUP),
// faults of the program, SIGQUIT and SIGXCPU keep their meaning.
void ignore_stray_signals() noexcept;

}  // namespace coax::app
