// tls_client HOST PORT CA_FILE [SERVER_NAME]: greets a server whose certificate an authority of CA_FILE has issued for
// SERVER_NAME (HOST), and prints its answer up to the end of TLS. An answer that is cut off is a failure.
#include "coax/coax.hpp"
#include "coax/tls/tls.hpp"

void greet(const coax::Arguments& given) {
  const coax::tls::ClientContext context({.trust = coax::tls::Trust::only(given["CA_FILE"])});
  auto connection = coax::Socket::connect_to(given.address(), {.timeout = std::chrono::seconds(10)});
  coax::tls::Socket server(std::move(connection), context, given.get("SERVER_NAME", given["HOST"]));
  server.handshake();
  server.send("Hello, server!");
  server.shutdown_send();
  std::string answer;
  while (const coax::BytesView bytes = server.recv()) answer += bytes.text();
  coax::print_line("Received: {}", coax::printable(answer, answer.size()));
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "HOST PORT CA_FILE [SERVER_NAME]", [](const auto& given) { greet(given); });
}
