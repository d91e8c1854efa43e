// chat PORT [HOST]: the tutorials' chat room over plain TCP: `NICK`, a nickname, then each line is sent to all members.
#include "coax/coax.hpp"

using namespace coax::literals;
using namespace std::chrono_literals;

coax::Topic room;

struct Presence {
  explicit Presence(std::string name) : nick(std::move(name)) { room.publish_now(nick + " joined the chat!\n"); }
  ~Presence() { room.publish_now(nick + " left the chat!\n"); }
  std::string nick;
};

coax::Task<> talk(coax::Lines& lines, const std::string& nick, coax::Subscription& subscription) {
  while (auto line = co_await lines.next()) {
    const std::string said = fmt::format("{}: {}\n", nick, line->text());
    co_await room.publish(said);  // waits while a reader is behind: then this client is not read either
  }
  subscription.finish();  // the client has finished: drain() ends when it has got everything
}

coax::Task<> chat(coax::Stream& client) {
  co_await client.send("NICK");
  coax::Lines lines(client, {.line_bytes_max = 4_KiB, .pause = 50ms});
  const auto nick = co_await lines.next();
  if (!nick) co_return;
  coax::Outbox outbox({.bytes_max = 256_KiB});  // a client that stops reading is disconnected
  auto subscription = room.subscribe(outbox);   // until its destructor
  const Presence presence(nick->string());
  co_await coax::all(talk(lines, presence.nick, subscription), drain(outbox, client));
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](auto a) { return coax::serve({.listen = a.address()}, chat); });
}
