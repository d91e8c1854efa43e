// Connection: the argument of a serve() handler: the stream, the peer's identity, and the coordination of the end
// between server and handler.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/error.hpp"
#include "coax/guard/principal.hpp"
#include "coax/net/credentials.hpp"
#include "coax/net/endpoint.hpp"
#include "coax/stream/stream.hpp"
#include "coax/task/scope.hpp"
#include "coax/task/task.hpp"

namespace coax {

// Why a connection ended: for the log, and for services that report it.
enum class CloseReason : std::uint8_t {
  finished,       // the handler returned
  disconnected,   // the peer reset or closed it
  idle,           // no byte was received or sent for too long
  write_timeout,  // the peer did not read for too long
  overflow,       // the peer read too slowly and its outbox was full
  protocol,       // the peer violated the protocol
  timed_out,      // a message that has a time limit was late
  reclaimed,      // it was idle, and the server needed its place for a new connection
  shutting_down,  // the server drains
  failed,         // the handler threw an error that the peer did not cause
};
std::string_view to_string(CloseReason reason) noexcept;
// That of a connection whose handler has thrown an Error of this kind.
CloseReason close_reason_of(ErrorKind kind) noexcept;

// Thread: its loop's. Lifetime: as long as the handler runs.
class Connection {
 public:
  // `context`: the handler's, for end(); null: end() only records the reason.
  // Lifetime: the stream and the context must outlive it.
  Connection(Stream& stream, std::uint64_t id, Context* context = nullptr) noexcept
      : top_(&stream), context_(context), id_(id) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The top stream: the socket, or the layer that was added last.
  [[nodiscard]] Stream& stream() noexcept { return *top_; }
  [[nodiscard]] const Stream& stream() const noexcept { return *top_; }
  // Puts a layer (layer.hpp) over the top stream, as STARTTLS or the PROXY protocol do: `L layer(below, arguments...)`.
  // No operation may be in progress on the stream, and no bytes of the new layer may be in a Reader's buffer.
  // Returns: the layer, which is the top stream from now on and ends with the connection.
  // Throws: what the layer's constructor throws; then nothing has changed.
  template <class L, class... Arguments>
  L& add_layer(Arguments&&... arguments) {
    auto layer = std::make_unique<L>(*top_, std::forward<Arguments>(arguments)...);
    L& top = *layer;
    extras().layers.push_back(std::move(layer));
    top_ = &top;
    return top;
  }
  [[nodiscard]] Endpoint peer() const noexcept { return top_->peer(); }  // without a family: a Unix socket
  [[nodiscard]] std::string peer_name() const { return top_->peer_name(); }
  // The process at the other end of a Unix socket; nothing for other streams.
  [[nodiscard]] std::optional<Credentials> peer_credentials() const { return top_->peer_credentials(); }
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }  // unique in the server
  // Anonymous, until set: by the layer or the handler that has authenticated the peer.
  [[nodiscard]] const Principal& principal() const noexcept;
  void set_principal(Principal principal) { extras().principal = std::move(principal); }

  // The server drains: complete the work in progress, and begin no more.
  [[nodiscard]] bool draining() const noexcept { return draining_; }
  // Waits until the server drains: for work without an end of its own.
  [[nodiscard]] Event::Wait wait_draining();
  // While the handler is busy with work that must not be interrupted (a request), draining leaves its input open;
  // otherwise its recv() returns the end.
  void set_busy(bool busy) noexcept;

  // Replaces the server's idle limit; checked once a second.
  void set_idle_max(std::optional<Duration> limit) noexcept {
    idle_max_ = limit ? std::min(milliseconds(*limit), no_idle_max - Milliseconds(1)) : no_idle_max;
  }
  // Ends the connection from outside its handler, which is cancelled. The first reason is kept.
  void end(CloseReason reason) noexcept;
  // The reason for the log, for a handler that ends by itself. A handler that has logged more sets it before it throws
  // an error of the peer: then the server does not log the error again.
  void set_reason(CloseReason reason) noexcept;
  [[nodiscard]] CloseReason reason() const noexcept { return reason_; }

 private:
  friend class Shard;
  void drain() noexcept;
  void check(TimePoint now, Duration tick, const std::optional<Duration>& write_timeout) noexcept;

  // Members that few connections need.
  struct Extras {
    ~Extras() {
      while (!layers.empty()) layers.pop_back();  // the top one first
    }
    std::vector<std::unique_ptr<Stream>> layers;
    Principal principal;
    std::unique_ptr<Event> drains;  // once a task has waited for it
  };
  Extras& extras() {
    if (!extras_) extras_ = std::make_unique<Extras>();
    return *extras_;
  }

  static constexpr Milliseconds no_idle_max = Milliseconds::max();

  Stream* top_;
  std::unique_ptr<Extras> extras_;
  Context* context_;
  std::uint64_t id_;
  Milliseconds idle_max_ = no_idle_max;
  Milliseconds idle_{};  // counted in ticks, as is the next
  Milliseconds send_stalled_{};
  bool has_been_busy_ = false;
  CloseReason reason_ = CloseReason::finished;
  bool busy_ = false;
  bool draining_ = false;
};

namespace detail {
template <class F>
concept TakesConnection = std::is_invocable_r_v<Task<>, F&, Connection&>;
template <class F>
concept TakesStream = std::is_invocable_r_v<Task<>, F&, Stream&>;
}  // namespace detail

// A function or lambda, which may be move-only, with a parameter Connection& or Stream& and the result Task<>. It is
// kept for as long as the server runs, so that a lambda's captures outlive its tasks; on several loops it runs on
// several threads.
class Handler {
 public:
  template <class F>
    requires detail::TakesConnection<F>
  Handler(F function) : function_(std::make_shared<Function>(std::move(function))) {}
  template <class F>
    requires(detail::TakesStream<F> && !detail::TakesConnection<F>)
  Handler(F function)
      : function_(std::make_shared<Function>(
            [inner = std::move(function)](Connection& connection) mutable { return inner(connection.stream()); })) {}
  template <class F>
    requires(!detail::TakesConnection<F> && !detail::TakesStream<F> && !std::is_same_v<F, Handler>)
  Handler(F) {  // NOLINT(performance-unnecessary-value-param)
    static_assert(detail::TakesStream<F>, "a handler takes coax::Stream& or coax::Connection& and returns Task<>");
  }

  Task<> operator()(Connection& connection) const { return (*function_)(connection); }

 private:
  using Function = std::move_only_function<Task<>(Connection&)>;
  std::shared_ptr<Function> function_;  // copies are the same function
};

}  // namespace coax
