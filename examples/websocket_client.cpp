// websocket_client HOST PORT [TEXT]: sends a text over a WebSocket at / and prints the first message of the answer.
#include "coax/coax.hpp"

coax::Task<> ask(const coax::Arguments& words) {
  const std::string where = words.address();
  const auto stream = co_await coax::connect(where);
  const auto handshake = co_await coax::ws::client_handshake(*stream, where, "/");
  coax::ws::WebSocket socket(*stream, coax::ws::Role::client, {}, handshake);
  co_await socket.send_text(words.get("TEXT", "Hello!"));
  const auto answer = co_await coax::timeout(std::chrono::seconds(10), socket.recv());
  if (!answer) throw std::runtime_error("the server closed without an answer");
  coax::print_line("{}", coax::printable(answer.data));
  co_await socket.close();
  co_await socket.wait_closed();
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT [TEXT]", ask); }
