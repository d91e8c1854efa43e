// Unix sockets on a loop: files on the path that a listener replaces or keeps, credentials of peers, and other
// properties of this kind of socket only. The contract tests them as streams.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "coax/server/serve.hpp"
#include "coax/socket/ancillary.hpp"
#include "coax/stream/socket_stream.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/run.hpp"
#include "tests/support/sockets.hpp"

namespace unix_test {

using namespace coax;
using namespace coax::test;

namespace {

using UnixPathOfTheKernel = OnKernel;

mode_t mode_of(const std::string& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0 ? status.st_mode : 0;
}
bool is_socket(const std::string& path) { return S_ISSOCK(mode_of(path)); }

std::string error_of_listening(const Address& at, const ListenOptions& options = {}) {
  try {
    const SocketListener listener(at, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

// The socket file of a program that was killed.
void leave_dead_socket(const UnixName& name) { const Listener listener(name); }

Task<> expect_answers(SocketListener& listener, const Address& at) {
  const auto near = co_await connect(at);
  const auto accepted = co_await listener.accept();
  const auto far = SocketStream::adopt(accepted.native);
  co_await near->send("hello");
  EXPECT_EQ((co_await far->recv()).text(), "hello");
}

}  // namespace

// --- on every back-end ---

TEST(UnixStream, both_ends_are_called_by_the_name_that_was_listened_on) {
  run([]() -> Task<> {
    const Folder folder;
    for (const UnixName& name : {folder.name(), UnixName::abstract("coax-" + folder.path())}) {
      SocketListener listener(name);
      EXPECT_EQ(listener.address(), Address(name));
      const auto near = co_await connect(name.to_string());
      const auto accepted = co_await listener.accept();
      EXPECT_EQ(accepted.peer, Endpoint());
      const auto far = SocketStream::adopt(accepted.native);
      EXPECT_EQ(near->peer_name(), name.to_string());
      EXPECT_EQ(far->peer_name(), name.to_string());
      EXPECT_EQ(near->peer(), Endpoint());
    }
  });
}

TEST(UnixStream, peers_are_known_by_their_credentials) {
  run([]() -> Task<> {
    SocketListener listener(UnixName(""));
    const auto near = co_await connect(listener.address());
    const auto accepted = co_await listener.accept();
    const auto far = SocketStream::adopt(accepted.native);
    for (const auto* stream : {near.get(), far.get()}) {
      const Credentials peer = stream->peer_credentials().value();
      EXPECT_EQ(peer.pid, ::getpid());
      EXPECT_EQ(peer.uid, ::geteuid());
      EXPECT_EQ(peer.gid, ::getegid());
    }
    SocketListener tcp(*Endpoint::parse("127.0.0.1:0"));
    const auto other = co_await connect(tcp.address());
    EXPECT_FALSE(other->peer_credentials());
    near->close();
    EXPECT_FALSE(near->peer_credentials());
  });
}

TEST(UnixStream, without_a_listener_connecting_fails) {
  run([]() -> Task<> {
    const Folder folder;
    const std::string path = "unix:" + folder.path();
    EXPECT_EQ(co_await text_of_error(connect(path)), "connect to " + path + ": No such file or directory");
    const std::string abstract = "unix:@coax-" + folder.path();
    EXPECT_EQ(co_await text_of_error(connect(abstract)), "connect to " + abstract + ": Connection refused");
    {
      const SocketListener listener(folder.name());
    }
    EXPECT_EQ(co_await text_of_error(connect(path)), "connect to " + path + ": No such file or directory");
  });
}

TEST(UnixStream, a_name_with_a_listener_is_in_use_and_is_kept) {
  run([]() -> Task<> {
    const Folder folder;
    for (const UnixName& name : {folder.name(), UnixName::abstract("coax-" + folder.path())}) {
      SocketListener listener(name);
      EXPECT_TRUE(error_of_listening(name).starts_with("listen on " + name.to_string() + ": Address already in use"));
      EXPECT_EQ(listener.address(), Address(name));
    }
    co_return;
  });
}

TEST(UnixStream, connecting_waits_while_the_backlog_is_full) {
  run([]() -> Task<> {
    SocketListener listener(UnixName(""), {.backlog = 0});
    constexpr std::size_t clients = 5;
    std::vector<std::unique_ptr<SocketStream>> connected;
    const auto connect_one = [](Address to, auto& all) -> Task<> { all.push_back(co_await connect(to)); };
    TaskGroup group;
    for (std::size_t count = 0; count < clients; ++count) group.spawn(connect_one(listener.address(), connected));
    std::vector<std::unique_ptr<SocketStream>> accepted;
    for (std::size_t count = 0; count < clients; ++count) {
      const auto one = co_await listener.accept();
      accepted.push_back(SocketStream::adopt(one.native));
    }
    co_await group.join();
    EXPECT_EQ(connected.size(), clients);
  });
}

TEST(UnixStream, a_connect_that_waits_for_the_queue_can_be_given_up) {
  run([]() -> Task<> {
    SocketListener listener(UnixName(""), {.backlog = 0});
    std::vector<std::unique_ptr<SocketStream>> first;
    std::string end = "done";
    for (int count = 0; count < 5 && end == "done"; ++count) {
      const auto connect_and_keep = [&]() -> Task<> { first.push_back(co_await connect(listener.address())); };
      end = co_await outcome(timeout(std::chrono::milliseconds(20), connect_and_keep()));
    }
    EXPECT_EQ(end, "timed_out");
  });
}

// --- paths ---

TEST_F(UnixPathOfTheKernel, a_dead_socket_is_replaced) {
  run([]() -> Task<> {
    const Folder folder;
    leave_dead_socket(folder.name());
    EXPECT_TRUE(is_socket(folder.path()));
    SocketListener listener(folder.name());
    co_await expect_answers(listener, folder.name());
  });
}

TEST_F(UnixPathOfTheKernel, a_living_socket_is_not_replaced_and_it_is_said_so) {
  run([]() -> Task<> {
    const Folder folder;
    SocketListener listener(folder.name());
    EXPECT_EQ(error_of_listening(folder.name()),
              "listen on unix:" + folder.path() +
                  ": Address already in use; another program listens there: stop it or choose another path");
    const auto probe = co_await listener.accept();  // it was probed
    Loop::current().backend().discard(probe.native);
    co_await expect_answers(listener, folder.name());
  });
}

TEST_F(UnixPathOfTheKernel, another_file_is_never_removed) {
  run([]() -> Task<> {
    const Folder folder;
    std::ofstream(folder.path("file")) << "precious";
    std::filesystem::create_symlink(folder.path(), folder.path("link"));
    std::filesystem::create_directory(folder.path("directory"));
    for (const std::string_view file : {"file", "link", "directory"}) {
      const mode_t before = mode_of(folder.path(file));
      EXPECT_EQ(error_of_listening(folder.name(file)),
                "listen on unix:" + folder.path(file) +
                    ": Address already in use; that path is a file, not a socket: choose another path");
      EXPECT_EQ(mode_of(folder.path(file)), before);
    }
    EXPECT_EQ(std::filesystem::file_size(folder.path("file")), 8U);
    co_return;
  });
}

TEST_F(UnixPathOfTheKernel, is_removed_when_the_listener_closes) {
  run([]() -> Task<> {
    const Folder folder;
    SocketListener listener(folder.name());
    EXPECT_TRUE(is_socket(folder.path()));
    listener.close();
    EXPECT_EQ(mode_of(folder.path()), 0U);
    co_return;
  });
}

TEST_F(UnixPathOfTheKernel, is_kept_when_another_file_has_replaced_it) {
  run([]() -> Task<> {
    const Folder folder;
    SocketListener listener(folder.name());
    std::filesystem::rename(folder.path(), folder.path("moved"));
    SocketListener other(folder.name());
    listener.close();
    EXPECT_TRUE(is_socket(folder.path()));
    EXPECT_TRUE(is_socket(folder.path("moved")));
    co_await expect_answers(other, folder.name());
  });
}

TEST_F(UnixPathOfTheKernel, has_the_permissions_that_are_asked_for_or_those_of_the_umask) {
  run([]() -> Task<> {
    const Folder folder;
    const mode_t before = ::umask(0027);
    {
      const SocketListener listener(folder.name());
      EXPECT_EQ(mode_of(folder.path()) & 0777U, 0750U);
    }
    for (const unsigned mode : {0600U, 0660U, 0666U}) {
      const SocketListener listener(folder.name(), {.mode = mode});
      EXPECT_EQ(mode_of(folder.path()) & 0777U, mode);
    }
    ::umask(before);
    co_return;
  });
}

TEST_F(UnixPathOfTheKernel, that_cannot_be_is_refused_with_advice) {
  run([]() -> Task<> {
    const Folder folder;
    const std::string absent = folder.path("absent/socket");
    EXPECT_EQ(
        error_of_listening(UnixName(absent)),
        "listen on unix:" + absent + ": No such file or directory; its directory does not exist: create it first");
    std::ofstream(folder.path("file")) << "";
    EXPECT_EQ(
        error_of_listening(folder.name("file/socket")),
        "listen on unix:" + folder.path("file/socket") + ": Not a directory; a part of the path is not a directory");
    const std::string long_path = "unix:/" + std::string(107, 'x');
    EXPECT_EQ(co_await text_of_error(serve({.listen = long_path}, [](Stream&) -> Task<> { co_return; })),
              "name " + long_path + ": AF_UNIX path too long: 108 bytes, the kernel takes 107; choose a shorter one");
  });
}

TEST_F(UnixPathOfTheKernel, without_permission_is_refused_with_advice) {
  EXPECT_EQ(
      listen_advice(EACCES, UnixName("/run/x")),
      "this user may not create or replace a file there: choose another path, or change the rights of its directory");
  if (::geteuid() == 0) GTEST_SKIP() << "root may do everything";
  run([]() -> Task<> {
    const Folder folder;
    std::filesystem::permissions(folder.path("."), std::filesystem::perms::owner_read);
    EXPECT_TRUE(error_of_listening(folder.name()).contains("Permission denied; this user may not"));
    std::filesystem::permissions(folder.path("."), std::filesystem::perms::owner_all);
    co_return;
  });
}

// --- only Unix sockets ---

TEST_F(UnixPathOfTheKernel, bytes_around_passed_descriptors_all_arrive) {
  run([]() -> Task<> {
    NativePair pair = native_unix_pair();
    Socket sender = Socket::adopt(pair.far.release());
    const std::size_t before = open_descriptors();
    for (const std::string_view word : {"one ", "two ", "three "}) {
      const int descriptor = sender.native();
      send_descriptors(sender, word, std::span(&descriptor, 1));
      sender.send("plain ");
    }
    const auto stream = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
    EXPECT_EQ(co_await stream->recv_exactly(32), "one plain two plain three plain ");
    EXPECT_LE(open_descriptors(), before) << "they were not received: they are closed";
    sender.close();
  });
}

TEST_F(UnixPathOfTheKernel, closing_with_unread_bytes_breaks_the_connection) {
  run([]() -> Task<> {
    NativePair pair = native_unix_pair();
    const auto stream = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
    co_await stream->send("unread");
    co_await stream->flush();
    pair.far.close();
    EXPECT_EQ(co_await outcome(stream->recv()), "disconnected");
    EXPECT_EQ(co_await outcome(stream->shutdown_send()), "disconnected");
  });
}

}  // namespace unix_test
