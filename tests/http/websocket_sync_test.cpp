// The blocking client: literal frames from a socket, our own server, time limits, and how it ends.
#include "coax/http/websocket_sync.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <thread>

#include "coax/http/app.hpp"
#include "coax/server/serve.hpp"
#include "coax/socket/reader.hpp"
#include "coax/task/future.hpp"
#include "coax/task/run.hpp"
#include "coax/tls/serve.hpp"
#include "coax/tls/stream.hpp"
#include "tests/support/blocking.hpp"
#include "tests/support/http.hpp"
#include "tests/support/sim.hpp"
#include "tests/support/tls.hpp"

namespace websocket_sync_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;
using namespace std::string_view_literals;

namespace {

class WebSocketSync : public OnKernel {
 protected:
  void SetUp() override {
    OnKernel::SetUp();
    log::set_level(log::Level::off);
  }
  void TearDown() override { log::set_level(log::Level::info); }
};

// One connection of a plain socket, on a thread: the handshake, and then what the test does.
class Peer {
 public:
  using Talk = std::function<void(Peer&)>;
  explicit Peer(Talk talk)
      : thread_([this, talk = std::move(talk)] {
          socket = listener_.accept();
          socket.set_timeout(patience);
          std::string key;
          for (auto line = reader.line(); line && !line->empty(); line = reader.line()) {
            if (line->text().starts_with("Sec-WebSocket-Key: ")) key = line->text().substr(19);
          }
          socket.send(
              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Accept: " +
              ws::accept_key(key) + "\r\n\r\n");
          talk(*this);
        }) {}

  [[nodiscard]] std::string url() const { return "ws://" + listener_.local().to_string(); }
  // The next frame, "81 text", unmasked. Empty: the client has disconnected.
  std::string frame() {
    const std::string head = reader.exactly(2).string();
    EXPECT_TRUE((head[1] & 0x80) != 0) << "a client masks";
    const std::string mask = reader.exactly(4).string();
    std::string text = reader.exactly(head[1] & 0x7F).string();
    for (std::size_t at = 0; at < text.size(); ++at) text[at] = static_cast<char>(text[at] ^ mask[at % 4]);
    return fmt::format("{:02x} {}", static_cast<unsigned char>(head[0]), text);
  }

 private:
  Listener listener_ = listener_on_loopback();

 public:
  Socket socket;
  SocketReader reader{socket, {.refuse_foreign = false}};

 private:
  std::jthread thread_;
};

// An app on a thread of its own, until it is destroyed.
class Served {
 public:
  explicit Served(Handler handler)
      : thread_(
            [this, handler = std::move(handler)]() mutable { run_to_end(serve_until_stopped(std::move(handler))); }),
        where(where_.get_future().get()) {}
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;
  ~Served() { stop_->set(); }

 private:
  Task<> serve_until_stopped(Handler handler) {
    const Future<> stopped = stop_.emplace().future();
    const ServeOptions options{.listen = "127.0.0.1:0",
                               .on_listen = [this](const Address& at) { where_.set_value(at.to_string()); }};
    const auto wait = [](const Future<>& until) -> Task<> { co_await until; };
    co_await race(serve(options, std::move(handler)), wait(stopped));
  }

  std::promise<std::string> where_;
  std::optional<Promise<>> stop_;
  std::jthread thread_;

 public:
  std::string where;
};

http::App echo_app() {
  http::App app;
  app.websocket("/echo",
                [](ws::WebSocket& socket) -> Task<> {
                  while (const ws::Message message = co_await socket.recv()) co_await socket.send(message);
                },
                {.protocols = {"echo"}});
  return app;
}

}  // namespace

