// Datagram transports on the kernel only: Unix sockets, refused joining (UDP_SEGMENT), several senders.
#include "coax/datagram/transport.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <filesystem>

#include "coax/socket/ancillary.hpp"
#include "coax/socket/udp.hpp"
#include "tests/support/datagrams.hpp"
#include "tests/support/sockets.hpp"

namespace transport_test {

using namespace coax;
using namespace coax::test;

namespace {

using DatagramsOfTheKernel = OnKernel;
using UnixDatagrams = OnKernel;

// Bound to an abstract name that the kernel chooses.
Address any_unix_name() { return UnixName(""); }

Socket unix_datagram_socket() {
  Socket socket(Family::local, SocketType::datagram);
  socket.bind(UnixName(""));
  return socket;
}

// Sends until a send has to wait; that one is still in progress in `group`. Returns how many before it did not wait.
struct Flood {
  std::size_t sent = 0;
  std::string last;
  Task<> run(DatagramTransport& transport) {
    const std::string text(20'000, 'f');
    while (true) {
      last = "";
      last = co_await outcome(transport.send(text));
      if (last != "done") co_return;
      ++sent;
    }
  }
};

}  // namespace

TEST_F(DatagramsOfTheKernel, a_broadcast_is_answered_from_its_interfaces_address) {
  run([]() -> Task<> {
    for (const std::string_view wildcard : {"0.0.0.0:0", "[::]:0"}) {
      DatagramTransport server(wildcard);
      DatagramTransport client("127.0.0.1:0", {.broadcast = true});
      co_await client.send_to("x", *Endpoint::from_ip("127.255.255.255", server.local().endpoint().port()));
      const Datagram datagram = co_await server.recv_from();
      EXPECT_EQ(datagram.to, *Endpoint::from_ip("127.0.0.1", 0)) << wildcard;
      co_await server.reply(datagram, "y");
      EXPECT_EQ((co_await client.recv_from()).bytes.text(), "y") << wildcard;
    }
  });
}

TEST_F(DatagramsOfTheKernel, what_is_sent_in_a_turn_is_seen_after_it) {
  run([]() -> Task<> {
    UdpSocket far("127.0.0.1:0");
    far.set_blocking(false);
    const Address to = far.local();
    DatagramTransport near("127.0.0.1:0");
    for (const std::string_view text : {"one", "two", "three"}) co_await near.send_to(text, to);
    EXPECT_THROW(far.recv_from(), Error) << "not before the turn ends";
    co_await near.flush();
    for (const std::string_view text : {"one", "two", "three"}) EXPECT_EQ(far.recv_from().bytes.text(), text);
  });
}

// Where joined datagrams are not supported, as on a tunnel, they are sent one by one.
TEST_F(DatagramsOfTheKernel, where_joining_is_refused_all_are_sent_one_by_one) {
  run([]() -> Task<> {
    DatagramTransport far("127.0.0.1:0");
    DatagramTransport near("127.0.0.1:0");
    near.set(options::Flag{{SOL_SOCKET, SO_NO_CHECK}}, true);  // with this option the kernel refuses UDP_SEGMENT
    std::vector<std::string> texts;
    while (texts.size() != 40) texts.push_back(fmt::format("{:02}", texts.size()));
    for (int times = 0; times != 2; ++times) {
      co_await send_all_to(near, texts, far.local());
      const std::vector<std::string> got = co_await recv_texts(far, texts.size());
      EXPECT_EQ(got, texts);
    }
    EXPECT_EQ(near.undelivered(), 0U);
    EXPECT_EQ(co_await outcome(near.flush()), "done");
  });
}

// The question was not sent: a task that waits for the answer would wait without an end.
TEST_F(UnixDatagrams, a_waiting_receiver_throws_the_error_of_a_send) {
  run([]() -> Task<> {
    auto far = std::make_unique<DatagramTransport>(any_unix_name());
    DatagramTransport near = DatagramTransport::connect(far->local());
    std::string end;
    TaskGroup group;
    group.spawn(observe_recv_from(near, end));
    co_await next_turn();
    far.reset();
    co_await near.send("is anybody there?");
    co_await group.join();
    EXPECT_EQ(end, "refused");
    EXPECT_EQ(near.undelivered(), 1U);
  });
}

TEST_F(UnixDatagrams, arrive_complete_with_the_name_of_their_sender) {
  run([]() -> Task<> {
    const std::string path = fmt::format("{}/coax-datagrams-{}", ::testing::TempDir(), ::getpid());
    DatagramTransport server("unix:" + path);
    const auto client = co_await connect_datagrams("unix:" + path);
    for (const std::string_view text : {"one", "", "three"}) co_await client->send(text);
    for (const std::string_view text : {"one", "", "three"}) {
      const Datagram datagram = co_await server.recv_from();
      EXPECT_EQ(datagram.bytes.text(), text);
      EXPECT_EQ(datagram.from, client->local());
      co_await server.send_to(datagram.bytes, datagram.from);
    }
    const std::vector<std::string> got = co_await recv_texts(*client, 3);
    EXPECT_EQ(got, (std::vector<std::string>{"one", "", "three"}));
    std::filesystem::remove(path);
  });
}

TEST_F(UnixDatagrams, one_that_is_longer_than_64_KiB_is_cut_or_refused) {
  run([]() -> Task<> {
    DatagramTransport far(any_unix_name());
    Socket near = unix_datagram_socket();
    near.send_to(std::string(70'000, 'x'), far.local());
    const Datagram datagram = co_await far.recv_from();
    EXPECT_EQ(datagram.bytes.size(), 64_KiB);
    EXPECT_EQ(datagram.length, 70'000U);
    EXPECT_TRUE(datagram.truncated());
    EXPECT_EQ(co_await outcome(far.send_to(std::string(64_KiB + 1, 'x'), near.local())), "invalid");
  });
}

TEST_F(UnixDatagrams, a_sender_waits_while_its_peer_does_not_read) {
  run([]() -> Task<> {
    DatagramTransport far(any_unix_name());
    DatagramTransport near = DatagramTransport::connect(far.local());
    Flood flood;
    TaskGroup group;
    group.spawn(flood.run(near));
    std::size_t before = SIZE_MAX;
    while (before != flood.sent) {
      before = flood.sent;
      for (int turn = 0; turn != 5; ++turn) co_await next_turn();
    }
    EXPECT_EQ(flood.last, "") << "it waits";
    co_await recv_texts(far, 50);  // far more than were queued: sending continues
    EXPECT_GT(flood.sent, before);
    group.cancel();
    co_await group.join();
  });
}

TEST_F(UnixDatagrams, a_sender_that_is_cancelled_while_it_waits_has_sent_nothing) {
  run([]() -> Task<> {
    DatagramTransport far(any_unix_name());
    DatagramTransport near = DatagramTransport::connect(far.local());
    Flood flood;
    TaskGroup group;
    group.spawn(flood.run(near));
    for (int turn = 0; turn != 20; ++turn) co_await next_turn();
    group.cancel();
    co_await group.join();  // there is no reader
    EXPECT_EQ(flood.last, "cancelled");
    co_await recv_texts(far, flood.sent);
    co_await near.send("the end");
    EXPECT_EQ((co_await far.recv_from()).bytes.text(), "the end");
  });
}

TEST_F(UnixDatagrams, a_flush_that_is_cancelled_leaves_all_on_its_way) {
  run([]() -> Task<> {
    DatagramTransport far(any_unix_name());
    DatagramTransport near = DatagramTransport::connect(far.local(), {.send_buffer = 16_KiB});
    std::vector<std::string> texts;
    while (texts.size() != 60) texts.push_back(numbered(texts.size()));
    for (const std::string& text : texts) co_await near.send(text);  // more than the kernel accepts
    std::string end;
    struct Flusher {
      static Task<> run(DatagramTransport& transport, std::string& how) { how = co_await outcome(transport.flush()); }
    };
    TaskGroup group;
    group.spawn(Flusher::run(near, end));
    for (int turn = 0; turn != 20; ++turn) co_await next_turn();
    EXPECT_EQ(end, "") << "it waits";
    group.cancel();
    co_await group.join();
    EXPECT_EQ(end, "cancelled");
    const std::vector<std::string> got = co_await recv_texts(far, texts.size());
    EXPECT_EQ(got, texts);
  });
}

TEST_F(UnixDatagrams, closing_ends_a_sender_that_waits) {
  run([]() -> Task<> {
    DatagramTransport far(any_unix_name());
    DatagramTransport near = DatagramTransport::connect(far.local());
    Flood flood;
    TaskGroup group;
    group.spawn(flood.run(near));
    for (int turn = 0; turn != 20; ++turn) co_await next_turn();
    EXPECT_EQ(flood.last, "");
    near.close();
    co_await group.join();
    EXPECT_EQ(flood.last, "invalid");
  });
}

TEST_F(UnixDatagrams, a_peer_that_does_not_read_holds_up_no_other) {
  run([]() -> Task<> {
    DatagramTransport server(any_unix_name());
    DatagramTransport deaf(any_unix_name());
    DatagramTransport far(any_unix_name());
    const Address to_deaf = deaf.local();
    for (int number = 0; number != 1000; ++number) co_await server.send_to("this stays unread", to_deaf);
    co_await server.send_to("but this", far.local());
    EXPECT_EQ((co_await far.recv_from()).bytes.text(), "but this");
    EXPECT_GT(server.undelivered(), 0U);
    EXPECT_EQ(co_await text_of_error(server.flush()), "send to " + to_deaf.to_string() + ": No buffer space available");
  });
}

TEST_F(UnixDatagrams, flush_throws_for_a_name_without_a_socket) {
  run([]() -> Task<> {
    DatagramTransport near(any_unix_name());
    co_await near.send_to("x", UnixName::abstract("no socket has this name"));
    EXPECT_EQ(co_await outcome(near.flush()), "refused");
    EXPECT_EQ(co_await outcome(connect_datagrams("unix:@no socket has this name")), "refused");
  });
}

TEST_F(UnixDatagrams, received_descriptors_are_closed) {
  run([]() -> Task<> {
    DatagramTransport far(any_unix_name());
    const Socket near = unix_datagram_socket();
    const Address to = far.local();
    const std::size_t before = open_descriptors();
    const std::array<int, 1> descriptors{near.native()};
    std::array<char, CMSG_SPACE(sizeof descriptors)> control{};
    std::string text = "with a present";
    iovec piece{.iov_base = text.data(), .iov_len = text.size()};
    msghdr message{};
    message.msg_name = const_cast<sockaddr*>(to.get());
    message.msg_namelen = static_cast<socklen_t>(to.native().size());
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptors);
    std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof descriptors);
    EXPECT_EQ(::sendmsg(near.native(), &message, 0), static_cast<ssize_t>(text.size()));
    EXPECT_EQ((co_await far.recv_from()).bytes.text(), text);
    EXPECT_EQ(open_descriptors(), before);
  });
}

}  // namespace transport_test
