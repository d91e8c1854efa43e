// The chat room on a network with every fault. Whatever happens to the others: a guest that stays receives all messages
// in the one order, including its own; a guest that leaves receives all up to then; and a guest that is disconnected
// received a prefix of them, and an error.
#include "services/chat/chat.hpp"

#include <gtest/gtest.h>

#include <list>
#include <map>
#include <ranges>

#include "coax/base/log.hpp"
#include "coax/stream/lines.hpp"
#include "coax/stream/memory.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/run.hpp"
#include "tests/support/server.hpp"

namespace chat_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view hub = "10.0.0.1";

enum class Fate : std::uint8_t { stays, leaves, is_cut_off, is_reset, vanishes, sleeps };

struct Guest {
  std::string nick;
  std::string host;
  Fate fate = Fate::stays;
  std::vector<std::string> said;  // lines as all guests should receive them
  std::string heard;
  std::string end;         // how receiving ended
  std::string server_end;  // how its handler ended
  Event news;
};

struct Plan {
  std::size_t guests = 6;
  std::size_t lines = 5;
  std::size_t padding = 0;
  std::vector<Fate> fates = {Fate::stays, Fate::leaves, Fate::is_cut_off, Fate::is_reset, Fate::vanishes};
  chat::ChatLimits limits = {.nick = 30s, .pause = 1s};
  Duration pause_before_the_end = 1s;
};

class Party {
 public:
  Party(SimNetwork& network, const Plan& plan) : network_(network), random_(network.random()), plan_(plan) {
    for (std::size_t number = 0; number < plan.guests; ++number) {
      Guest& guest = guests_.emplace_back();
      guest.nick = fmt::format("guest{}", number);
      guest.host = fmt::format("10.0.1.{}", number + 1);
      guest.fate = number == 0 ? Fate::stays : plan.fates[random_.below(plan.fates.size())];
    }
  }

  Task<> run();
  [[nodiscard]] std::ptrdiff_t thrown_out() const {
    return std::ranges::count(server_ends_ | std::views::values, "overloaded");
  }

 private:
  Task<> serve_until_all_is_said();
  Task<> keep_minutes();
  Task<> handle(Connection& connection);
  Task<> visit(Guest& guest);
  Task<> speak(Stream& stream, Guest& guest);
  Task<> hear(Stream& stream, Guest& guest);
  static Task<> until_heard(Guest& guest, std::string_view text);
  Task<> meet_fate(SocketStream& stream, Guest& guest);
  Task<> pause(Duration most) { co_await sleep(Duration(random_.below(static_cast<std::size_t>(most.count())))); }
  void check(const Guest& guest) const;

  SimNetwork& network_;
  SimRandom& random_;
  Plan plan_;
  chat::Rooms rooms_{std::make_shared<MemoryBus>()};
  std::list<Guest> guests_;
  std::map<std::string, std::string> server_ends_;  // by the host
  std::string minutes_;                             // all messages, in their order
  Outbox minutes_outbox_{{.bytes_max = 64_MiB}};
  std::optional<chat::Member> minute_taker_;
  std::size_t to_be_said_ = 0;  // by how many guests
  Event all_is_said_;
  std::size_t handlers_ = 0;
};

Task<> Party::run() {
  co_await rooms_.open();
  EXPECT_TRUE(co_await rooms_.lobby().join("minutes", minutes_outbox_, minute_taker_));
  co_await all(keep_minutes(), serve_until_all_is_said());
  minute_taker_.reset();
  for (const Guest& guest : guests_) check(guest);
  EXPECT_EQ(handlers_, 0U);
  EXPECT_EQ(rooms_.lobby().size(), 0U);
  EXPECT_EQ(network_.descriptors(hub), 0U);
  EXPECT_EQ(Loop::current().backend().buffers().lent(), 0U);
}

