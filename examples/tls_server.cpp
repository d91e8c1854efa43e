// tls_server PORT CERT KEY [HOST]: reads up to 1024 bytes of each client, prints them, and answers over TLS.
#include <array>

#include "coax/coax.hpp"
#include "coax/tls/tls.hpp"

coax::Task<> answer(coax::Stream& client) {
  std::array<char, 1024> buffer;
  const std::size_t count = co_await client.recv(std::span(buffer));
  if (count == 0) co_return;
  coax::print_line("Received: {}", coax::printable({buffer.data(), count}, buffer.size()));
  co_await client.send("Secure response");
}

coax::Task<> serve(const coax::Arguments& given) {
  const coax::tls::Identity identity{.certificate_file = std::string(given["CERT"]),
                                     .key_file = std::string(given["KEY"])};
  const auto context = std::make_shared<coax::tls::ServerContext>(coax::tls::ServerOptions{.identities = {identity}});
  for (const std::string& warning : context->warnings()) coax::log::warning("{}", warning);
  return coax::serve({.listen = given.address()}, coax::tls::handler(context, answer));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT CERT KEY [HOST]", serve); }
