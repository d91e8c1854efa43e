// Shortages: of file descriptors, and of threads for listings.
#include <fcntl.h>
#include <sys/resource.h>

#include <atomic>
#include <latch>

#include "coax/task/offload.hpp"
#include "tests/http/folder.hpp"
#include "tests/support/sim.hpp"

namespace coax::test::shortage_test {
namespace {

// No descriptor can be opened during its lifetime.
class NoDescriptors {
 public:
  NoDescriptors() {
    const FileDescriptor next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none{.rlim_cur = static_cast<rlim_t>(next.native()), .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

std::string get_of(std::string_view path) { return fmt::format("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", path); }

FolderOptions with_listing() {
  return {.listing =
              [](const http::Request&, const std::vector<http::FolderEntry>& entries) {
                return http::Response::text(std::to_string(entries.size()));
              },
          .archives = true};
}

class HttpShortage : public HttpFolder {};

TEST_F(HttpShortage, without_descriptors_files_are_503_and_logged_once) {
  std::atomic<int> lines = 0;
  log::set_level(log::Level::error);
  log::set_sink([&](const log::Record&) { ++lines; });
  run([&]() -> Task<> {
    http::App app = this->app(with_listing());
    const auto serve_digits = [](std::string path) -> Task<http::Response> {
      co_return http::Response{.body = FileRange(co_await File::open(std::move(path)))};
    };
    app.get("/own", [&](http::Request&) { return serve_digits(at("digits.txt")); });
    const Handler handler = http::handler(std::move(app));
    const auto paths = {"/s/digits.txt", "/s/", "/s/?archive=zip", "/own"};
    for (const char* path : paths) EXPECT_EQ(status_of(co_await test::ask(handler, get_of(path))), 200) << path;
    {
      const NoDescriptors shortage;
      for (const char* path : paths) {
        const std::string response = co_await test::ask(handler, get_of(path));
        EXPECT_EQ(status_of(response), 503) << path;
        EXPECT_EQ(field_of(response, "Retry-After"), "1") << path;
      }
    }
    for (const char* path : paths) EXPECT_EQ(status_of(co_await test::ask(handler, get_of(path))), 200) << path;
  });
  log::flush(std::chrono::seconds(30));
  log::set_sink({});
  EXPECT_EQ(lines, 1);
}

// Keeps both threads of bulk work until it is released.
class BusyThreads {
 public:
  Task<> run() {
    const auto block = [this] {
      running_.count_down();
      released_.wait();
    };
    co_await all(offload(block, as_bulk_work), offload(block, as_bulk_work));
  }
  Task<> wait_running() {
    const auto wait = [this] { running_.wait(); };
    co_await offload(wait);
  }
  void release() { released_.count_down(); }

 private:
  std::latch running_{2};
  std::latch released_{1};
};

TEST_F(HttpShortage, listings_wait_for_each_other_and_files_do_not_wait_for_them) {
  COAX_NEEDS_KERNEL();
  run([&]() -> Task<> {
    const Handler handler = http::handler(app(with_listing()));
    BusyThreads busy;
    std::string listing;
    const auto list = [&]() -> Task<> {
      auto [server, client] = memory_stream_pair();
      const auto ask = [&]() -> Task<> {
        co_await client->send("GET /s/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        listing = co_await read_all(*client);
      };
      co_await all(serve_one(*server, handler), ask());
    };
    const auto ask_for_files = [&]() -> Task<> {
      co_await busy.wait_running();
      for (int count = 0; count < 20; ++count) {
        EXPECT_EQ(status_of(co_await test::ask(handler, get_of("/s/digits.txt"))), 200);
      }
      EXPECT_EQ(listing, "");
      busy.release();
    };
    co_await all(busy.run(), list(), ask_for_files());
    EXPECT_EQ(body_of(listing), "1");
  });
}

TEST_F(HttpShortage, a_listing_that_waits_ends_when_its_client_has_left) {
  COAX_NEEDS_KERNEL();
  run([&]() -> Task<> {
    const Handler handler = http::handler(app(with_listing()));
    BusyThreads busy;
    const auto ask = [&]() -> Task<> {
      co_await busy.wait_running();
      EXPECT_EQ(status_of(co_await test::ask(handler, get_of("/s/"))), 503);  // it half-closes after its request
      busy.release();
    };
    co_await all(busy.run(), ask());
  });
}

}  // namespace
}  // namespace coax::test::shortage_test
