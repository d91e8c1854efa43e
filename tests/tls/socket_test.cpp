// The blocking socket, against itself on another thread; python_ssl_test.cpp has more.
#include "coax/tls/socket.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <future>
#include <thread>

#include "coax/base/error.hpp"
#include "coax/socket/line_reader.hpp"
#include "tests/support/tls.hpp"

namespace socket_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

TestTls& test_tls() { return TestTls::instance(); }

// A server on a thread of its own, and the client's end.
class Session {
 public:
  explicit Session(std::function<void(tls::Socket&)> serve) {
    SocketPair pair;
    thread_ = std::jthread([far = std::make_shared<Socket>(std::move(pair.far)), serve = std::move(serve)] {
      tls::Socket socket(std::move(*far), test_tls().server_context);
      socket.set_timeout(60s);
      socket.handshake();
      serve(socket);
    });
    pair.near.set_timeout(60s);
    client.emplace(std::move(pair.near), test_tls().client_context, "localhost");
    client->handshake();
  }
  std::optional<tls::Socket> client;

 private:
  std::jthread thread_;
};

std::string pattern(std::size_t count) {
  std::string bytes(count, '\0');
  for (std::size_t at = 0; at < count; ++at) bytes[at] = static_cast<char>(at * 31 + at / 251);
  return bytes;
}

ErrorKind kind_thrown_by(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::other;
}

}  // namespace

TEST(TlsSocket, end_without_close_notify_is_truncation) {
  Session session([](tls::Socket& server) {
    server.send("half");
    server.socket().close();
  });
  EXPECT_EQ(session.client->recv().text(), "half");
  EXPECT_EQ(kind_thrown_by([&] { session.client->recv(); }), ErrorKind::truncated);
  EXPECT_EQ(kind_thrown_by([&] { session.client->recv(); }), ErrorKind::truncated);
}

TEST(TlsSocket, nonblocking_recv_without_data_is_would_block_and_no_end) {
  std::promise<void> go;
  Session session([&](tls::Socket& server) {
    go.get_future().wait();
    server.send("now");
    EXPECT_TRUE(server.recv().empty());
  });
  session.client->set_timeout(Duration::zero());
  EXPECT_EQ(kind_thrown_by([&] { session.client->recv(); }), ErrorKind::would_block);
  go.set_value();
  session.client->set_timeout(60s);
  EXPECT_EQ(session.client->recv().text(), "now");
  session.client->close();
}

TEST(TlsSocket, timeout_is_for_the_whole_call) {
  std::promise<void> end;
  Session session([&](tls::Socket&) { end.get_future().wait(); });
  session.client->set_timeout(10ms);
  EXPECT_EQ(kind_thrown_by([&] { session.client->recv(); }), ErrorKind::timed_out);
  EXPECT_EQ(kind_thrown_by([&] { session.client->send(pattern(20'000'000)); }), ErrorKind::timed_out);
  end.set_value();
}

TEST(TlsSocket, nonblocking_send_some_keeps_records_whole) {
  const std::string sent = pattern(5'000'000);
  Session session([&](tls::Socket& server) {
    EXPECT_TRUE(server.recv_exactly(sent.size()) == sent);
    server.send("done");
    EXPECT_TRUE(server.recv().empty());
  });
  tls::Socket& client = *session.client;
  client.set_timeout(Duration::zero());
  int refusals = 0;
  for (BytesView left = sent; left;) {
    try {
      left = left.from(client.send_some(left));
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::would_block);
      ++refusals;
      client.set_timeout(1ms);  // waits for room
      static_cast<void>(kind_thrown_by([&] { client.send_some({}); }));
      client.set_timeout(Duration::zero());
    }
  }
  client.set_timeout(60s);
  EXPECT_EQ(client.recv().text(), "done");
  EXPECT_GT(refusals, 0);
  client.close();
}

TEST(TlsSocket, half_close_leaves_the_other_direction_open) {
  Session session([](tls::Socket& server) {
    EXPECT_EQ(server.recv().text(), "question");
    EXPECT_TRUE(server.recv().empty());
    server.send("answer");
    server.shutdown_send();
  });
  session.client->send("question");
  session.client->shutdown_send();
  EXPECT_EQ(session.client->recv().text(), "answer");
  EXPECT_TRUE(session.client->recv().empty());
}

TEST(TlsSocket, unwrap_continues_in_plain_text) {
  Session session([](tls::Socket& server) {
    EXPECT_EQ(server.recv().text(), "secret");
    server.unwrap().socket.send("plain");
  });
  session.client->send("secret");
  tls::Socket::Unwrapped plain = session.client->unwrap();
  plain.socket.set_timeout(60s);
  EXPECT_EQ(plain.early.empty() ? plain.socket.recv().string() : plain.early, "plain");
}

TEST(TlsSocket, calls_before_the_handshake_say_what_is_missing) {
  SocketPair pair;
  tls::Socket socket(std::move(pair.near), test_tls().client_context, "localhost");
  EXPECT_EQ(kind_thrown_by([&] { socket.recv(); }), ErrorKind::invalid);
  EXPECT_EQ(kind_thrown_by([&] { socket.send("x"); }), ErrorKind::invalid);
}

