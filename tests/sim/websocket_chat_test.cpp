// The chat room over WebSocket on a network with every fault, as in chat_test.cpp for lines: a guest that stays
// receives all messages in the one order, each of its own once, and the end of the hub as close code 1001.
#include <gtest/gtest.h>

#include <list>
#include <ranges>

#include "coax/base/log.hpp"
#include "coax/codec/websocket.hpp"
#include "coax/http/app.hpp"
#include "coax/http/websocket.hpp"
#include "coax/test/sim.hpp"
#include "services/chat/chat.hpp"
#include "tests/support/run.hpp"
#include "tests/support/server.hpp"

namespace websocket_chat_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view hub = "10.0.0.1";
constexpr std::size_t lines = 5;  // sent by each guest

enum class Fate : std::uint8_t { stays, leaves, is_cut_off, is_reset, vanishes };

struct Guest {
  std::string nick;
  std::string host;
  Fate fate = Fate::stays;
  std::vector<std::string> heard;  // after the welcome
  std::uint16_t closed_with = 0;
  std::string end;  // how receiving ended
  Event news;
};

// One event of the room, as all guests receive it.
bool is_joining(const std::string& event, const Guest& guest) {
  return event.starts_with(R"({"type":"joined")") && event.ends_with(fmt::format(R"("nick":"{}"}})", guest.nick));
}
bool is_leaving(const std::string& event, const Guest& guest) {
  return event.starts_with(R"({"type":"left")") && event.ends_with(fmt::format(R"("nick":"{}"}})", guest.nick));
}
std::string end_of_message(const Guest& guest, std::size_t number) {
  return fmt::format(R"("nick":"{0}","text":"line {1} of {0}"}})", guest.nick, number);
}

class Party {
 public:
  explicit Party(SimNetwork& network) : network_(network), random_(network.random()) {
    for (std::size_t number = 0; number < 6; ++number) {
      Guest& guest = guests_.emplace_back();
      guest.nick = fmt::format("guest{}", number);
      guest.host = fmt::format("10.0.1.{}", number + 1);
      guest.fate = number == 0 ? Fate::stays : static_cast<Fate>(random_.below(5));
    }
  }
  Task<> run();

 private:
  Task<> visit(Guest& guest);
  Task<> enter(Stream& stream, const Guest& guest);
  Task<> hear(Stream& stream, Guest& guest);
  Task<> take(Stream& stream, Guest& guest, ws::MessageDecoder& decoder);
  Task<> speak(Stream& stream, Guest& guest);
  Task<> meet_fate(SocketStream& stream, Guest& guest);
  Task<> send(Stream& stream, ws::Opcode opcode, std::string payload);
  Task<> pause(Duration most) { co_await sleep(Duration(random_.below(static_cast<std::size_t>(most.count())))); }
  static Task<> until_heard(Guest& guest, std::string end);
  void check(const Guest& guest) const;

  SimNetwork& network_;
  SimRandom& random_;
  chat::ChatLimits limits_{.nick = 30s};
  chat::Rooms rooms_{std::make_shared<MemoryBus>()};
  std::list<Guest> guests_;     // the first joins before all others and stays, so it receives everything
  std::size_t to_be_said_ = 0;  // by how many guests
  Event all_is_said_;
};

Task<> Party::run() {
  co_await rooms_.open();
  http::App app;
  app.websocket("/ws", [this](ws::WebSocket& socket, Connection& connection) {
    return chat::talk_json(socket, connection, rooms_, limits_);
  });
  ServeOptions options{.listen = fmt::format("{}:8080", hub)};
  options.on_drain = [this] { rooms_.drain(); };
  Server server(std::move(options), http::handler(std::move(app)));
  co_await server.address();
  TaskGroup visits;
  for (Guest& guest : guests_) {
    if (guest.fate <= Fate::is_cut_off) ++to_be_said_;
    visits.spawn(visit(guest));
    if (&guest == &guests_.front()) co_await until_heard(guest, R"("nick":"guest0"})");
  }
  co_await all_is_said_.wait();
  co_await pause(1s);
  const TimePoint begin = network_.now();
  EXPECT_EQ(co_await server.stop(), "cancelled");
  EXPECT_LE(network_.now() - begin, 11s);
  co_await visits.join();
  for (const Guest& guest : guests_) check(guest);
  EXPECT_EQ(rooms_.lobby().size(), 0U);
  EXPECT_EQ(network_.descriptors(hub), 0U);
  EXPECT_EQ(Loop::current().backend().buffers().lent(), 0U);
}

Task<> Party::visit(Guest& guest) {
  co_await pause(500ms);
  const auto stream = co_await coax::test::connect(network_, guest.host, *Endpoint::from_ip(hub, 8080));
  co_await enter(*stream, guest);
  const auto speak_and_meet = [this](SocketStream& on, Guest& who) -> Task<> {
    try {
      co_await all(speak(on, who), meet_fate(on, who));
      if (who.fate <= Fate::is_cut_off && --to_be_said_ == 0) all_is_said_.set();
    } catch (const Error&) {  // the other direction reports it
    }
  };
  co_await all(hear(*stream, guest), speak_and_meet(*stream, guest));
}

// The handshake (RFC 6455, section 4), and joining the room.
Task<> Party::enter(Stream& stream, const Guest& guest) {
  std::array<std::uint8_t, 16> nonce{};
  for (std::uint8_t& byte : nonce) byte = static_cast<std::uint8_t>(random_.next());
  const std::string key = ws::client_key(nonce);
  std::string request;
  ws::append_upgrade_request(request, fmt::format("{}:8080", hub), "/ws", key);
  co_await stream.send(request);
  std::string head;
  while (!head.ends_with("\r\n\r\n")) head += co_await stream.recv_exactly(1);
  EXPECT_TRUE(head.starts_with("HTTP/1.1 101 ")) << head;
  EXPECT_TRUE(head.contains(ws::accept_key(key))) << head;
  co_await send(stream, ws::Opcode::text, fmt::format(R"({{"type":"join","nick":"{}"}})", guest.nick));
}

