// http_get HOST PORT [PATH]: asks for a page over a plain socket, prints the status and the text, and ends with 1 when
// the server has no such page.
#include <array>
#include <sstream>

#include "coax/coax.hpp"
#include "coax/codec/http1.hpp"

int get(const coax::Arguments& given) {
  const std::string host = given.address();
  auto server = coax::Socket::connect_to(host, {.timeout = std::chrono::seconds(10)});
  const std::array<coax::http1::Field, 2> fields{{{"Host", host}, {"Connection", "close"}}};
  std::string request;
  coax::http1::append_request_head(request, "GET", given.get("PATH", "/"), fields);
  server.send(request);
  coax::SocketFrames frames(server, coax::Framing::until_close());  // of at most 1 MiB
  coax::http1::ResponseParser response("GET");
  const bool whole = response.feed(frames.next().value()) && (response.done() || response.finish());
  if (!whole) throw coax::Error(coax::ErrorKind::protocol, "get from", host, "its answer is not HTTP, or cut off");
  coax::print_line("{} {}", response.head().status, coax::printable(response.head().reason));
  std::istringstream lines(response.body());
  for (std::string s; std::getline(lines, s);)
    coax::print_line("{}", coax::printable(s.erase(s.find_last_not_of('\r') + 1), s.size()));
  return response.head().status < 400 ? 0 : 1;
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT [PATH]", get); }
