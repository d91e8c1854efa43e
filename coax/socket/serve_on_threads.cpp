// A list of connections, each with its socket and its thread. A finished connection moves to another list, from which
// the accepting thread joins its thread: no thread outlives the server.
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

// Lingering close: a close() with unread bytes sends a reset, which destroys bytes that the peer has not read yet. So
// the unread bytes are read and discarded first.
void shut_down_and_drain(Socket& socket) try {
  socket.shutdown_send();
  socket.set_timeout(1s);
  std::optional<TimePoint> until = Clock::now() + 1s;
  while (socket.recv_until(until)) continue;
} catch (const Error&) {  // it has closed, or stays longer than we wait
}

// Its handler then receives the end of the stream.
void end(Socket& socket) noexcept try {
  socket.shutdown(Shutdown::both);
} catch (const Error&) {  // it has closed already
}

// The socket file of a server that was killed would prevent the next one from listening.
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
  // Without descriptors or threads: waits until a connection ends, or a moment.
  void wait_for_resources() {
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
  const std::lock_guard lock(mutex_);  // until its thread is in its entry
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
    shut_down_and_drain(guest->socket);
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
  TimePoint told;  // when the lack of descriptors or threads was last logged
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
      if (Clock::now() - told > 10s) log::error("{}; new connections wait", error.what());
      told = Clock::now();
      guests.wait_for_resources();
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
