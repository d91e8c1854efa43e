// websocket_client URL [TEXT]: sends a text to ws://HOST:PORT/PATH or wss://..., and prints the first message of the
// answer.
#include "coax/coax.hpp"
#include "coax/tls/tls.hpp"

coax::Task<> ask(const coax::Arguments& words) {
  const coax::ws::ClientOptions options{.tls = coax::tls::connector()};
  const auto socket = co_await coax::ws::connect(words["URL"], options);
  co_await socket->send_text(words.get("TEXT", "Hello!"));
  const auto answer = co_await coax::timeout(std::chrono::seconds(10), socket->recv());
  if (!answer) throw std::runtime_error("the server closed without an answer");
  coax::print_line("{}", coax::printable(answer.data));
  co_await socket->close();
}

int main(int argc, char** argv) { return coax::program(argc, argv, "URL [TEXT]", ask); }
