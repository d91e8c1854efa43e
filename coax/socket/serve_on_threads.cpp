// A list of guests, each with its socket and its thread. A guest that has been served moves to another list, from which
// the accepting thread joins it: no thread outlives the server.
#include "coax/socket/serve_on_threads.hpp"

#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/net/accept_error.hpp"

namespace coax {

using namespace std::chrono_literals;

namespace {

// A close() with unread bytes is a reset, which destroys what the peer has not read yet: they are read away first.
void finish_and_read_away(Socket& socket) try {
  socket.shutdown_send();
  socket.set_timeout(1s);
  std::optional<TimePoint> until = Clock::now() + 1s;
  while (socket.recv_until(until)) continue;
} catch (const Error&) {  // it has gone, or stays for longer than we do
}

// Its handler sees the end.
void end(Socket& socket) noexcept try {
  socket.shutdown(Shutdown::both);
} catch (const Error&) {  // it has gone already
}

// What a server that has died leaves behind keeps the next one from listening.
void remove_dead_socket(std::string_view at) {
  if (!at.starts_with("unix:/")) return;
  try {
    Socket::connect_to(at);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::refused) ::unlink(std::string(at.substr(5)).c_str());
  }
}

class Guests {
 public:
  Guests(const std::function<void(Socket&)>& handler, const ServeOnThreadsOptions& options)
      : handler_(handler), options_(options) {}
  Guests(const Guests&) = delete;
  Guests& operator=(const Guests&) = delete;
  ~Guests() {
    std::unique_lock lock(mutex_);
    for (Guest& guest : present_) end(guest.socket);
    left_.wait(lock, [this] { return present_.empty(); });
    lock.unlock();
    join_the_served();
  }

  void wait_for_room() {
    std::unique_lock lock(mutex_);
    left_.wait(lock, [this] { return present_.size() < options_.connections_max; });
    lock.unlock();
    join_the_served();
  }
  // For somebody to leave, or a moment: when there are no descriptors or threads.
  void wait_for_better_times() {
    std::unique_lock lock(mutex_);
    left_.wait_for(lock, 100ms);
  }
  void receive(Socket socket);

 private:
  struct Guest {
    Socket socket;
    std::thread thread = {};
  };
  using Place = std::list<Guest>::iterator;
  void serve(Place guest);
  void join_the_served();

  const std::function<void(Socket&)>& handler_;
  const ServeOnThreadsOptions& options_;
  std::mutex mutex_;
  std::condition_variable left_;
  std::list<Guest> present_;
  std::list<Guest> served_;
};

void Guests::receive(Socket socket) {
  socket.set_timeout(options_.timeout);
  const std::lock_guard lock(mutex_);  // until its thread stands in its place
  const Place guest = present_.insert(present_.end(), Guest{.socket = std::move(socket)});
  try {
    guest->thread = std::thread([this, guest] { serve(guest); });
  } catch (...) {
    present_.erase(guest);
    throw;
  }
}

void Guests::serve(Place guest) {
  try {
    handler_(guest->socket);
    finish_and_read_away(guest->socket);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::disconnected) log::warning("{}", error.what());
  } catch (const std::exception& error) {
    log::error("{}: the handler failed: {}", guest->socket.peer_text(), error.what());
  } catch (const Cancelled&) {  // of a loop that the handler ran
    log::error("{}: the handler failed: {}", guest->socket.peer_text(), Cancelled::what());
  }
  const std::lock_guard lock(mutex_);
  guest->socket.close();
  served_.splice(served_.end(), present_, guest);
  left_.notify_all();
}

void Guests::join_the_served() {
  std::list<Guest> served;
  {
    const std::lock_guard lock(mutex_);
    served.swap(served_);
  }
  for (Guest& guest : served) guest.thread.join();
}

}  // namespace

void serve_on_threads(Listener& listener, const std::function<void(Socket&)>& handler,
                      const ServeOnThreadsOptions& options) {
  if (!listener.blocking()) throw Error(ErrorKind::invalid, "accept on", listener.local().to_string(), "it must block");
  log::check_environment();
  Guests guests(handler, options);
  TimePoint told;  // that there are no descriptors or threads
  while (true) {
    guests.wait_for_room();
    try {
      guests.receive(listener.accept());
    } catch (const std::system_error& error) {
      const int reason = error.code().value();
      if (reason == EINVAL) return;
      if (reason == ETIMEDOUT) continue;
      const bool no_thread = reason == EAGAIN;
      if (!no_thread && classify_accept_error(reason) == AcceptError::fatal) throw;
      if (Clock::now() - told > 10s) log::error("{}; newcomers wait", error.what());
      told = Clock::now();
      guests.wait_for_better_times();
    }
  }
}

void serve_on_threads(std::string_view at, const std::function<void(Socket&)>& handler,
                      const ServeOnThreadsOptions& options) {
  remove_dead_socket(at);
  Listener listener(at);
  serve_on_threads(listener, handler, options);
}

}  // namespace coax
