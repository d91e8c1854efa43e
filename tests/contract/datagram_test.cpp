// The contract of datagram transports on every back-end.
#include "coax/net/names.hpp"
#include "tests/support/datagrams.hpp"

namespace datagram_test {

using namespace coax;
using namespace coax::test;

namespace {

const Address loopback = *Endpoint::parse("127.0.0.1:0");

// A port without a receiver.
Address nowhere() {
  const DatagramTransport gone(loopback);
  return gone.local();
}

// Datagrams are received one by one, however they were joined.
Task<> expect_the_same(std::vector<std::string> texts) {
  DatagramTransport near(loopback);
  DatagramTransport far(loopback);
  co_await send_all_to(near, texts, far.local());
  const std::vector<std::string> got = co_await recv_texts(far, texts.size());
  EXPECT_EQ(got, texts);
}

Task<> echo(DatagramTransport& transport) {
  while (true) {
    const Datagram datagram = co_await transport.recv_from();
    co_await transport.reply(datagram, datagram.bytes);
  }
}

Task<> ask(DatagramTransport& transport, const std::vector<std::string>& questions, const Address& whom) {
  co_await send_all_to(transport, questions, whom);
  const std::vector<std::string> answers = co_await recv_texts(transport, questions.size());
  EXPECT_EQ(answers, questions);
}

}  // namespace

// --- datagrams ---

TEST(Datagrams, one_arrives_complete_with_its_sender) {
  run([]() -> Task<> {
    DatagramTransport near(loopback);
    DatagramTransport far("127.0.0.1:0");
    co_await near.send_to("hello", far.local());
    const Datagram datagram = co_await far.recv_from();
    EXPECT_EQ(datagram.bytes.text(), "hello");
    EXPECT_EQ(datagram.from, near.local());
    EXPECT_EQ(datagram.length, 5U);
    co_await far.send_to("and back", datagram.from);
    const Datagram answer = co_await near.recv_from();
    EXPECT_EQ(answer.bytes.text(), "and back");
    EXPECT_EQ(answer.from, far.local());
  });
}

// A connected client accepts answers only from its peer.
Task<> expect_answers_from(std::string_view wildcard, std::string_view asked) {
  DatagramTransport server(wildcard);
  const Address there = *Endpoint::from_ip(asked, server.local().endpoint().port());
  DatagramTransport client = DatagramTransport::connect(there);
  const auto talk = [](DatagramTransport& from) -> Task<> {
    for (const std::string& text :
         {std::string("one"), std::string(1000, 'x'), std::string(1000, 'y'), std::string()}) {
      co_await from.send(text);
      const Datagram answer = co_await from.recv_from();
      EXPECT_EQ(answer.bytes.text(), text);
    }
    for (int count = 0; count < 3; ++count) co_await from.send("joined");  // one message on the way back
    for (int count = 0; count < 3; ++count) EXPECT_EQ((co_await from.recv_from()).bytes.text(), "joined");
  };
  co_await race(talk(client), echo(server));
}

TEST(Datagrams, reply_leaves_from_the_address_that_was_asked) {
  COAX_NEEDS_KERNEL();
  for (const std::string_view asked : {"127.0.0.1", "127.0.0.2", "127.255.0.3"}) {
    run([=] { return expect_answers_from("0.0.0.0:0", asked); });
    run([=] { return expect_answers_from("[::]:0", asked); });
  }
  run([] { return expect_answers_from("[::]:0", "::1"); });
  run([] { return expect_answers_from("127.0.0.2:0", "127.0.0.2"); });
}

TEST(Datagrams, on_a_wildcard_reports_the_local_address) {
  run([]() -> Task<> {
    DatagramTransport server("0.0.0.0:0");
    DatagramTransport client(loopback);
    co_await client.send_to("x", *Endpoint::from_ip("127.0.0.1", server.local().endpoint().port()));
    const Datagram datagram = co_await server.recv_from();
    EXPECT_EQ(datagram.to, *Endpoint::from_ip("127.0.0.1", 0));
    co_await server.reply(datagram, "y");
    EXPECT_EQ((co_await client.recv_from()).to.family(), Endpoint::Family::none) << "it is bound to one address";
  });
}

TEST(Datagrams, one_that_is_empty_is_one) {
  run([] { return expect_the_same({"", "", "x", "", "xx", "x", ""}); });
}

TEST(Datagrams, one_that_is_longer_than_asked_for_is_cut_and_says_so) {
  run([]() -> Task<> {
    DatagramTransport near(loopback);
    DatagramTransport far(loopback);
    for (const std::string_view text : {"abcdef", "abcdef", "next"}) co_await near.send_to(text, far.local());
    for (const std::size_t most : {3UZ, 0UZ}) {
      const Datagram datagram = co_await far.recv_from(most);
      EXPECT_EQ(datagram.bytes.text(), std::string_view("abcdef").substr(0, most));
      EXPECT_EQ(datagram.length, 6U);
      EXPECT_TRUE(datagram.truncated());
    }
    EXPECT_EQ((co_await far.recv_from()).bytes.text(), "next");
  });
}

TEST(Datagrams, the_longest_passes_and_a_longer_one_fails_at_once) {
  run([]() -> Task<> {
    DatagramTransport near(loopback);
    DatagramTransport far(loopback);
    const std::string longest(65507, 'd');
    const std::string to = far.local().to_string();
    EXPECT_EQ(co_await text_of_error(near.send_to(longest + "d", far.local())),
              "send to " + to + ": Message too long; a datagram has at most 65,507 bytes over IPv4, 65,527 over IPv6");
    co_await near.send_to(longest, far.local());
    EXPECT_EQ((co_await far.recv_from()).bytes.text(), longest);
    EXPECT_EQ(near.undelivered(), 0U);
  });
}

TEST(Datagrams, ten_thousand_go_through_batches_each_with_its_own_content) {
  run([]() -> Task<> {
    DatagramTransport near(loopback);
    DatagramTransport far(loopback);
    for (std::size_t number = 0; number < 10'000;) {
      std::vector<std::string> texts;
      while (texts.size() != 100) texts.push_back(numbered(number++));
      co_await send_all_to(near, texts, far.local());
      const std::vector<std::string> got = co_await recv_texts(far, texts.size());
      EXPECT_EQ(got, texts);
    }
  });
}

TEST(Datagrams, joined_datagrams_are_received_one_by_one) {
  const auto repeat = [](std::size_t count, std::size_t bytes) {
    std::vector<std::string> texts;
    for (std::size_t number = 0; number != count; ++number) {
      texts.emplace_back(bytes, static_cast<char>('!' + (texts.size() + bytes) % 90));
    }
    return texts;
  };
  const auto together = [](std::vector<std::vector<std::string>> runs) {
    std::vector<std::string> all;
    for (const auto& each : runs) all.insert(all.end(), each.begin(), each.end());
    return all;
  };
  const std::vector<std::vector<std::string>> cases{
      repeat(2, 1),
      repeat(63, 100),
      repeat(64, 100),  // the maximum of one message
      repeat(65, 100),  // one more
      repeat(129, 100),
      repeat(54, 1200),                                            // 64,800 bytes
      repeat(55, 1200),                                            // 66,000: above the maximum of one message
      repeat(2, 32'753),                                           // 65,506
      repeat(2, 32'754),                                           // 65,508
      together({repeat(5, 100), repeat(1, 99), repeat(5, 100)}),   // a shorter one ends a run
      together({repeat(5, 100), repeat(1, 101), repeat(5, 100)}),  // a longer one begins another
      together({repeat(3, 100), repeat(1, 0), repeat(3, 100), repeat(2, 0)}),
      together({repeat(1, 100), repeat(1, 50), repeat(1, 50), repeat(1, 50), repeat(1, 100)}),
      repeat(1, 65'507),
  };
  run([&]() -> Task<> {
    for (const auto& texts : cases) co_await expect_the_same(texts);
  });
}

TEST(Datagrams, those_to_several_peers_keep_apart) {
  run([]() -> Task<> {
    DatagramTransport near(loopback);
    std::vector<std::unique_ptr<DatagramTransport>> peers;
    while (peers.size() != 5) peers.push_back(std::make_unique<DatagramTransport>(loopback));
    for (std::size_t number = 0; number != 100; ++number) {
      const std::string text = fmt::format("{:03}", number);
      co_await near.send_to(text, peers[number % 7 % 5]->local());
    }
    for (std::size_t number = 0; number != 100; ++number) {
      const Datagram datagram = co_await peers[number % 7 % 5]->recv_from();
      EXPECT_EQ(datagram.bytes.text(), fmt::format("{:03}", number));
    }
  });
}

TEST(Datagrams, an_echo_answers_all_that_ask) {
  run([]() -> Task<> {
    DatagramTransport server(loopback);
    DatagramTransport one(loopback);
    DatagramTransport two(loopback);
    std::vector<std::string> first;
    std::vector<std::string> second;
    while (first.size() != 50) {
      first.push_back(numbered(first.size()));
      second.push_back(numbered(1000 + second.size()));
    }
    const Address at = server.local();
    co_await race(echo(server), all(ask(one, first, at), ask(two, second, at)));
  });
}

TEST(Datagrams, what_was_sent_leaves_at_the_end_of_the_turn) {
  run([]() -> Task<> {
    DatagramTransport near(loopback);
    DatagramTransport far(loopback);
    std::string end;
    TaskGroup group;
    group.spawn(observe_recv_from(far, end));
    co_await next_turn();
    co_await near.send_to("x", far.local());
    EXPECT_EQ(end, "");
    co_await until([&] { return end == "done"; });
    co_await group.join();
  });
}

TEST(Datagrams, many_that_wait_do_not_keep_others_from_their_turn) {
  run([]() -> Task<> {
    DatagramTransport near(loopback);
    DatagramTransport far(loopback);
    std::vector<std::string> texts;
    while (texts.size() != 200) texts.emplace_back(texts.size() + 1, 'x');  // none is joined
    co_await send_all_to(near, texts, far.local());
    co_await near.flush();
    co_await recv_texts(far, 1);  // on a simulated network: until all have arrived
    co_await sleep(std::chrono::milliseconds(1));
    std::vector<TimePoint> turns;
    for (int count = 1; count < 200; ++count) {
      co_await recv_texts(far, 1);
      const TimePoint turn = Loop::current().now();
      if (turns.empty() || turns.back() != turn) turns.push_back(turn);
    }
    EXPECT_GE(turns.size(), 3U) << "a batch has 32, and a turn two";
  });
}

// --- errors ---

TEST(Datagrams, without_a_receiver_a_connected_one_names_the_peer) {
  run([]() -> Task<> {
    const Address to = nowhere();
    DatagramTransport near = DatagramTransport::connect(to);
    EXPECT_EQ(near.peer(), to);
    co_await near.send("anybody?");
    EXPECT_EQ(co_await text_of_error(near.recv_from()), "recv from " + to.to_string() + ": Connection refused");
    DatagramTransport far(to);  // now there is a receiver
    co_await near.send("and now?");
    const Datagram datagram = co_await far.recv_from();
    EXPECT_EQ(datagram.bytes.text(), "and now?");
    co_await far.send_to("yes", datagram.from);
    EXPECT_EQ((co_await near.recv_from()).bytes.text(), "yes");
  });
}

TEST(Datagrams, an_error_is_thrown_by_send_too_and_only_once) {
  run([]() -> Task<> {
    const Address to = nowhere();
    DatagramTransport near = DatagramTransport::connect(to);
    std::string told;
    while (told.empty()) {  // the ICMP error arrives a moment later
      const std::string text = co_await text_of_error(near.send("anybody?"));
      if (text != "none") told = text;
      co_await next_turn();
    }
    EXPECT_EQ(told, "send to " + to.to_string() + ": Connection refused");
  });
}

TEST(Datagrams, an_earlier_error_does_not_drop_the_next_one) {
  run([]() -> Task<> {
    const Address to = nowhere();
    DatagramTransport near = DatagramTransport::connect(to);
    co_await near.send("anybody?");
    co_await near.flush();
    co_await sleep(std::chrono::milliseconds(1));
    DatagramTransport far(to);
    co_await near.send("and now?");
    EXPECT_EQ(co_await outcome(near.flush()), "refused") << "of the first";
    EXPECT_EQ((co_await far.recv_from()).bytes.text(), "and now?");
    EXPECT_EQ(near.undelivered(), 0U);
  });
}

TEST(Datagrams, an_unconnected_one_gets_no_error_without_a_receiver) {
  run([]() -> Task<> {
    DatagramTransport near(loopback);
    DatagramTransport far(loopback);
    co_await near.send_to("anybody?", nowhere());
    co_await near.send_to("hello", far.local());
    EXPECT_EQ((co_await far.recv_from()).bytes.text(), "hello");
    co_await far.send_to("hello", near.local());
    EXPECT_EQ((co_await near.recv_from()).bytes.text(), "hello");
    EXPECT_EQ(near.undelivered(), 0U);
  });
}

TEST(Datagrams, what_cannot_be_sent_to_one_disturbs_no_other_and_is_counted) {
  run([]() -> Task<> {
    DatagramTransport near(loopback);
    DatagramTransport far(loopback);
    const Address port_zero = *Endpoint::parse("127.0.0.1:0");  // sending to it fails
    std::vector<std::string> texts;
    for (std::size_t number = 0; number != 30; ++number) {
      texts.push_back(fmt::format("{:02}", number));
      if (number % 3 == 0) co_await near.send_to("lost", port_zero);
      if (number % 10 == 0) co_await near.send_to("lost", port_zero);  // joined with the previous one
      co_await near.send_to(texts.back(), far.local());
    }
    const std::vector<std::string> got = co_await recv_texts(far, texts.size());
    EXPECT_EQ(got, texts);
    EXPECT_EQ(near.undelivered(), 13U);
    EXPECT_EQ(co_await text_of_error(near.flush()), "send to 127.0.0.1:0: Invalid argument");
    EXPECT_EQ(co_await outcome(near.flush()), "done") << "it was reported";
  });
}

TEST(Datagrams, calls_that_can_never_work_fail_at_once_and_say_what_to_do) {
  run([]() -> Task<> {
    DatagramTransport near(loopback);
    DatagramTransport far(loopback);
    DatagramTransport connected = DatagramTransport::connect(far.local());
    const std::string to = far.local().to_string();
    EXPECT_EQ(co_await text_of_error(near.send("x")),
              "send to: Destination address required; name the receiver with send_to(), or connect");
    EXPECT_EQ(co_await text_of_error(connected.send_to("x", far.local())),
              "send to " + to + ": Transport endpoint is already connected; it is connected: use send()");
    EXPECT_EQ(co_await text_of_error(near.send_to("x", *Endpoint::parse("[::1]:9"))),
              "send to [::1]:9: Address family not supported by protocol; the socket is of another family");
    EXPECT_EQ(near.undelivered(), 0U);
    near.close();
    EXPECT_EQ(co_await text_of_error(near.send_to("x", far.local())),
              "send to " + to + ": Bad file descriptor; it was closed");
    EXPECT_EQ(co_await outcome(near.recv_from()), "invalid");
    EXPECT_EQ(co_await outcome(near.flush()), "invalid");
  });
}

TEST(Datagrams, what_is_no_address_or_taken_is_refused_with_advice) {
  run([]() -> Task<> {
    EXPECT_EQ(
        text_of([] { DatagramTransport("example.org:53"); }),
        "receive at example.org:53: give ADDRESS:PORT, an IPv6 address as [ADDRESS]:PORT, or unix:PATH; a name has to "
        "go through look_up()");
    const DatagramTransport first(loopback);
    EXPECT_EQ(text_of([&] { DatagramTransport(first.local()); }),
              "receive at " + first.local().to_string() +
                  ": Address already in use; another program listens there: stop it or choose another port");
    EXPECT_EQ(text_of([] { DatagramTransport::connect(Address()); }), "connect: no address to connect to");
    EXPECT_EQ(co_await text_of_error(connect_datagrams("localhost")),
              "connect to localhost: give HOST:PORT, an IPv6 address as [ADDRESS]:PORT");
  });
}

TEST(Datagrams, only_the_peer_of_a_connected_one_is_heard) {
  run([]() -> Task<> {
    DatagramTransport peer(loopback);
    DatagramTransport other(loopback);
    const auto near = co_await connect_datagrams(peer.local().to_string());
    co_await other.send_to("from another", near->local());
    co_await other.flush();
    co_await peer.send_to("from the peer", near->local());
    EXPECT_EQ((co_await near->recv_from()).bytes.text(), "from the peer");
  });
}

// --- waiting ---

TEST(Datagrams, a_cancelled_receive_loses_no_datagram) {
  run([]() -> Task<> {
    DatagramTransport near(loopback);
    DatagramTransport far(loopback);
    for (std::size_t turns = 0; turns != 8; ++turns) {
      const std::string text = numbered(turns);
      struct Victim {
        static Task<> wait(DatagramTransport& transport, std::string& what) {
          what = (co_await transport.recv_from()).bytes.string();
        }
      };
      co_await near.send_to(text, far.local());
      std::string got;
      co_await race(Victim::wait(far, got), wait_turns(turns));
      if (got.empty()) got = (co_await recv_texts(far, 1)).front();
      EXPECT_EQ(got, text) << "cancelled after " << turns << " turns";
    }
  });
}

TEST(Datagrams, close_ends_waiting_tasks) {
  run([]() -> Task<> {
    DatagramTransport near(loopback);
    std::string end;
    TaskGroup group;
    group.spawn(observe_recv_from(near, end));
    for (int turn = 0; turn != 3; ++turn) co_await next_turn();
    near.close();
    co_await group.join();
    EXPECT_EQ(end, "invalid");
  });
}

TEST(Datagrams, what_is_queued_leaves_when_it_is_closed) {
  run([]() -> Task<> {
    DatagramTransport far(loopback);
    {
      DatagramTransport near(loopback);
      co_await near.send_to("last words", far.local());
    }
    EXPECT_EQ((co_await far.recv_from()).bytes.text(), "last words");
  });
}

TEST(Datagrams, a_second_receiver_throws) {
  run([]() -> Task<> {
    DatagramTransport near(loopback);
    std::string end;
    TaskGroup group;
    group.spawn(observe_recv_from(near, end));
    for (int turn = 0; turn != 3; ++turn) co_await next_turn();
    EXPECT_NE(co_await outcome(near.recv_from()), "done");
    EXPECT_EQ(end, "");
    co_await near.send_to("x", near.local());
    co_await group.join();
    EXPECT_EQ(end, "done");
  });
}

// --- addresses ---

TEST(Datagrams, a_wildcard_of_both_families_hears_and_reaches_ipv4) {
  run([]() -> Task<> {
    DatagramTransport server(":0");
    DatagramTransport client(loopback);
    const Address at = *Endpoint::from_ip("127.0.0.1", server.local().endpoint().port());
    co_await client.send_to("four", at);
    const Datagram datagram = co_await server.recv_from();
    EXPECT_EQ(datagram.from.endpoint().unmapped(), client.local().endpoint());
    co_await server.send_to("as it came", datagram.from);
    EXPECT_EQ((co_await client.recv_from()).bytes.text(), "as it came");
    co_await server.send_to("as it is", client.local());
    const Datagram answer = co_await client.recv_from();
    EXPECT_EQ(answer.bytes.text(), "as it is");
    EXPECT_EQ(answer.from, at);
  });
}

TEST(Datagrams, a_peer_is_connected_to_by_its_name) {
  run([]() -> Task<> {
    DatagramTransport server(":0");
    const auto client = co_await connect_datagrams(fmt::format("localhost:{}", server.local().endpoint().port()));
    co_await client->send("by name");
    const Datagram datagram = co_await server.recv_from();
    EXPECT_EQ(datagram.bytes.text(), "by name");
    co_await server.send_to("back", datagram.from);
    EXPECT_EQ((co_await client->recv_from()).bytes.text(), "back");
    EXPECT_EQ(co_await outcome(connect_datagrams("no.such.name.invalid:53")), "address");
  });
}

TEST(Datagrams, over_ipv6_as_over_ipv4) {
  run([]() -> Task<> {
    DatagramTransport server("[::1]:0");
    const auto client = co_await connect_datagrams(server.local().to_string());
    for (int number = 0; number != 3; ++number) co_await client->send("six");
    for (int number = 0; number != 3; ++number) {
      const Datagram datagram = co_await server.recv_from();
      EXPECT_EQ(datagram.from, client->local());
      co_await server.send_to(datagram.bytes, datagram.from);
    }
    const std::vector<std::string> got = co_await recv_texts(*client, 3);
    EXPECT_EQ(got, std::vector<std::string>(3, "six"));
  });
}

TEST(Datagrams, sockets_that_share_a_port_share_the_peers) {
  run([]() -> Task<> {
    DatagramTransport one(loopback, {.reuse_port = true});
    DatagramTransport two(one.local(), {.reuse_port = true});
    EXPECT_EQ(one.local(), two.local());
    EXPECT_THROW(DatagramTransport(one.local()), Error);
    DatagramTransport client(loopback);
    std::string first;
    std::string second;
    TaskGroup group;
    group.spawn(observe_recv_from(one, first));
    group.spawn(observe_recv_from(two, second));
    co_await client.send_to("x", one.local());
    co_await until([&] { return !first.empty() || !second.empty(); });
    EXPECT_NE(first, second) << "one of them has it";
    group.cancel();
    co_await group.join();
  });
}

// --- groups ---

TEST(Datagrams, a_member_receives_datagrams_to_the_group) {
  run([]() -> Task<> {
    const unsigned interface = interface_index("lo");
    const Endpoint group = *Endpoint::from_ip("224.1.1.1", 0);
    DatagramTransport member("0.0.0.0:0", {.reuse_address = true});
    DatagramTransport other(member.local(), {.reuse_address = true});
    DatagramTransport near(loopback);
    near.set_multicast_interface(interface);
    near.set(options::multicast_ttl, 1);
    near.set(options::multicast_loop, true);
    const Address to = *Endpoint::from_ip("224.1.1.1", member.local().endpoint().port());
    for (DatagramTransport* each : {&member, &other}) each->join(group, interface);
    co_await near.send_to("to all", to);
    for (DatagramTransport* each : {&member, &other}) {
      EXPECT_EQ((co_await each->recv_from()).bytes.text(), "to all");
    }
    EXPECT_THROW(member.join(group, interface), Error) << "it is a member already";
    member.leave(group, interface);
    EXPECT_EQ(text_of([&] { member.leave(group, interface); }).substr(0, 14), "leave a group ");
    co_await near.send_to("to the other member", to);
    EXPECT_EQ((co_await other.recv_from()).bytes.text(), "to the other member");
  });
}

TEST(Datagrams, of_one_source_only_that_one_is_heard) {
  run([]() -> Task<> {
    const unsigned interface = interface_index("lo");
    const Endpoint group = *Endpoint::from_ip("232.1.1.1", 0);
    DatagramTransport member("0.0.0.0:0");
    member.join(group, interface, Endpoint::from_ip("127.0.0.2", 0));
    const Address to = *Endpoint::from_ip("232.1.1.1", member.local().endpoint().port());
    for (const char* from : {"127.0.0.3:0", "127.0.0.2:0"}) {
      DatagramTransport near(from);
      near.set_multicast_interface(interface);
      co_await near.send_to(std::string_view(from), to);
      co_await near.flush();
    }
    EXPECT_EQ((co_await member.recv_from()).bytes.text(), "127.0.0.2:0");
    member.leave(group, interface, Endpoint::from_ip("127.0.0.2", 0));
  });
}

TEST(Datagrams, broadcast_needs_its_option) {
  run([]() -> Task<> {
    DatagramTransport far("0.0.0.0:0");
    // On a real loopback interface the broadcast address of its network; a simulated network has only the other one.
    const char* const everybody = on_sim() ? "255.255.255.255" : "127.255.255.255";
    const Address to = *Endpoint::from_ip(everybody, far.local().endpoint().port());
    DatagramTransport careful(loopback);
    co_await careful.send_to("by mistake", to);
    EXPECT_EQ(co_await outcome(careful.flush()), "permission");
    DatagramTransport loud(loopback, {.broadcast = true});
    co_await loud.send_to("to everybody", to);
    EXPECT_EQ((co_await far.recv_from()).bytes.text(), "to everybody");
  });
}

}  // namespace datagram_test
