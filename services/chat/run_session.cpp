// The common part of both wires once a client has joined: its two directions, and its lines in the log.
#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/task/scope.hpp"
#include "services/chat/chat.hpp"

namespace coax::chat {

Task<> run_session(Connection& connection, std::string nick, Task<> read, Task<> write) {
  log::info("{} joined from {}", nick, connection.peer_name());
  try {
    co_await all(std::move(read), std::move(write));
  } catch (const Cancelled&) {
    connection.set_reason(CloseReason::shutting_down);
    log::info("{} left: {}", nick, to_string(connection.reason()));
    throw;
  } catch (const std::exception& error) {
    log::info("{} left: {}", nick, error.what());
    throw;
  }
  log::info("{} left: {}", nick, connection.draining() ? to_string(CloseReason::shutting_down) : "it finished");
}

}  // namespace coax::chat
