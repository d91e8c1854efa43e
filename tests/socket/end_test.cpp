// How connections end: half, both ways, by another thread, with a reset.
#include <thread>

#include "coax/socket/line_reader.hpp"
#include "tests/support/blocking.hpp"

namespace end_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

TEST(Shutdown, sh01_after_finish_the_peer_reads_the_end_and_may_still_send) {
  ConnectedSockets pair = connected_sockets();
  pair.near.shutdown_send();
  EXPECT_TRUE(pair.far.recv().empty());
  pair.far.send("still here");
  EXPECT_EQ(pair.near.recv_exactly(10), "still here");
}

TEST(Shutdown, sh02_after_shutdown_of_receiving_recv_returns_the_end) {
  ConnectedSockets pair = connected_sockets();
  pair.near.shutdown(Shutdown::receiving);
  EXPECT_TRUE(pair.near.recv().empty());
}

TEST(Shutdown, sh03_needs_a_connection_and_a_side) {
  EXPECT_EQ(reason_of([] { Socket().shutdown_send(); }), ENOTCONN);
  ConnectedSockets pair = connected_sockets();
  EXPECT_EQ(reason_of([&] { pair.near.shutdown(static_cast<Shutdown>(7)); }), EINVAL);
}

TEST(Shutdown, sh04_from_another_thread_it_wakes_a_recv_with_the_end) {
  ConnectedSockets pair = connected_sockets();
  pair.near.set_blocking(true);
  const std::jthread receiver([&] { EXPECT_TRUE(pair.near.recv().empty()); });
  pair.near.shutdown(Shutdown::both);
}

TEST(Shutdown, sh05_of_a_listener_it_wakes_an_accept_with_an_error) {
  Listener listener = listener_on_loopback();
  listener.set_blocking(true);
  const std::jthread acceptor([&] { EXPECT_EQ(reason_of([&] { static_cast<void>(listener.accept()); }), EINVAL); });
  listener.shutdown(Shutdown::both);
}

TEST(Shutdown, sh06_with_linger_0_close_resets) {
  ConnectedSockets pair = connected_sockets();
  pair.near.set(options::linger{.time = 0s});
  EXPECT_EQ(pair.near.get_linger().time, Duration(0s));
  pair.near.close();
  EXPECT_EQ(reason_of([&] { pair.far.recv(); }), ECONNRESET);
}

// A reader borrows its socket; one that has to outlive it gets a copy.
TEST(Shutdown, sh07_a_connection_ends_when_all_its_copies_are_closed) {
  ConnectedSockets pair = connected_sockets();
  Socket copy = pair.near.dup();
  LineReader lines(copy);
  pair.near.close();
  pair.far.send("line\n");
  EXPECT_EQ(lines.next()->text(), "line");
  EXPECT_EQ(wait_for(pair.far, Events::readable, 0ms), Events::none);
  copy.close();
  EXPECT_TRUE(pair.far.recv().empty());
}

}  // namespace end_test
