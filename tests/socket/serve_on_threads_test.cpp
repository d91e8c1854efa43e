// A server with a thread for each connection: no client waits for another, and at the end no thread is left.
#include "coax/socket/serve_on_threads.hpp"

#include <filesystem>
#include <future>
#include <thread>

#include "tests/support/blocking.hpp"

namespace serve_on_threads_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

// Serves during its lifetime.
class Server {
 public:
  explicit Server(std::function<void(Socket&)> handler, ServeOnThreadsOptions options = {.timeout = patience})
      : listener_(loopback()),
        thread_([this, handler = std::move(handler), options] { serve_on_threads(listener_, handler, options); }) {}
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() { listener_.shutdown(Shutdown::both); }

  Socket connect() { return Socket::connect_to(listener_.local(), {.timeout = patience}); }

 private:
  Listener listener_;
  std::jthread thread_;
};

void echo(Socket& peer) {
  while (auto bytes = peer.recv()) peer.send(bytes);
}

std::string ask(Socket& server, BytesView text) {
  server.send(text);
  return server.recv_exactly(text.size());
}

}  // namespace

TEST(ServeOnThreads, a_silent_client_delays_no_other) {
  Server server(echo);
  const Socket silent = server.connect();
  Socket one = server.connect();
  Socket two = server.connect();
  EXPECT_EQ(ask(two, "second"), "second");
  EXPECT_EQ(ask(one, "first"), "first");
  one.shutdown_send();
  EXPECT_TRUE(one.recv().empty());
}

TEST(ServeOnThreads, what_a_handler_throws_ends_its_connection_only) {
  Server server([](Socket& peer) {
    const std::string text = peer.recv().string();
    if (text == "error") throw Error(EPROTO, "understand", "you");
    if (text == "exception") throw std::runtime_error("a fault of ours");
    if (text == "cancelled") throw Cancelled();
    peer.send(text);
  });
  for (const std::string_view bad : {"error", "exception", "cancelled"}) {
    Socket client = server.connect();
    client.send(bad);
    EXPECT_TRUE(client.recv().empty());
  }
  Socket good = server.connect();
  EXPECT_EQ(ask(good, "good"), "good");
}

TEST(ServeOnThreads, above_the_limit_new_connections_wait_until_one_ends) {
  Server server(echo, {.connections_max = 1, .timeout = patience});
  Socket first = server.connect();
  EXPECT_EQ(ask(first, "x"), "x");
  Socket second = server.connect();
  second.send("y");
  second.set_timeout(20ms);
  EXPECT_EQ(kind_thrown([&] { second.recv(); }), ErrorKind::timed_out);
  first.close();
  second.set_timeout(patience);
  EXPECT_EQ(second.recv_exactly(1), "y");
}

TEST(ServeOnThreads, each_call_of_a_handler_has_a_time_limit) {
  Server server(echo, {.timeout = 1ms});
  EXPECT_TRUE(server.connect().recv().empty());
}

TEST(ServeOnThreads, the_last_answer_arrives_despite_unread_bytes) {
  Server server([](Socket& peer) { peer.send(peer.recv(1)); });
  Socket client = server.connect();
  client.send(std::string(100'000, 'x'));
  EXPECT_EQ(client.recv_exactly(1), "x");
  EXPECT_TRUE(client.recv().empty()) << "the end, not a reset";
}

TEST(ServeOnThreads, when_the_listener_is_shut_down_the_connections_are_ended) {
  std::promise<void> ended;
  auto server = std::make_unique<Server>([&](Socket& peer) {
    echo(peer);
    ended.set_value();
  });
  Socket client = server->connect();
  EXPECT_EQ(ask(client, "x"), "x");
  server.reset();
  EXPECT_EQ(ended.get_future().wait_for(0s), std::future_status::ready) << "its thread has ended before";
  EXPECT_TRUE(client.recv().empty());
}

TEST(ServeOnThreads, needs_a_listener_that_blocks) {
  Listener listener(loopback());
  listener.set_blocking(false);
  EXPECT_EQ(kind_thrown([&] { serve_on_threads(listener, echo); }), ErrorKind::invalid);
}

}  // namespace serve_on_threads_test
