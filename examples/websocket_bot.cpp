// websocket_bot URL: joins a room at ws://HOST:PORT/PATH or wss://..., answers its commands, and connects again when the
// connection ends.
#include "coax/coax.hpp"
#include "coax/tls/tls.hpp"

coax::Task<> answer(coax::ws::Client& room) {
  while (auto message = co_await room.recv()) {
    const std::string_view text = message.data;
    if (text == "!time") co_await room.send_text(coax::format_time(std::chrono::system_clock::now()));
    if (text.starts_with("!echo ")) co_await room.send_text(text.substr(6));
    if (text == "!help") co_await room.send_text("commands: !time, !echo TEXT");
  }
}

coax::Task<> join(const coax::Arguments& words) {
  const coax::ws::ClientOptions options{.tls = coax::tls::connector()};
  co_await coax::ws::keep_connected(words["URL"], options, answer);
}

int main(int argc, char** argv) { return coax::program(argc, argv, "URL", join); }
