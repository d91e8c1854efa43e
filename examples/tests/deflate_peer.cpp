// deflate_peer PORT SERVER CLIENT: an echo that agrees to these parameters of permessage-deflate.
// deflate_peer URL SERVER CLIENT: offers them, sends messages, and compares the echoes.
// SERVER, CLIENT: the bits of the window of that side's messages; "15+" with context takeover. For interop tests.
#include <charconv>

#include "coax/coax.hpp"

coax::ws::DeflateSide side_of(std::string_view text) {
  coax::ws::DeflateSide side{.context_takeover = text.ends_with('+')};
  std::from_chars(text.data(), text.data() + text.size(), side.window_bits);
  return side;
}

coax::ws::Options options_of(const coax::Arguments& given) {
  coax::ws::Options options;
  options.deflate.parameters = {.server = side_of(given["SERVER"]), .client = side_of(given["CLIENT"])};
  options.deflate.message_bytes_min = 0;
  return options;
}

coax::Task<> echo(coax::ws::WebSocket& socket) {
  while (auto message = co_await socket.recv()) co_await socket.send(message);
}

coax::Task<> talk(const coax::Arguments& given) {
  const coax::ws::ClientOptions options{.websocket = options_of(given)};
  const auto socket = co_await coax::ws::connect(given["TARGET"], options);
  std::string text = "Hello";
  for (unsigned count = 0; count < 40; ++count, text += fmt::format(" {:x} {}", count * 2654435761U, text.size())) {
    if (count % 8 == 7) text += text;
    co_await socket->send_text(text);
    const auto message = co_await socket->recv();
    if (message.data != coax::BytesView(text)) throw std::runtime_error(fmt::format("echo {} differs", count));
  }
  co_await socket->close();
  co_await socket->wait_closed();
  coax::print_line("{} bytes, closed with {}", text.size(), socket->peer_close_code());
}

coax::Task<> serve(const coax::Arguments& given) {
  coax::http::AppOptions options;
  options.websocket = options_of(given);
  coax::http::App app(std::move(options));
  app.websocket("/", echo);
  co_await coax::serve({.listen = fmt::format("127.0.0.1:{}", given["TARGET"])}, coax::http::handler(std::move(app)));
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "TARGET SERVER CLIENT", [](const coax::Arguments& given) {
    return given["TARGET"].starts_with("ws") ? talk(given) : serve(given);
  });
}