TEST_F(WebSocketSync, sends_and_receives_frames_as_of_the_rfc) {
  Peer peer([](Peer& client) {
    EXPECT_EQ(client.frame(), "81 \xC3\xA4");
    EXPECT_EQ(client.frame(), std::string("82 \0\1", 5));
    client.socket.send("\x81\x05Hello\x01\x02H\xC3\x89\x04ping\x80\x02\xA9!\x82\x00"sv);
    EXPECT_EQ(client.frame(), "8a ping");
    EXPECT_EQ(client.frame(), "81 enough");
    client.socket.send(
        "\x88\x05\x0F\xA1"
        "bye"sv);
    EXPECT_EQ(client.frame(), "88 \x0F\xA1");
  });
  ws::SyncClient client(peer.url());
  EXPECT_EQ("ws://" + client.peer_name(), peer.url());
  client.send_text("\xC3\xA4");
  client.send_binary(std::string_view("\0\1", 2));
  EXPECT_EQ(client.recv().data.text(), "Hello");
  EXPECT_EQ(client.recv().data.text(), "H\xC3\xA9!");
  const ws::Message empty = client.recv();
  EXPECT_TRUE(empty && !empty.is_text() && empty.data.empty());
  client.send_text("enough");
  EXPECT_FALSE(client.recv());
  EXPECT_FALSE(client.recv());
  EXPECT_EQ(client.peer_close_code(), 4001);
  EXPECT_EQ(client.peer_close_reason(), "bye");
  EXPECT_EQ(kind_thrown([&] { client.send_text("late"); }), ErrorKind::disconnected);
  client.close();
}

TEST_F(WebSocketSync, a_recv_that_timed_out_loses_nothing) {
  Peer peer([](Peer& client) {
    client.socket.send("\x81\x05Hel");
    EXPECT_EQ(client.frame(), "81 go on");
    client.socket.send("lo\x81\x01!");
    EXPECT_EQ(client.reader.some().size(), 8U) << "a close frame";
  });
  ws::SyncClient client(peer.url());
  EXPECT_EQ(client.timeout(), std::nullopt);
  client.set_timeout(20ms);
  EXPECT_EQ(said([&] { client.recv(); }), "recv from " + client.peer_name() + ": not complete after 20ms");
  EXPECT_EQ(kind_thrown([&] { client.recv(); }), ErrorKind::timed_out);
  client.set_timeout(patience);
  client.send_text("go on");
  EXPECT_EQ(client.recv().data.text(), "Hello");
  EXPECT_EQ(client.recv().data.text(), "!");
}

TEST_F(WebSocketSync, a_send_to_a_peer_that_does_not_read_times_out) {
  std::promise<void> over;
  Peer peer([&](Peer&) { over.get_future().wait(); });
  ws::ClientOptions options;
  options.websocket.deflate.enabled = false;
  ws::SyncClient client(peer.url(), options);
  client.set_timeout(20ms);
  const std::string much(16_MiB, 'x');
  EXPECT_EQ(said([&] { client.send_binary(much); }), "send to " + client.peer_name() + ": not complete after 20ms");
  EXPECT_THROW(client.send_text("more"), Error);
  over.set_value();
}

TEST_F(WebSocketSync, a_silent_server_is_pinged_and_given_up) {
  Peer peer([](Peer& client) {
    EXPECT_EQ(client.frame(), "89 ");
    while (client.reader.some()) {
    }
  });
  ws::ClientOptions options;
  options.websocket.ping_interval = 10ms;
  options.websocket.silence_max = 30ms;
  ws::SyncClient client(peer.url(), options);
  EXPECT_EQ(said([&] { client.recv(); }),
            "recv from " + client.peer_name() + ": it has sent nothing, nor answered a ping, for 30ms");
}

TEST_F(WebSocketSync, close_waits_for_the_close_of_the_server) {
  Peer peer([](Peer& client) {
    EXPECT_EQ(client.frame(),
              "88 \x0F\xA2"
              "enough");
    client.socket.send("\x81\x04late\x88\x02\x0F\xA3");
    EXPECT_TRUE(client.reader.some().empty()) << "it disconnects";
  });
  ws::SyncClient client(peer.url());
  EXPECT_EQ(kind_thrown([&] { client.close(1006); }), ErrorKind::invalid);
  client.close(4002, "enough");
  EXPECT_EQ(client.peer_close_code(), 4003);
  EXPECT_FALSE(client.recv());
  client.close();
}

