// serve() on Unix sockets and on several addresses at once.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "coax/base/log.hpp"
#include "coax/server/serve.hpp"
#include "coax/stream/socket_stream.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/run.hpp"

namespace serve_unix_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

Task<> echo(Stream& peer) {
  while (const auto bytes = co_await peer.recv()) co_await peer.send(bytes);
}

// Reports when it listens on all addresses, and is cancelled when the body has ended.
class Serving {
 public:
  explicit Serving(ServeOptions options, Handler handler = echo) : handler_(std::move(handler)) {
    options.on_listen = [this](const Address& at) { addresses.push_back(at); };
    options.on_ready = [this] { ready_.set(); };
    group_.spawn(run(std::move(options)));
  }
  Task<> ready() { co_await ready_.wait(); }
  Task<> stop() {
    group_.cancel();
    co_await group_.join();
  }
  std::vector<Address> addresses;
  std::string end;

 private:
  Task<> run(ServeOptions options) {
    end = co_await text_of_error(serve(std::move(options), handler_));
    ready_.set();
  }
  Handler handler_;
  Event ready_;
  TaskGroup group_;
};

Task<> expect_echo(Address at) {
  const auto client = co_await connect(at);
  co_await client->send("hello");
  EXPECT_EQ(co_await client->recv_exactly(5), "hello") << at.to_string();
}

class ServeUnix : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::off); }
  void TearDown() override { log::set_level(log::Level::info); }
};

}  // namespace

TEST_F(ServeUnix, listens_on_a_path_and_leaves_nothing_there) {
  run([]() -> Task<> {
    const Folder folder;
    Serving serving({.listen = "unix:" + folder.path()});
    co_await serving.ready();
    EXPECT_EQ(serving.addresses, std::vector<Address>{folder.name()});
    co_await expect_echo(folder.name());
    co_await serving.stop();
    EXPECT_TRUE(std::filesystem::is_empty(folder.path(".")));
    EXPECT_EQ(co_await outcome(connect(Address(folder.name()))), "address");
  });
}

TEST_F(ServeUnix, listens_on_several_addresses_of_any_kind) {
  run([]() -> Task<> {
    const Folder folder;
    const std::string abstract = "unix:@coax-" + folder.path();
    Serving serving({.listen = "127.0.0.1:0, unix:" + folder.path() + "," + abstract + ",127.0.0.2:0"});
    co_await serving.ready();
    EXPECT_EQ(serving.addresses.size(), 4U);
    for (const Address& at : serving.addresses) co_await expect_echo(at);
    co_await serving.stop();
    EXPECT_FALSE(std::filesystem::exists(folder.path()));
  });
}

TEST_F(ServeUnix, that_cannot_listen_on_one_of_them_listens_on_none) {
  run([]() -> Task<> {
    const Folder folder;
    for (const std::string_view bad : {"no port", "", "127.0.0.1:99999"}) {
      Serving serving({.listen = "unix:" + folder.path() + "," + std::string(bad)});
      co_await serving.ready();
      EXPECT_EQ(serving.end, "listen on" + std::string(bad.empty() ? "" : " ") + std::string(bad) +
                                 ": give HOST:PORT, an IPv6 address as [ADDRESS]:PORT, or unix:PATH");
      EXPECT_FALSE(std::filesystem::exists(folder.path()));
      EXPECT_EQ(co_await outcome(connect(Address(folder.name()))), "address");
      co_await serving.stop();
    }
  });
}

TEST_F(ServeUnix, peers_are_called_by_the_path_and_known_by_their_credentials) {
  run([]() -> Task<> {
    const Folder folder;
    int seen = 0;
    Serving serving({.listen = "unix:" + folder.path() + ",127.0.0.1:0"}, [&](Connection& connection) -> Task<> {
      const auto credentials = connection.peer_credentials();
      if (connection.peer().family() == Endpoint::Family::none) {
        EXPECT_EQ(connection.peer_name(), "unix:" + folder.path());
        EXPECT_EQ(credentials ? credentials->pid : -1, ::getpid());
      } else {
        EXPECT_FALSE(credentials);
      }
      ++seen;
      co_await connection.stream().recv();
    });
    co_await serving.ready();
    for (const Address& at : serving.addresses) {
      const auto client = co_await connect(at);
      co_await client->shutdown_send();
      co_await client->recv();
    }
    EXPECT_EQ(seen, 2);
    co_await serving.stop();
  });
}

TEST_F(ServeUnix, peers_are_not_counted_as_one_host) {
  run([]() -> Task<> {
    const Folder folder;
    Serving serving({.listen = "unix:" + folder.path(), .limits = {.connections_per_host_max = 1}});
    co_await serving.ready();
    const Address at = serving.addresses.front();
    const auto one = co_await connect(at);
    const auto two = co_await connect(at);
    for (Stream* const client : {one.get(), two.get()}) {
      co_await client->send("x");
      EXPECT_EQ(co_await client->recv_exactly(1), "x");
    }
    co_await serving.stop();
  });
}

}  // namespace serve_unix_test
