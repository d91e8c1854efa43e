// Layers: what they forward, record and limit, and the top stream of a live connection replaced.
#include "coax/stream/layer.hpp"

#include <gtest/gtest.h>

#include "coax/base/log.hpp"
#include "coax/server/serve.hpp"
#include "coax/stream/limited_stream.hpp"
#include "coax/stream/memory.hpp"
#include "coax/stream/reader.hpp"
#include "coax/stream/recording_stream.hpp"
#include "tests/support/run.hpp"
#include "tests/support/server.hpp"

namespace layer_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

// Converts received letters to upper case: a stand-in for decryption.
class UpperCase final : public Layer {
 public:
  explicit UpperCase(Below below) noexcept : Layer(std::move(below)) {}
  bool start(RecvOp& op) noexcept override {
    if (!Layer::start(op)) return false;
    change(op);
    return true;
  }
  void complete(RecvOp& op) noexcept override {
    Layer::complete(op);
    change(op);
  }

 private:
  static void change(const RecvOp& op) noexcept {
    for (char& c : op.received().writable()) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
  }
};

// "> sent bytes", "< received bytes", in their order; "." for an end.
struct Record {
  std::string text;
  RecordingStream::Sink sink() {
    return [this](RecordingStream::Direction direction, BytesView bytes) noexcept {
      text += direction == RecordingStream::Direction::sent ? '>' : '<';
      text += bytes.empty() ? "." : bytes.text();
    };
  }
};

// As a server that speaks STARTTLS: "upgrade\n" replaces the top stream.
Task<> upgradeable_echo(Connection& connection) {
  Reader reader(connection.stream());
  while (const auto line = co_await reader.line()) {
    const std::string text = line->string();
    co_await connection.stream().send(text + "\n");
    if (text == "upgrade") break;
  }
  if (!reader.buffered().empty())
    throw Error(ErrorKind::protocol, "upgrade", connection.peer_name(), "bytes came early");
  connection.add_layer<UpperCase>();
  Reader upgraded(connection.stream());
  while (const auto line = co_await upgraded.line()) {
    const std::string text = line->string();
    co_await connection.stream().send(text + "\n");
    if (text == "UPGRADE") break;
  }
  connection.add_layer<LimitedStream>(StreamRates{.send_bytes_per_second = 1'000'000});
  while (const auto bytes = co_await connection.stream().recv()) co_await connection.stream().send(bytes);
}

Task<std::string> ask(Stream& stream, std::string question) {
  co_await stream.send(question);
  co_return co_await stream.recv_exactly(question.size());
}

}  // namespace

TEST(Layer, passes_on_what_is_true_of_the_connection) {
  run([]() -> Task<> {
    SocketListener listener("127.0.0.1:0");
    auto near = co_await connect(std::vector{listener.local()});
    const auto far = SocketStream::adopt((co_await listener.accept()).native);
    const Endpoint peer = near->peer();
    const Endpoint local = near->local();
    UpperCase layer(std::move(near));
    EXPECT_EQ(layer.peer(), peer);
    EXPECT_EQ(layer.local(), local);
    EXPECT_EQ(layer.peer_name(), listener.local().to_string());
    EXPECT_FALSE(layer.peer_credentials());
    EXPECT_FALSE(layer.has_received());
    co_await far->send("x");
    EXPECT_EQ((co_await layer.recv()).text(), "X");
    EXPECT_TRUE(layer.has_received());
    layer.abort();
    EXPECT_EQ(co_await outcome(far->recv()), "disconnected");
  });
}

TEST(Layer, replaces_the_top_stream_of_a_live_server_connection) {
  run([]() -> Task<> {
    Server server({}, Handler(upgradeable_echo));
    const auto client = co_await server.connect();
    EXPECT_EQ(co_await ask(*client, "plain\n"), "plain\n");
    EXPECT_EQ(co_await ask(*client, "upgrade\n"), "upgrade\n");
    EXPECT_EQ(co_await ask(*client, "layered\n"), "LAYERED\n");
    EXPECT_EQ(co_await ask(*client, "upgrade\n"), "UPGRADE\n");
    EXPECT_EQ(co_await ask(*client, "twice\n"), "TWICE\n");
    co_await client->shutdown_send();
    EXPECT_TRUE((co_await client->recv()).empty());
    EXPECT_EQ(co_await server.stop(), "cancelled");
  });
}