TEST_F(WebSocketSync, talks_with_our_server) {
  const Served server(http::handler(echo_app()));
  for (const bool is_deflated : {true, false}) {
    ws::ClientOptions options{.protocols = {"x", "echo"}};
    options.websocket.deflate.enabled = is_deflated;
    ws::SyncClient client("ws://" + server.where + "/echo", options);
    EXPECT_EQ(client.protocol(), "echo");
    for (const std::size_t size : {0UZ, 5UZ, 5000UZ, 500'000UZ}) {
      const std::string text(size, 'x');
      client.send_text(text);
      const ws::Message answer = client.recv();
      EXPECT_TRUE(answer.is_text() && answer.data.text() == text);
      client.send(answer);
      EXPECT_TRUE(client.recv().data.text() == text);
    }
    client.close();
    EXPECT_EQ(client.peer_close_code(), 1000);
  }
}

TEST_F(WebSocketSync, talks_over_tls) {
  const TestTls& files = TestTls::instance();
  const auto context = std::make_shared<const tls::ServerContext>(tls::ServerOptions{.identities = {files.server}});
  const Served server(tls::handler(context, http::handler(echo_app())));
  ws::SyncClient client("wss://" + server.where + "/echo", {.tls = tls::connector(files.client_context)});
  const std::string text(100'000, 'x');
  client.send_text(text);
  EXPECT_TRUE(client.recv().data.text() == text);
  client.close();
}

TEST_F(WebSocketSync, refusals_are_those_of_connect) {
  const Served server(http::handler(echo_app()));
  try {
    ws::SyncClient("ws://" + server.where + "/none");
    ADD_FAILURE();
  } catch (const ws::HandshakeError& error) {
    EXPECT_EQ(error.status(), 404);
  }
  EXPECT_EQ(kind_thrown([] { ws::SyncClient("http://a/"); }), ErrorKind::invalid);
  EXPECT_EQ(kind_thrown([] { ws::SyncClient("wss://a/"); }), ErrorKind::invalid);
  EXPECT_EQ(kind_thrown([] { ws::SyncClient("ws://" + closed_port().to_string()); }), ErrorKind::refused);
}

TEST_F(WebSocketSync, several_clients_of_a_thread_end_in_any_order) {
  const Served server(http::handler(echo_app()));
  const std::string url = "ws://" + server.where + "/echo";
  std::optional<ws::SyncClient> first(url);
  std::optional<ws::SyncClient> second(url);
  first->send_text("1");
  second->send_text("2");
  ws::SyncClient third = std::move(*first);
  first.reset();
  EXPECT_EQ(third.recv().data.text(), "1");
  EXPECT_EQ(second->recv().data.text(), "2");
  third = std::move(*second);
  third.send_text("3");
  EXPECT_EQ(third.recv().data.text(), "3");
}

TEST_F(WebSocketSync, a_task_that_calls_it_blocks_its_loop_and_continues) {
  const Served server(http::handler(echo_app()));
  test::run([&]() -> Task<> {
    ws::SyncClient client("ws://" + server.where + "/echo");
    client.send_text("hello");
    EXPECT_EQ(client.recv().data.text(), "hello");
    co_await sleep(1ms);
    client.send_text("again");
    EXPECT_EQ(client.recv().data.text(), "again");
  });
}

TEST_F(WebSocketSync, the_destructor_closes_with_1001) {
  Peer peer([](Peer& client) {
    EXPECT_EQ(client.frame(), "81 last");
    EXPECT_EQ(client.frame(), "88 \x03\xE9");
    EXPECT_TRUE(client.reader.some().empty());
  });
  ws::SyncClient client(peer.url());
  client.send_text("last");
}

}  // namespace websocket_sync_test