Task<> Party::serve_until_all_is_said() {
  ServeOptions options{.listen = fmt::format("{}:7777", hub)};
  options.on_drain = [this] {
    minute_taker_->retire();
    rooms_.drain();
  };
  Server server(std::move(options), [this](Connection& connection) { return handle(connection); });
  co_await server.address();
  TaskGroup visits;
  for (Guest& guest : guests_) {
    if (guest.fate <= Fate::is_cut_off) ++to_be_said_;
    visits.spawn(visit(guest));
  }
  co_await all_is_said_.wait();
  co_await pause(plan_.pause_before_the_end);
  const TimePoint begin = network_.now();
  EXPECT_EQ(co_await server.stop(), "cancelled");
  EXPECT_LE(network_.now() - begin, 11s);
  co_await visits.join();
}

Task<> Party::keep_minutes() {
  auto [near, far] = memory_stream_pair();
  const auto write = [this](Stream& stream) -> Task<> {
    co_await drain(minutes_outbox_, stream);
    co_await stream.shutdown_send();
  };
  const auto read = [this](Stream& stream) -> Task<> {
    while (const BytesView bytes = co_await stream.recv()) minutes_.append(bytes.text());
  };
  co_await all(write(*near), read(*far));
}

Task<> Party::handle(Connection& connection) {
  ++handlers_;
  const std::string host = connection.peer().ip();
  server_ends_[host] = "running";
  try {
    co_await chat::talk_lines(connection, rooms_, plan_.limits);
    server_ends_[host] = "done";
  } catch (const Cancelled&) {
    server_ends_[host] = "cancelled";
  } catch (const Error& error) {
    server_ends_[host] = to_string(error.kind());
    connection.set_reason(error.kind() == ErrorKind::overloaded ? CloseReason::overflow : CloseReason::disconnected);
  }
  --handlers_;
}

Task<> Party::visit(Guest& guest) {
  co_await pause(500ms);
  const auto stream = co_await coax::test::connect(network_, guest.host, *Endpoint::from_ip(hub, 7777));
  EXPECT_EQ(co_await stream->recv_exactly(4), "NICK");
  const std::string nick = guest.nick + "\n";
  co_await stream->send(nick);
  if (guest.fate == Fate::sleeps) {
    co_await pause(random_.chance(0.5) ? 10s : 30min);  // perhaps until long after the end
    co_return co_await hear(*stream, guest);
  }
  const auto speak_and_meet = [this](SocketStream& on, Guest& who) -> Task<> {
    try {
      co_await all(speak(on, who), meet_fate(on, who));
      if (who.fate <= Fate::is_cut_off && --to_be_said_ == 0) all_is_said_.set();
    } catch (const Error&) {  // the other direction reports it
    }
  };
  co_await all(hear(*stream, guest), speak_and_meet(*stream, guest));
}

Task<> Party::speak(Stream& stream, Guest& guest) {
  for (std::size_t number = 0; number < plan_.lines; ++number) {
    co_await pause(400ms);
    const std::string text = fmt::format("line {} of {}{}\n", number, guest.nick, std::string(plan_.padding, '.'));
    co_await stream.send(text);
    co_await stream.flush();
    guest.said.push_back(fmt::format("{}: {}", guest.nick, text));
  }
  if (guest.fate > Fate::is_cut_off) co_return;
  if (guest.fate == Fate::leaves) co_await stream.shutdown_send();
  co_await until_heard(guest, guest.said.back());
}

Task<> Party::until_heard(Guest& guest, std::string_view text) {
  while (!guest.heard.contains(text)) {
    guest.news.clear();
    co_await guest.news.wait();
  }
}

Task<> Party::hear(Stream& stream, Guest& guest) {
  const auto read = [](Stream& from, Guest& who) -> Task<> {
    while (const BytesView bytes = co_await from.recv()) {
      who.heard.append(bytes.text());
      who.news.set();
    }
  };
  // a guest whose connection vanished receives no more
  guest.end = co_await outcome(timeout(30min, read(stream, guest)));
}

Task<> Party::meet_fate(SocketStream& stream, Guest& guest) {
  if (guest.fate == Fate::stays || guest.fate == Fate::leaves) co_return;
  if (guest.fate == Fate::is_cut_off) co_await until_heard(guest, "joined");
  co_await pause(2s);
  if (guest.fate == Fate::is_reset) network_.reset(stream.local());
  if (guest.fate == Fate::vanishes) network_.vanish(stream.local());
  if (guest.fate != Fate::is_cut_off) co_return;
  network_.partition(guest.host);
  co_await pause(12s);
  network_.heal();
}

