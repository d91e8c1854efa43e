// tls_echo PORT CERT KEY [HOST] [CLIENT_CA]: sends back what it receives over TLS. With CLIENT_CA only clients with a
// certificate of that authority are served, and their names are printed.
#include "coax/coax.hpp"
#include "coax/tls/tls.hpp"

coax::Task<> echo(coax::Connection& connection) {
  if (!connection.principal().is_anonymous()) coax::print_line("{} has connected", connection.principal().name);
  while (const coax::BytesView bytes = co_await connection.stream().recv()) co_await connection.stream().send(bytes);
}

coax::Task<> serve(const coax::Arguments& given) {
  coax::tls::ServerOptions options{
      .identities = {{.certificate_file = std::string(given["CERT"]), .key_file = std::string(given["KEY"])}},
      .client_ca_file = std::string(given["CLIENT_CA"]),
  };
  if (!options.client_ca_file.empty()) options.client_certificate = coax::tls::ClientCertificate::required;
  const auto context = std::make_shared<coax::tls::ServerContext>(options);
  return coax::serve({.listen = given.address()}, coax::tls::handler(context, echo));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT CERT KEY [HOST] [CLIENT_CA]", serve); }
