// Sending files, and reading lines.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <memory>
#include <thread>

#include "coax/socket/line_reader.hpp"
#include "coax/socket/udp.hpp"
#include "tests/support/blocking.hpp"

namespace file_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

// A file without a name; its position is at the beginning.
class File {
 public:
  explicit File(std::string_view content) : file_(std::tmpfile(), &std::fclose) {
    EXPECT_EQ(::write(native(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
    ::lseek(native(), 0, SEEK_SET);
  }
  [[nodiscard]] int native() const { return ::fileno(file_.get()); }
  [[nodiscard]] off_t position() const { return ::lseek(native(), 0, SEEK_CUR); }

 private:
  std::unique_ptr<FILE, decltype(&std::fclose)> file_;
};

}  // namespace

TEST(SendFile, fi01_goes_from_the_position_to_the_end_and_moves_it) {
  ConnectedSockets pair = connected_sockets();
  const File file("0123456789");
  ::lseek(file.native(), 4, SEEK_SET);
  EXPECT_EQ(pair.near.send_file(file.native()), 6U);
  EXPECT_EQ(file.position(), 10);
  EXPECT_EQ(pair.far.recv_exactly(6), "456789");
}

TEST(SendFile, fi02_a_part_can_be_sent_an_empty_file_too_but_not_zero_bytes) {
  ConnectedSockets pair = connected_sockets();
  const File file("0123456789");
  EXPECT_EQ(pair.near.send_file(file.native(), 2, 3), 3U);
  EXPECT_EQ(file.position(), 5);
  EXPECT_EQ(pair.near.send_file(file.native(), 8, 100), 2U) << "it ends before";
  EXPECT_EQ(pair.far.recv_exactly(5), "23489");
  EXPECT_EQ(pair.near.send_file(File("").native()), 0U);
  EXPECT_EQ(kind_thrown([&] { pair.near.send_file(file.native(), 0, 0); }), ErrorKind::invalid);
}

TEST(SendFile, fi03_needs_a_blocking_stream_and_keeps_its_time_limit) {
  const File file(std::string(16_MiB, 'f'));
  UdpSocket udp;
  EXPECT_EQ(kind_thrown([&] { udp.send_file(file.native()); }), ErrorKind::invalid);
  ConnectedSockets pair = connected_sockets();
  pair.near.set_blocking(false);
  EXPECT_EQ(kind_thrown([&] { pair.near.send_file(file.native()); }), ErrorKind::invalid);
  pair.near.set_timeout(20ms);
  EXPECT_EQ(kind_thrown([&] {
              for (int times = 0; times < 10; ++times) pair.near.send_file(file.native(), 0, 16_MiB);
            }),
            ErrorKind::timed_out);
  EXPECT_GT(file.position(), 0) << "it tells what has gone";
}

TEST(SendFile, to_a_closed_peer_is_an_error_not_a_signal) {
  SocketPair pair;
  pair.far.close();
  const File file("content");
  EXPECT_EQ(reason_of([&] { pair.near.send_file(file.native()); }), EPIPE);
  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
}

TEST(SocketLines, fi04_a_line_is_joined_and_the_end_returns_the_rest) {
  ConnectedSockets pair = connected_sockets();
  LineReader lines(pair.far);
  const std::jthread writer([&] {
    for (const BytesView piece : std::array<BytesView, 4>{"one\ntw", "o\r", "\n\nre", "st"}) pair.near.send(piece);
    pair.near.shutdown_send();
  });
  EXPECT_EQ(lines.next()->text(), "one");
  EXPECT_EQ(lines.next()->text(), "two");
  EXPECT_EQ(lines.next()->text(), "");
  EXPECT_EQ(lines.next()->text(), "rest");
  EXPECT_FALSE(lines.next().has_value());
  EXPECT_FALSE(lines.next().has_value());
}

// Python's reader fails from then on, since it has lost the bytes that it had read; this one has not.
TEST(SocketLines, fi05_after_a_timeout_nothing_is_lost) {
  ConnectedSockets pair = connected_sockets();
  LineReader lines(pair.far);
  pair.near.send("half ");
  pair.far.set_timeout(20ms);
  EXPECT_EQ(kind_thrown([&] { lines.next(); }), ErrorKind::timed_out);
  pair.far.set_timeout(patience);
  pair.near.send("a line\n");
  EXPECT_EQ(lines.next()->text(), "half a line");
}

TEST(SocketLines, a_line_above_the_limit_throws_and_the_next_is_returned) {
  ConnectedSockets pair = connected_sockets();
  LineReader lines(pair.far, 4);
  pair.near.send("12345\n1234\n");
  EXPECT_EQ(kind_thrown([&] { lines.next(); }), ErrorKind::protocol);
  EXPECT_EQ(lines.next()->text(), "1234");
}

}  // namespace file_test