void Party::check(const Guest& guest) const {
  SCOPED_TRACE(fmt::format("{}, fate {}: {}", guest.nick, std::to_underlying(guest.fate), guest.end));
  const std::size_t begin = minutes_.find(guest.nick + " joined the chat!\n");
  if (begin == std::string::npos) {  // it was lost on its way to the server
    EXPECT_EQ(guest.heard, "");
    EXPECT_GT(guest.fate, Fate::is_cut_off);
    return;
  }
  EXPECT_EQ(minutes_.compare(begin, guest.heard.size(), guest.heard), 0) << "no gap, no other order";
  std::size_t at = begin;
  std::size_t lines_in_order = 0;
  for (const std::string& line : guest.said) {
    at = minutes_.find(line, at);
    if (at == std::string::npos) break;
    ++lines_in_order;
    EXPECT_EQ(minutes_.find(line, at + 1), std::string::npos) << "said once";
  }
  const std::string_view after = std::string_view(minutes_).substr(begin);
  const std::string& server_end = server_ends_.at(guest.host);
  if (guest.fate == Fate::stays || guest.fate == Fate::is_cut_off) {
    EXPECT_EQ(guest.heard, after);
  } else if (guest.fate == Fate::leaves) {
    EXPECT_EQ(guest.heard, after.substr(0, after.find(guest.nick + " left the chat!\n")));
  } else if (guest.fate == Fate::sleeps) {
    // Without an error it received everything, or the unread rest was cut when the time to drain had passed.
    EXPECT_TRUE(server_end == "overloaded" || server_end == "cancelled" || server_end == "done") << server_end;
    if (server_end == "overloaded") EXPECT_LT(guest.heard.size(), after.size());
  }
  if (guest.fate > Fate::is_cut_off) return;
  EXPECT_EQ(guest.end, "done");
  EXPECT_EQ(server_end, "done");
  EXPECT_EQ(lines_in_order, plan_.lines);
}

// Bad for packets, not so bad that a connection is lost.
SimConditions weather(SimRandom& random) {
  return {.latency_min = 1ms,
          .latency_max = std::chrono::milliseconds(1 + random.below(80)),
          .short_reads = random.chance(0.5) ? 0.5 : 0,
          .short_writes = random.chance(0.5) ? 0.5 : 0,
          .window_bytes = random.chance(0.3) ? 1 + random.below(2000) : 64_KiB};
}

class SimChat : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::off); }
  void TearDown() override { log::set_level(log::Level::info); }
};

}  // namespace

TEST_F(SimChat, a_guest_that_stays_receives_all_in_one_order) {
  const auto body = [](SimNetwork& network) -> Task<> {
    network.set_conditions(weather(network.random()));
    Party party(network, {});
    co_await party.run();
  };
  for_each_seed(200, body, {.has_failed = ::testing::Test::HasFailure});
}

TEST_F(SimChat, a_guest_that_does_not_read_is_disconnected_alone) {
  std::ptrdiff_t thrown_out = 0;
  const auto body = [&](SimNetwork& network) -> Task<> {
    network.set_conditions({.latency_max = 5ms, .short_reads = 0.2, .short_writes = 0.2, .window_bytes = 2000});
    Party party(network, {.guests = 8,
                          .lines = 30,
                          .padding = 100,
                          .fates = {Fate::stays, Fate::leaves, Fate::is_reset, Fate::sleeps},
                          .limits = {.outbox_bytes_max = 3000, .nick = 30s, .pause = 1s},
                          .pause_before_the_end = 30s});
    co_await party.run();
    thrown_out += party.thrown_out();
  };
  for_each_seed(200, body, {.has_failed = ::testing::Test::HasFailure});
  if (!seed_from_environment()) EXPECT_GT(thrown_out, 0);
}

}  // namespace chat_test