TEST(TlsSocket, handshake_has_one_time_limit) {
  SocketPair pair;
  const tls::ClientContext client({.trust = tls::Trust::only(test_tls().files.ca()), .handshake_limit = 20ms});
  tls::Socket socket(std::move(pair.near), client, "localhost");
  EXPECT_EQ(kind_thrown_by([&] { socket.handshake(); }), ErrorKind::timed_out);
}

TEST(TlsSocket, nonblocking_recv_goes_on_while_both_directions_are_full) {
  const std::string sent = pattern(3'000'000);
  Session session([&](tls::Socket& server) {
    server.send(sent);  // before it receives anything
    EXPECT_TRUE(server.recv_exactly(sent.size()) == sent);
    server.shutdown_send();
  });
  tls::Socket& client = *session.client;
  client.set_timeout(Duration::zero());
  BytesView left = sent;
  std::string received;
  const auto would_block = [](const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::would_block) throw;
      return true;
    }
    return false;
  };
  while (left) {
    const bool sends = !would_block([&] { left = left.from(client.send_some(left)); });
    const bool receives = !would_block([&] { received += client.recv().text(); });
    if (sends || receives) continue;
    pollfd ready{.fd = client.native(), .events = POLLIN | POLLOUT, .revents = 0};
    ASSERT_EQ(::poll(&ready, 1, 60'000), 1);
  }
  client.set_timeout(60s);
  client.send_some({});
  received += client.recv_exactly(sent.size() - received.size());
  EXPECT_TRUE(received == sent);
  EXPECT_TRUE(client.recv().empty());
}

// A reset would destroy what the server has not received yet.
TEST(TlsSocket, close_of_a_client_with_unread_bytes_loses_nothing_that_was_sent) {
  const std::string sent = pattern(1'000'000);
  std::promise<void> closed;
  Session session([&](tls::Socket& server) {
    server.send("unread, behind two tickets");
    closed.get_future().wait();
    EXPECT_TRUE(server.recv_exactly(100'000) == sent.substr(0, 100'000));
    EXPECT_TRUE(server.recv().empty());
  });
  pollfd ready{.fd = session.client->native(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&ready, 1, 60'000), 1);
  session.client->send(std::string_view(sent).substr(0, 100'000));
  session.client->close();
  closed.set_value();
}

TEST(TlsSocket, calls_after_unwrap_say_that_it_is_closed) {
  Session session([](tls::Socket& server) { server.unwrap(); });
  tls::Socket& client = *session.client;
  client.unwrap();
  EXPECT_THROW(client.recv(), Error);
  EXPECT_THROW(client.send("x"), Error);
  EXPECT_THROW(client.send_some("x"), Error);
  EXPECT_THROW(client.shutdown_send(), Error);
  EXPECT_THROW(client.unwrap(), Error);
  EXPECT_EQ(client.version(), tls::Version::tls13);
  EXPECT_EQ(client.pending(), 0U);
  client.close();
}

TEST(TlsSocket, assignment_ends_the_connection_that_was_there) {
  Session first([](tls::Socket& server) { EXPECT_TRUE(server.recv().empty()) << "its close_notify"; });
  Session second([](tls::Socket& server) { EXPECT_EQ(server.recv().text(), "of the second"); });
  *first.client = std::move(*second.client);
  first.client->send("of the second");
}

TEST(TlsSocket, what_a_nonblocking_socket_keeps_is_sent_by_flush) {
  std::promise<void> read;
  std::promise<std::size_t> total;
  Session session([&](tls::Socket& server) {
    read.get_future().wait();
    EXPECT_EQ(server.recv_exactly(total.get_future().get()).back(), '!');
    EXPECT_TRUE(server.recv().empty());
  });
  tls::Socket& client = *session.client;
  client.set_timeout(Duration::zero());
  const std::string record(16'000, '!');
  std::size_t accepted = 0;
  while (kind_thrown_by([&] { accepted += client.send_some(record); }) != ErrorKind::would_block) {
  }
  EXPECT_TRUE(client.has_unsent());
  total.set_value(accepted);
  read.set_value();
  while (client.has_unsent()) {  // polling for input alone would wait without an end
    pollfd ready{.fd = client.native(), .events = POLLOUT, .revents = 0};
    ASSERT_EQ(::poll(&ready, 1, 60'000), 1);
    static_cast<void>(kind_thrown_by([&] { client.flush(); }));
  }
  client.close();
}

TEST(TlsSocket, lines_are_read_over_it) {
  Session session([](tls::Socket& server) {
    SocketReader reader(server.source());
    EXPECT_EQ(reader.line().value_or("").text(), "first");
    LineReader lines(reader);
    EXPECT_EQ(lines.next().value_or("").text(), "second");
    EXPECT_EQ(reader.exactly(3).text(), "abc");
    EXPECT_FALSE(reader.line());
  });
  session.client->send("first\nsecond\r\nabc");
  session.client->shutdown_send();
  EXPECT_TRUE(session.client->recv().empty());
}

}  // namespace socket_test
