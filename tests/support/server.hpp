// A server beside the test that is its client.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "coax/server/serve.hpp"
#include "coax/stream/socket_stream.hpp"
#include "tests/support/run.hpp"

namespace coax::test {

// A server that runs beside the test. Call stop() before it is destroyed.
class Server {
 public:
  Server(ServeOptions options, Handler handler) : handler_(std::move(handler)) {
    options.on_listen = [this](const Address& where) {
      at_ = where.endpoint();
      listening_.set();
    };
    options.on_drain = [this, inner = options.on_drain] {
      if (inner) inner();
      draining_.set();
    };
    group_.spawn(run(std::move(options)));
  }

  Task<Endpoint> address() {
    co_await listening_.wait();
    co_return at_;
  }
  Task<std::unique_ptr<SocketStream>> connect() { co_return co_await coax::connect(std::vector{co_await address()}); }

  void cancel() noexcept { group_.cancel(); }
  Event& draining() noexcept { return draining_; }
  // Returns how serve() ended.
  Task<std::string> stop() {
    cancel();
    co_await group_.join();
    co_return end_;
  }

 private:
  Task<> run(ServeOptions options) { end_ = co_await outcome(serve(std::move(options), handler_)); }

  Handler handler_;
  Endpoint at_;
  Event listening_;
  Event draining_;
  std::string end_;
  TaskGroup group_;
};

}  // namespace coax::test