TEST(Layer, that_cannot_be_made_leaves_the_connection_as_it_is) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Connection connection(*near, 1);
    connection.add_layer<UpperCase>();
    EXPECT_THROW(connection.add_layer<LimitedStream>(StreamRates{.send_bytes_per_second = 0}), Error);
    co_await far->send("x");
    EXPECT_EQ((co_await connection.stream().recv()).text(), "X");
  });
}

TEST(Layer, of_a_live_connection_ends_its_input_when_the_server_drains) {
  run([]() -> Task<> {
    Server server({}, Handler(upgradeable_echo));
    const auto client = co_await server.connect();
    EXPECT_EQ(co_await ask(*client, "upgrade\n"), "upgrade\n");
    server.cancel();
    EXPECT_TRUE((co_await client->recv()).empty());
    EXPECT_EQ(co_await server.stop(), "cancelled");
  });
}

TEST(RecordingStream, shows_both_directions_in_their_order) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Record record;
    RecordingStream stream(std::move(near), record.sink());
    const std::array<BytesView, 2> pieces{BytesView("a"), BytesView("b")};
    co_await stream.send(pieces);
    co_await far->send("answer");
    EXPECT_EQ((co_await stream.recv()).text(), "answer");
    EXPECT_TRUE(stream.queue("ping"));
    co_await stream.shutdown_send();
    co_await far->shutdown_send();
    EXPECT_TRUE((co_await stream.recv()).empty());
    EXPECT_TRUE((co_await stream.recv()).empty());
    EXPECT_EQ(record.text, ">a>b<answer>ping>.<.");
  });
}

TEST(RecordingStream, records_of_a_cancelled_send_what_was_sent) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair(4);
    Record record;
    RecordingStream stream(std::move(near), record.sink());
    EXPECT_EQ(co_await outcome(timeout(1ms, stream.send("123456"))), "timed_out");
    EXPECT_EQ(record.text, ">1234");
    EXPECT_EQ(co_await outcome(stream.send("more")), "disconnected");
    EXPECT_EQ(record.text, ">1234");
  });
}

TEST(RecordingStream, delays_operations_while_it_is_paused) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Record record;
    RecordingStream stream(std::move(near), record.sink());
    co_await far->send("question");
    stream.pause();
    EXPECT_FALSE(stream.queue("ping"));
    EXPECT_EQ(co_await outcome(timeout(1ms, stream.recv())), "timed_out");
    EXPECT_EQ(co_await outcome(timeout(1ms, stream.send("never"))), "timed_out");
    EXPECT_EQ(record.text, "");
    TaskGroup group;
    group.spawn([](Stream& of) -> Task<> { co_await of.send("first"); }(stream));
    group.spawn([](Stream& of) -> Task<> { co_await of.send("second"); }(stream));
    group.spawn([](RecordingStream& of) -> Task<> {
      of.resume();
      co_return;
    }(stream));
    EXPECT_EQ((co_await stream.recv()).text(), "question");
    co_await group.join();
    EXPECT_EQ(co_await far->recv_exactly(11), "firstsecond");
    EXPECT_EQ(record.text, "<question>first>second");
  });
}

TEST(RecordingStream, that_is_paused_ends_what_waits_when_it_is_closed) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Record record;
    RecordingStream stream(std::move(near), record.sink());
    stream.pause();
    std::vector<std::string> ends;
    TaskGroup group;
    group.spawn([](Stream& of, std::vector<std::string>& to) -> Task<> {
      to.push_back(co_await outcome(of.send("x")));
    }(stream, ends));
    group.spawn([](Stream& of, std::vector<std::string>& to) -> Task<> { to.push_back(co_await outcome(of.recv())); }(
                                                                 stream, ends));
    group.spawn([](Stream& of) -> Task<> {
      of.close();
      co_return;
    }(stream));
    co_await group.join();
    EXPECT_EQ(ends, (std::vector<std::string>{"invalid", "invalid"}));
    EXPECT_EQ(record.text, "");
  });
}

TEST(RecordingStream, that_is_paused_returns_the_end_when_its_input_is_ended) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Record record;
    RecordingStream stream(std::move(near), record.sink());
    stream.pause();
    TaskGroup group;
    group.spawn([](Stream& of) -> Task<> {
      of.end_input();
      co_return;
    }(stream));
    EXPECT_TRUE((co_await stream.recv()).empty());
    co_await group.join();
    EXPECT_EQ(record.text, "<.");
  });
}

TEST(LimitedStream, refuses_a_rate_of_0) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    EXPECT_THROW(LimitedStream(*near, {.recv_bytes_per_second = 0}), Error);
    co_return;
  });
}

}  // namespace layer_test
