// websocket_sync URL [TEXT]: as websocket_client, with blocking calls.
#include "coax/coax.hpp"
#include "coax/tls/tls.hpp"

int main(int argc, char** argv) {
  return coax::program(argc, argv, "URL [TEXT]", [](const coax::Arguments& words) {
    coax::ws::SyncClient socket(words["URL"], {.tls = coax::tls::connector()});
    socket.set_timeout(std::chrono::seconds(10));
    socket.send_text(words.get("TEXT", "Hello!"));
    const auto answer = socket.recv();
    if (!answer) throw std::runtime_error("the server closed without an answer");
    coax::print_line("{}", coax::printable(answer.data));
    socket.close();
  });
}
