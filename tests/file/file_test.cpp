// Files and their ranges: what is opened and refused, and what a stream sends of them on each kind of stream.
#include "coax/file/file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "coax/file/modified_private.hpp"
#include "coax/net/send_file_private.hpp"
#include "coax/task/offload.hpp"
#include "tests/support/stream_pairs.hpp"

namespace file_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

// Bytes that no shift by a piece leaves as they are.
std::string bytes_of(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t at = 0; at != size; ++at) bytes[at] = static_cast<char>(at * 31 + (at >> 8) * 7 + (at >> 16));
  return bytes;
}

class FileSend : public ::testing::Test {
 protected:
  std::string write(std::string_view bytes) {
    const std::string path = folder_.path("file");
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  // Out of the page cache, on file systems that have a disk: then threads read it.
  std::string write_uncached(std::string_view bytes) {
    std::string path = write(bytes);
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    ::fsync(file.native());
    ::posix_fadvise(file.native(), 0, 0, POSIX_FADV_DONTNEED);
    return path;
  }

  Folder folder_;
};

Task<> send_and_end(Stream& stream, FileRange range) {
  co_await send(stream, std::move(range));
  co_await stream.send("end");
  co_await stream.shutdown_send();
}

Task<std::string> recv_all(Stream& stream) {
  std::string all;
  while (const BytesView bytes = co_await stream.recv()) all.append(bytes.text());
  co_return all;
}

Task<std::string> sent_range(StreamPair& pair, FileRange range) {
  const auto [sent, received] = co_await all(send_and_end(*pair.near, std::move(range)), recv_all(*pair.far));
  co_return received;
}

}  // namespace

// --- opening ---