Task<> Party::send(Stream& stream, ws::Opcode opcode, std::string payload) {
  ws::Mask mask{};
  for (char& byte : mask) byte = static_cast<char>(random_.next());
  std::string frame;
  ws::append_frame(frame, opcode, payload, mask);
  co_await stream.send(frame);
  co_await stream.flush();
}

Task<> Party::hear(Stream& stream, Guest& guest) {
  const auto read = [this](Stream& from, Guest& who) -> Task<> {
    ws::MessageDecoder decoder(ws::Role::client, 64_KiB);
    while (const Received bytes = co_await from.recv()) {
      decoder.feed(bytes.writable());
      co_await take(from, who, decoder);
    }
  };
  // a guest whose connection vanished receives no more
  guest.end = co_await outcome(timeout(30min, read(stream, guest)));
}

Task<> Party::take(Stream& stream, Guest& guest, ws::MessageDecoder& decoder) {
  while (const auto event = decoder.next()) {
    const std::string payload = event->payload.string();
    switch (event->kind) {
      case ws::Event::Kind::text:
        if (!payload.starts_with(R"({"type":"welcome")")) guest.heard.push_back(payload);
        guest.news.set();
        break;
      case ws::Event::Kind::ping: co_await send(stream, ws::Opcode::pong, payload); break;
      case ws::Event::Kind::close:
        guest.closed_with = event->code;
        if (guest.fate != Fate::leaves) co_await send(stream, ws::Opcode::close, ws::close_payload(event->code));
        break;
      default: ADD_FAILURE() << guest.nick << " was sent " << payload;
    }
  }
}

Task<> Party::until_heard(Guest& guest, std::string end) {
  const auto ends_so = [&](const std::string& event) { return event.ends_with(end); };
  while (std::ranges::none_of(guest.heard, ends_so)) {
    guest.news.clear();
    co_await guest.news.wait();
  }
}

Task<> Party::speak(Stream& stream, Guest& guest) {
  for (std::size_t number = 0; number < lines; ++number) {
    co_await pause(400ms);
    co_await send(stream, ws::Opcode::text,
                  fmt::format(R"({{"type":"message","text":"line {} of {}"}})", number, guest.nick));
  }
  if (guest.fate > Fate::is_cut_off) co_return;
  co_await until_heard(guest, end_of_message(guest, lines - 1));
  if (guest.fate == Fate::leaves) co_await send(stream, ws::Opcode::close, ws::close_payload(ws::close_code::normal));
}

Task<> Party::meet_fate(SocketStream& stream, Guest& guest) {
  if (guest.fate == Fate::stays || guest.fate == Fate::leaves) co_return;
  if (guest.fate == Fate::is_cut_off) co_await until_heard(guest, fmt::format(R"("nick":"{}"}})", guest.nick));
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
  const std::vector<std::string>& minutes = guests_.front().heard;
  const auto joined = std::ranges::find_if(minutes, [&](const std::string& event) { return is_joining(event, guest); });
  const auto left = std::ranges::find_if(minutes, [&](const std::string& event) { return is_leaving(event, guest); });
  if (joined == minutes.end()) {  // it was lost on its way to the server
    EXPECT_TRUE(guest.heard.empty());
    EXPECT_GT(guest.fate, Fate::is_cut_off);
    return;
  }
  const std::vector<std::string> after(joined, minutes.end());
  EXPECT_LE(guest.heard.size(), after.size());
  EXPECT_TRUE(std::ranges::equal(guest.heard, after | std::views::take(guest.heard.size())))
      << "no gap, no other order";
  auto at = joined;
  for (std::size_t number = 0; number < lines; ++number) {
    const auto is_it = [&](const std::string& event) { return event.ends_with(end_of_message(guest, number)); };
    EXPECT_LE(std::ranges::count_if(minutes, is_it), 1) << "said once";
    at = std::find_if(at, minutes.end(), is_it);
    if (guest.fate <= Fate::is_cut_off) EXPECT_NE(at, minutes.end()) << "line " << number << " in its order";
  }
  if (guest.fate > Fate::is_cut_off) return;
  EXPECT_EQ(guest.end, "done");
  if (guest.fate == Fate::leaves) {
    EXPECT_EQ(guest.closed_with, ws::close_code::normal);
    EXPECT_NE(left, minutes.end());
    EXPECT_LE(guest.heard.size(), static_cast<std::size_t>(left - joined));
  } else {
    EXPECT_EQ(guest.heard, after);
    EXPECT_EQ(guest.closed_with, ws::close_code::going_away);
  }
}

// Bad for packets, not so bad that a connection is lost.
SimConditions weather(SimRandom& random) {
  return {.latency_min = 1ms,
          .latency_max = std::chrono::milliseconds(1 + random.below(80)),
          .short_reads = random.chance(0.5) ? 0.5 : 0,
          .short_writes = random.chance(0.5) ? 0.5 : 0,
          .window_bytes = random.chance(0.3) ? 100 + random.below(2000) : 64_KiB};
}

}  // namespace

TEST(SimWebSocketChat, a_guest_that_stays_receives_all_in_one_order) {
  log::set_level(log::Level::off);
  const auto body = [](SimNetwork& network) -> Task<> {
    network.set_conditions(weather(network.random()));
    Party party(network);
    co_await party.run();
  };
  for_each_seed(100, body, {.has_failed = ::testing::Test::HasFailure});
  log::set_level(log::Level::info);
}

}  // namespace websocket_chat_test
