// credentials_server PORT [HOST]: checks a user and a password, each a frame with a length prefix. The password is
// neither printed nor sent back. On a real network this belongs inside TLS.
#include <map>

#include "coax/coax.hpp"

const std::map<std::string, std::string> passwords{{"ada", "lovelace"}, {"grace", "hopper"}};

void check(coax::Socket& client) {
  coax::SocketFrames frames(client, coax::Framing::length_prefixed(), {.frame_bytes_max = 256});
  const std::string user = frames.next().value_or("").string();
  const std::string password = frames.next().value_or("").string();
  const auto known = passwords.find(user);
  const bool right = known != passwords.end() && known->second == password;
  coax::print_line("{}: {}", coax::printable(user), right ? "welcome" : "refused");
  frames.send(right ? coax::BytesView("Welcome!") : "Wrong user or password.");
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](auto a) { coax::serve_on_threads(a.address(), check); });
}
