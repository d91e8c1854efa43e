// Unix sockets: paths and abstract names, datagrams, and ancillary data.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "coax/socket/ancillary.hpp"
#include "tests/support/blocking.hpp"
#include "tests/support/folder.hpp"

namespace unix_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> natives{};
    EXPECT_EQ(::pipe2(natives.data(), O_CLOEXEC), 0);
    out.reset(natives[0]);
    in.reset(natives[1]);
  }
  FileDescriptor out;
  FileDescriptor in;
};

std::string abstract_text(const char* what) { return "coax-test-" + std::to_string(::getpid()) + what; }

}  // namespace

TEST(Unix, un01_bind_makes_a_file_that_stays_after_close) {
  const Folder folder;
  const std::string path = folder.name().text();
  {
    const Listener listener(folder.name());
    struct stat status{};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_TRUE(S_ISSOCK(status.st_mode));
    EXPECT_EQ(listener.local().unix_name(), folder.name());
    EXPECT_EQ(listener.local(), Address(folder.name()));
  }
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_EQ(reason_of([&] { const Listener again(folder.name()); }), EADDRINUSE);
  EXPECT_EQ(said([&] { const Listener again(folder.name()); }),
            "listen on unix:" + path +
                ": Address already in use; a socket without a listener exists at that path: remove it");
}

TEST(Unix, un01_the_file_has_the_permissions_that_are_asked_for) {
  const Folder folder;
  const Listener listener(folder.name(), {.mode = 0620});
  struct stat status{};
  ASSERT_EQ(::stat(folder.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0620U);
}

TEST(Unix, un02_an_absent_path_is_not_found_and_a_dead_one_refuses) {
  const Folder folder;
  Socket socket(Family::local);
  EXPECT_EQ(reason_of([&] { socket.connect(folder.name()); }), ENOENT);
  {
    const Listener listener(folder.name());
  }
  EXPECT_EQ(reason_of([&] { socket.connect(folder.name()); }), ECONNREFUSED);
  EXPECT_EQ(said([&] { Socket::connect_to("unix:" + folder.name().text()); }),
            "connect to unix:" + folder.name().text() + ": Connection refused");
}

TEST(Unix, un03_an_abstract_name_has_no_file_and_goes_with_its_socket) {
  const UnixName name = UnixName::abstract(std::string("a\0b\0", 4) + abstract_text(""));
  {
    Listener listener(name);
    EXPECT_EQ(listener.local().unix_name(), name);
    Socket client = Socket::connect_to(Address(name));
    client.send("x");
    EXPECT_EQ(listener.accept().recv().text(), "x");
  }
  Socket socket(Family::local);
  EXPECT_EQ(reason_of([&] { socket.connect(name); }), ECONNREFUSED);
  EXPECT_EQ(reason_of([&] { const Listener again(name); }), 0);
  EXPECT_EQ(Listener(UnixName::abstract(std::string(107, 'n'))).local().native().size(), 110U);
  EXPECT_EQ(kind_thrown([] { UnixName::abstract(std::string(108, 'n')); }), ErrorKind::address);
}

TEST(Unix, un04_a_path_over_107_bytes_is_too_long) {
  EXPECT_EQ(UnixName(std::string(107, 'p')).text().size(), 107U);
  EXPECT_NE(said([] { UnixName(std::string(108, 'p')); }).find("AF_UNIX path too long"), std::string::npos);
  EXPECT_EQ(kind_thrown([] { UnixName(std::string_view("a\0b", 3)); }), ErrorKind::address) << "a NUL would cut it";
}

TEST(Unix, un05_the_empty_name_lets_the_kernel_choose_one) {
  Socket socket(Family::local);
  EXPECT_EQ(socket.local().unix_name(), UnixName(""));
  socket.bind(UnixName(""));
  const std::string name = socket.local().unix_name()->text();
  ASSERT_EQ(name.size(), 6U);
  EXPECT_EQ(name[0], '\0');
  EXPECT_EQ(name.find_first_not_of("0123456789abcdef", 1), std::string::npos);
}

TEST(Unix, un06_datagrams_and_seqpackets_keep_their_boundaries) {
  for (const SocketType type : {SocketType::datagram, SocketType::seqpacket}) {
    SocketPair pair(type);
    pair.near.send("one");
    pair.near.send("three");
    EXPECT_EQ(pair.far.recv().text(), "one");
    EXPECT_EQ(pair.far.recv_from(2).length, 5U);
  }
}

TEST(Unix, un06_a_named_datagram_socket_can_be_answered) {
  const Folder folder;
  Socket server(Family::local, SocketType::datagram);
  server.bind(folder.name());
  Socket client(Family::local, SocketType::datagram);
  client.bind(UnixName(""));
  client.send_to("ping", "unix:" + folder.name().text());
  const Datagram datagram = server.recv_from();
  EXPECT_EQ(datagram.from, client.local());
  server.send_to("pong", datagram.from);
  EXPECT_EQ(client.recv().text(), "pong");
}

TEST(Unix, un07_a_passed_descriptor_works_after_its_sender_closed_his) {
  SocketPair pair;
  FileDescriptor out;
  {
    Pipe pipe;
    ASSERT_EQ(::write(pipe.in.native(), "through", 7), 7);
    const std::array<int, 1> natives{pipe.out.native()};
    EXPECT_EQ(send_descriptors(pair.near, "here", natives), 4U);
  }
  std::array<char, 16> buffer{};
  ReceivedMessage message = recv_descriptors(pair.far, buffer, 4);
  EXPECT_EQ(std::string_view(buffer.data(), message.bytes), "here");
  ASSERT_EQ(message.descriptors.size(), 1U);
  ASSERT_EQ(::read(message.descriptors[0].native(), buffer.data(), buffer.size()), 7);
  EXPECT_EQ(std::string_view(buffer.data(), 7), "through");
}

TEST(Unix, un08_received_descriptors_are_not_inherited) {
  SocketPair pair;
  const Pipe pipe;
  const std::array<int, 1> natives{pipe.out.native()};
  send_descriptors(pair.near, "x", natives);
  std::array<char, 16> buffer{};
  EXPECT_EQ(recv_descriptors(pair.far, buffer, 1, flags::peek).bytes, 1U);
  const ReceivedMessage message = recv_descriptors(pair.far, buffer, 1, flags::dont_wait);
  ASSERT_EQ(message.descriptors.size(), 1U);
  EXPECT_FALSE(message.descriptors[0].inheritable());
  EXPECT_EQ(kind_thrown([&] { recv_descriptors(pair.far, buffer, 1, flags::dont_wait); }), ErrorKind::would_block);
}

TEST(Unix, un09_descriptors_without_room_are_closed) {
  SocketPair pair;
  const Pipe pipe;
  const std::array<int, 3> natives{pipe.out.native(), pipe.out.native(), pipe.out.native()};
  send_descriptors(pair.near, "x", natives);
  std::array<char, 16> buffer{};
  ReceivedMessage message = recv_descriptors(pair.far, buffer, 1);
  EXPECT_TRUE(message.control_cut);
  EXPECT_EQ(message.descriptors.size(), 1U);
  const int next = ::dup(pipe.out.native());
  EXPECT_EQ(next, message.descriptors[0].native() + 1) << "no other is left open";
  ::close(next);
}

TEST(Unix, un10_the_peers_credentials_can_be_read) {
  const SocketPair pair;
  const Credentials peer = peer_credentials(pair.near);
  EXPECT_EQ(peer.pid, ::getpid());
  EXPECT_EQ(peer.uid, ::getuid());
  EXPECT_EQ(peer.gid, ::getgid());
}

}  // namespace unix_test
