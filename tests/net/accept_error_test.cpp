// The reaction of blocking listeners, and of the servers on them, to each error of accept(2).
#include "coax/net/accept_error.hpp"

#include <future>

#include "coax/base/log.hpp"
#include "coax/socket/serve_on_threads.hpp"
#include "tests/support/accept_failures.hpp"
#include "tests/support/blocking.hpp"

namespace accept_error_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

constexpr int to_retry[] = {ECONNABORTED, ECONNRESET, EPROTO,      ENETDOWN, ENOPROTOOPT,     EHOSTDOWN,       ENONET,
                            EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, EPERM,    ESOCKTNOSUPPORT, EPROTONOSUPPORT, EINTR};
constexpr int to_back_off[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSR};
constexpr int fatal[] = {EBADF, EFAULT, EINVAL, ENOTSOCK, EACCES, EIO};

}  // namespace

TEST(AcceptError, follows_the_manual_page) {
  for (const int reason : to_retry) EXPECT_EQ(classify_accept_error(reason), AcceptError::retry) << reason;
  for (const int reason : to_back_off) EXPECT_EQ(classify_accept_error(reason), AcceptError::back_off) << reason;
  for (const int reason : fatal) EXPECT_EQ(classify_accept_error(reason), AcceptError::fatal) << reason;
}

TEST(AcceptError, of_a_connection_that_is_gone_is_not_seen_by_the_caller) {
  Listener listener(loopback());
  for (const int reason : to_retry) {
    const Socket client = Socket::connect_to(listener.local());
    accept_failures.next(reason, 3);
    EXPECT_EQ(listener.accept().peer(), client.local()) << reason;
  }
}

TEST(AcceptError, to_retry_without_end_is_reported) {
  Listener listener(loopback());
  const Socket client = Socket::connect_to(listener.local());
  accept_failures.next(EPERM, 1000);
  EXPECT_EQ(reason_of([&] { const Socket peer = listener.accept(); }), EPERM);
  EXPECT_EQ(accept_failures.count, 1000 - accept_attempts_max);
  accept_failures.next(0, 0);
  EXPECT_EQ(listener.accept().peer(), client.local());
}

TEST(AcceptError, others_are_reported_and_the_connection_waits) {
  Listener listener(loopback());
  const Socket client = Socket::connect_to(listener.local());
  for (const int reason : to_back_off) {
    accept_failures.next(reason, 1);
    EXPECT_EQ(reason_of([&] { const Socket peer = listener.accept(); }), reason);
  }
  EXPECT_EQ(listener.accept().peer(), client.local());
}

TEST(AcceptError, does_not_end_a_server_on_threads_unless_it_is_fatal) {
  log::set_level(log::Level::off);
  Listener listener(loopback());
  const std::string at = listener.local().to_string();
  auto end = std::async(std::launch::async, [&] {
    return reason_of([&] { serve_on_threads(listener, [](Socket& peer) { peer.send(peer.recv()); }); });
  });
  const auto ask = [&] {
    Socket client = Socket::connect_to(at, {.timeout = 10s});
    client.send("x");
    return client.recv().string();
  };
  EXPECT_EQ(ask(), "x");
  for (const int reason : {EPERM, ENONET, EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    // Above the number of immediate retries: the server backs off, too.
    accept_failures.next(reason, reason == EPERM ? accept_attempts_max + 1 : 1);
    EXPECT_EQ(ask(), "x") << reason;
  }
  accept_failures.next(EBADF, 1);
  const Socket last = Socket::connect_to(at);  // ends a call that may wait in the kernel; the next one fails
  EXPECT_EQ(end.get(), EBADF);
  log::set_level(log::Level::info);
}

}  // namespace accept_error_test
