// chat_server PORT [HOST]: the hub's chat over plain TCP by itself: `NICK`, a unique nickname, then each line is sent
// to all members.
#include <set>

#include "coax/coax.hpp"

coax::Topic room;
std::set<std::string> taken;  // nicknames, case folded; all clients are on one loop, thus on one thread

struct Guest {
  std::string nick;
  ~Guest() {
    if (taken.erase(coax::fold_case(nick)) != 0) room.publish_now(nick + " left the chat!\n");
  }
};

bool is_text(std::string_view text) { return !text.empty() && coax::is_utf8(text) && !coax::has_control(text); }

coax::Task<> enter(coax::Stream& client, coax::Lines& lines, Guest& guest) {
  while (auto line = co_await lines.next()) {
    guest.nick = coax::trim(*line);
    const bool good = is_text(guest.nick) && coax::count_characters(guest.nick) <= 32 && !guest.nick.contains(':') &&
                      !coax::equal_ignoring_case(guest.nick, "error");
    if (good && taken.insert(coax::fold_case(guest.nick)).second) co_return;
    guest.nick.clear();  // it is another's
    co_await client.send("error: that is taken, or no nickname; send another one\n");
  }
}

coax::Task<> talk(coax::Lines& lines, const std::string& nick, coax::Subscription& subscription, coax::Outbox& outbox) {
  while (auto line = co_await lines.next()) {
    const std::string own = nick + ": ";
    const std::string_view text = line->text().substr(line->text().starts_with(own) ? own.size() : 0);
    const std::string said = fmt::format("{}{}\n", own, text);
    if (is_text(text)) co_await room.publish(said);  // waits while a reader is behind
    subscription.catch_up();                         // before what is for this client alone, or the end
    if (!is_text(text) && !text.empty()) outbox.push("error: that is no text; it was not sent\n");
    co_await outbox.ready();
  }
  subscription.finish();
}

coax::Task<> chat(coax::Stream& client) {
  Guest guest;
  co_await client.send("NICK");
  coax::Lines lines(client, {.line_bytes_max = 4096, .pause = std::chrono::milliseconds(50)});
  co_await coax::timeout(std::chrono::seconds(10), enter(client, lines, guest));
  if (guest.nick.empty()) co_return;
  coax::Outbox outbox;  // a client that stops reading is disconnected
  auto subscription = room.subscribe(outbox);
  room.publish_now(guest.nick + " joined the chat!\n");
  co_await coax::all(talk(lines, guest.nick, subscription, outbox), drain(outbox, client));
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](auto a) { return coax::serve({.listen = a.address()}, chat); });
}
