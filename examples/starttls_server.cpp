// starttls_server PORT CERT KEY [HOST]: a session of lines that begins in plain text. STARTTLS switches to TLS; NAME
// tells who is asked, STATUS whether the session is encrypted, QUIT ends it.
#include "coax/coax.hpp"
#include "coax/tls/tls.hpp"

using coax::Task;

Task<bool> talk(coax::Connection& connection, const coax::tls::ServerContext& context, bool is_encrypted) {
  coax::Reader reader(connection.stream());
  while (const auto line = co_await reader.line()) {
    if (line->text() == "QUIT") break;
    if (line->text() == "STARTTLS" && !is_encrypted) {
      co_await connection.stream().send("220 begin TLS\r\n");
      co_await coax::tls::secure(connection, context, reader);
      co_return true;
    }
    const std::string_view status = is_encrypted ? "211 encrypted\r\n" : "211 plain text\r\n";
    co_await connection.stream().send(line->text() == "STATUS" ? status : "500 STARTTLS, STATUS or QUIT\r\n");
  }
  co_await connection.stream().send("221 goodbye\r\n");
  co_return false;
}

coax::Task<> session(coax::Connection& connection, const coax::tls::ServerContext& context) {
  co_await connection.stream().send("220 ready\r\n");
  const bool began_tls = co_await talk(connection, context, false);
  if (began_tls) co_await talk(connection, context, true);
}

coax::Task<> serve(const coax::Arguments& given) {
  const auto context = std::make_shared<coax::tls::ServerContext>(coax::tls::ServerOptions{
      .identities = {{.certificate_file = std::string(given["CERT"]), .key_file = std::string(given["KEY"])}}});
  return coax::serve({.listen = given.address()},
                     [context](coax::Connection& connection) { return session(connection, *context); });
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT CERT KEY [HOST]", serve); }
