// starttls_client HOST PORT CA_FILE [SERVER_NAME]: asks a starttls_server for its status, before and after STARTTLS.
#include "coax/coax.hpp"
#include "coax/tls/tls.hpp"

using coax::Task;

Task<std::string> ask(coax::Stream& stream, coax::Reader& reader, std::string_view command) {
  if (!command.empty()) co_await stream.send(fmt::format("{}\r\n", command));
  const auto line = co_await reader.line();
  if (!line) throw coax::Error(coax::ErrorKind::disconnected, "ask", stream.peer_name(), "it has ended the session");
  coax::print_line("{}", coax::printable(*line));
  co_return line->string();
}

coax::Task<> talk(coax::Arguments given) {
  const coax::tls::ClientContext context({.trust = coax::tls::Trust::only(given["CA_FILE"])});
  const std::unique_ptr<coax::Stream> plain = co_await coax::connect(given.address());
  coax::Reader reader(*plain);
  co_await ask(*plain, reader, "");
  co_await ask(*plain, reader, "STATUS");
  co_await ask(*plain, reader, "STARTTLS");
  if (reader.buffered()) {  // an attacker may have put them there before TLS
    throw coax::Error(coax::ErrorKind::protocol, "begin TLS with", plain->peer_name(),
                      "it sent plain text after its answer");
  }
  coax::tls::Stream secure(*plain, context, given.get("SERVER_NAME", given["HOST"]));
  co_await secure.handshake();
  coax::Reader secure_reader(secure);
  co_await ask(secure, secure_reader, "STATUS");
  co_await ask(secure, secure_reader, "QUIT");
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "HOST PORT CA_FILE [SERVER_NAME]", [](const auto& given) { return talk(given); });
}
