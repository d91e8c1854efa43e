// The signals that the program does not act on, of those in the table of signal(7).
#pragma once

namespace coax::app {

// For commands that run until they are stopped: signals that mean nothing to them and whose default is to end the
// process (SIGUSR1, SIGALRM, the real-time ones, ...) are ignored. What run() acts on (SIGINT, SIGTERM, SIGHUP), faults
// of the program, SIGQUIT and SIGXCPU keep their meaning.
void ignore_stray_signals() noexcept;

}  // namespace coax::app