TEST_F(FileSend, open_knows_path_size_and_modification_time) {
  const std::string path = write("12345");
  const timespec times[2] = {{.tv_sec = 1, .tv_nsec = 2}, {.tv_sec = 1'000'000'000, .tv_nsec = 5}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  run([&]() -> Task<> {
    const File file = co_await File::open(path);
    EXPECT_EQ(file.path(), path);
    EXPECT_EQ(file.size(), 5U);
    EXPECT_EQ(file.modified().time_since_epoch(), 1'000'000'000s + 5ns);
  });
}

TEST_F(FileSend, modification_time_beyond_its_range_does_not_wrap) {
  struct stat status{};
  status.st_mtim = {.tv_sec = 253402300800, .tv_nsec = 0};  // the year 10000
  EXPECT_GT(modified_of(status), std::chrono::sys_days(std::chrono::year(2262) / 1 / 1));
  status.st_mtim.tv_sec = -253402300800;
  EXPECT_LT(modified_of(status), std::chrono::sys_days(std::chrono::year(1678) / 1 / 1));
}

TEST_F(FileSend, open_refuses_what_is_no_regular_file) {
  ASSERT_EQ(::mkfifo(folder_.path("fifo").c_str(), 0600), 0);
  run([&]() -> Task<> {
    const std::string folder = std::filesystem::path(folder_.path()).parent_path();
    EXPECT_EQ(co_await text_of_error(File::open(folder)), "open " + folder + ": it is a folder");
    const std::string fifo = folder_.path("fifo");
    EXPECT_EQ(co_await text_of_error(File::open(fifo)), "open " + fifo + ": it is not a regular file");
    EXPECT_EQ(co_await text_of_error(File::open("/dev/null")), "open /dev/null: it is not a regular file");
    const std::string missing = folder_.path("missing");
    EXPECT_EQ(co_await text_of_error(File::open(missing)), "open " + missing + ": No such file or directory");
  });
}

TEST_F(FileSend, range_behind_the_end_is_invalid) {
  const std::string path = write("12345");
  run([&]() -> Task<> {
    const File file = co_await File::open(path);
    EXPECT_NO_THROW(FileRange(file, 5, 0));
    EXPECT_THROW(FileRange(file, 4, 2), Error);
    EXPECT_THROW(FileRange(file, 6, 0), Error);
    EXPECT_THROW(FileRange(file, 1, UINT64_MAX), Error);
  });
}

// --- sending ---

TEST_F(FileSend, whole_file_arrives_on_each_kind_of_stream) {
  const std::string bytes = bytes_of(3'000'007);
  const std::string path = write(bytes);
  for (const StreamKind& kind : stream_kinds) {
    run([&]() -> Task<> {
      StreamPair pair = co_await kind.make();
      const File file = co_await File::open(path);
      const std::string received = co_await sent_range(pair, FileRange(file));
      EXPECT_TRUE(received == bytes + "end") << kind.name << ": " << received.size();
    });
  }
}

TEST_F(FileSend, file_that_is_not_cached_is_read_by_threads) {
  const std::string bytes = bytes_of(1'000'003);
  const std::string path = write_uncached(bytes);
  run([&]() -> Task<> {
    StreamPair pair = co_await tcp_pair();
    const File file = co_await File::open(path);
    const std::string received = co_await sent_range(pair, FileRange(file));
    EXPECT_TRUE(received == bytes + "end") << received.size();
  });
}

// What is cached goes by sendfile(2), in between, and what is not is read by threads.
TEST_F(FileSend, file_that_is_cached_in_part_arrives_whole) {
  const std::string bytes = bytes_of(8'000'003);
  const std::string path = write_uncached(bytes);
  for (const StreamKind& kind : {StreamKind{"tcp", tcp_pair}, StreamKind{"narrow_tcp", narrow_tcp_pair}}) {
    run([&]() -> Task<> {
      StreamPair pair = co_await kind.make();
      const File file = co_await File::open(path);
      co_await offload([&] { return file.read(65'536, 1'000'000).size() + file.read(4'000'000, 2'000'000).size(); });
      const std::string received = co_await sent_range(pair, FileRange(file));
      EXPECT_TRUE(received == bytes + "end") << kind.name << ": " << received.size();
    });
  }
}

TEST_F(FileSend, range_has_its_bytes_and_no_others) {
  const std::string bytes = bytes_of(200'000);
  const std::string path = write(bytes);
  run([&]() -> Task<> {
    const File file = co_await File::open(path);
    for (const std::size_t size :
         {0UZ, 1UZ, 65'535UZ, 65'536UZ, 65'537UZ, 131'072UZ, 196'607UZ, 196'608UZ, 199'001UZ}) {
      StreamPair pair = co_await tcp_pair();
      const std::string received = co_await sent_range(pair, FileRange(file, 999, size));
      EXPECT_TRUE(received == bytes.substr(999, size) + "end") << size << ": " << received.size();
    }
  });
}

TEST_F(FileSend, empty_file_sends_nothing) {
  const std::string path = write("");
  run([&]() -> Task<> {
    StreamPair pair = co_await memory_pair();
    const File file = co_await File::open(path);
    EXPECT_EQ(co_await sent_range(pair, FileRange(file)), "end");
  });
}

// --- failures ---

TEST_F(FileSend, file_that_becomes_shorter_aborts_the_stream) {
  const std::string path = write(bytes_of(1'000'000));
  for (const StreamKind& kind : {StreamKind{"narrow_tcp", narrow_tcp_pair}, StreamKind{"memory", memory_pair}}) {
    write(bytes_of(1'000'000));
    run([&]() -> Task<> {
      StreamPair pair = co_await kind.make();
      const File file = co_await File::open(path);
      const auto truncate_and_read = [&]() -> Task<std::string> {
        co_await pair.far->recv_exactly(1000);
        std::filesystem::resize_file(path, 100'000);
        co_return co_await outcome(recv_all(*pair.far));
      };
      const auto [sent, received] = co_await all(text_of_error(send(*pair.near, FileRange(file))), truncate_and_read());
      EXPECT_EQ(sent, "read " + path + ": it has become shorter than 1000000 bytes, which it had when it was opened");
      EXPECT_EQ(received, "disconnected") << kind.name;
    });
  }
}

TEST_F(FileSend, file_that_is_empty_by_then_aborts_the_stream) {
  const std::string path = write("12345");
  run([&]() -> Task<> {
    StreamPair pair = co_await memory_pair();
    const File file = co_await File::open(path);
    std::filesystem::resize_file(path, 0);
    EXPECT_EQ(co_await outcome(send(*pair.near, FileRange(file))), "other");
    EXPECT_EQ(co_await outcome(pair.far->recv()), "disconnected");
  });
}

TEST_F(FileSend, file_that_is_replaced_or_removed_is_sent_as_it_was_opened) {
  const std::string path = write("opened");
  run([&]() -> Task<> {
    StreamPair pair = co_await memory_pair();
    const File file = co_await File::open(path);
    std::filesystem::remove(path);
    write("replaced");
    EXPECT_EQ(co_await sent_range(pair, FileRange(file)), "openedend");
  });
}

TEST_F(FileSend, cancelled_halfway_aborts_the_stream) {
  const std::string path = write(bytes_of(1'000'000));
  run([&]() -> Task<> {
    StreamPair pair = co_await narrow_memory_pair();
    const File file = co_await File::open(path);
    EXPECT_EQ(co_await outcome(timeout(1ms, send(*pair.near, FileRange(file)))), "timed_out");
    EXPECT_NE(co_await outcome(pair.near->send("more")), "none");
    EXPECT_EQ(co_await outcome(recv_all(*pair.far)), "disconnected");
  });
}

TEST_F(FileSend, peer_that_leaves_is_an_error_of_the_stream) {
  const std::string path = write(bytes_of(10'000'000));
  run([&]() -> Task<> {
    StreamPair pair = co_await narrow_tcp_pair();
    const File file = co_await File::open(path);
    const auto leave = [&]() -> Task<> {
      co_await pair.far->recv_exactly(1000);
      pair.far->abort();
    };
    const auto [sent, left] = co_await all(outcome(send(*pair.near, FileRange(file))), leave());
    EXPECT_EQ(sent, "disconnected");
  });
}

// Without the signal, which would end this program; and the mask is as before.
TEST_F(FileSend, sendfile_to_a_socket_without_a_peer_raises_no_signal) {
  const std::string path = write("12345");
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  NativePair pair = native_unix_pair();
  pair.far = Native();
  off_t offset = 0;
  EXPECT_EQ(detail::send_file(pair.near.get(), file.native(), &offset, 5), -1);
  EXPECT_EQ(errno, EPIPE);
  sigset_t mask;
  sigset_t pending;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  sigpending(&pending);
  EXPECT_EQ(sigismember(&mask, SIGPIPE), 0);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
}

}  // namespace file_test
