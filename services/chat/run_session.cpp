// The common part of both wires once a client has joined: its two directions, and its lines in the log.
#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/log_throttle.hpp"
#include "coax/http/status_error.hpp"
#include "coax/loop/loop.hpp"
#include "coax/task/scope.hpp"
#include "services/chat/chat.hpp"

namespace coax::chat {

namespace {

// Not inlined: their variables would become part of the frame that lives as long as the session does.
[[gnu::noinline]] void log_joined(const Connection& connection, const std::string& nick) {
  log::info("{} joined from {}", nick, connection.peer_name());
}
[[gnu::noinline]] void log_left(const std::string& nick, std::string_view why) { log::info("{} left: {}", nick, why); }

}  // namespace

std::string text_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& known) {
    thread_local LogThrottle throttle;
    if (throttle.should_log(Loop::current().now())) log::error("the chat could not store something: {}", known.what());
    const auto* const of_system = dynamic_cast<const std::system_error*>(&known);
    if (of_system != nullptr && http::is_out_of_space(*of_system)) return "the disk of the hub is full";
    return "the hub could not store it";
  }
}

Task<> run_session(Connection& connection, std::string nick, Task<> read, Task<> write) {
  log_joined(connection, nick);
  try {
    co_await all(std::move(read), std::move(write));
  } catch (const Cancelled&) {
    connection.set_reason(CloseReason::shutting_down);
    log_left(nick, to_string(connection.reason()));
    throw;
  } catch (const Error& error) {
    connection.set_reason(close_reason_of(error.kind()));
    log_left(nick, error.what());
    throw;
  } catch (const std::exception& error) {
    log_left(nick, error.what());
    throw;
  }
  log_left(nick, connection.draining() ? to_string(CloseReason::shutting_down) : "it finished");
}

}  // namespace coax::chat
