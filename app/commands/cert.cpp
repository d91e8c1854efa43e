// coax cert: a certificate of the user's own authority, and what a certificate says.
#include <fmt/chrono.h>
#include <fmt/core.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <filesystem>

#include "app/commands/commands.hpp"
#include "app/console/own_authority.hpp"
#include "app/console/report.hpp"
#include "app/console/target.hpp"
#include "coax/base/error.hpp"
#include "coax/task/run.hpp"
#include "coax/tls/stream.hpp"

namespace coax::app {

namespace {

struct CertArguments {
  std::vector<std::string> names;
  std::string out = ".";
  std::string key = "ec";
  std::string server_name;
  unsigned days = 397;
  bool client = false;
  bool authority = false;
  bool replace = false;
  bool json = false;
};

tls::KeyKind key_kind(const std::string& text) {
  if (text == "ec") return tls::KeyKind::ec_p256;
  if (text == "rsa") return tls::KeyKind::rsa_2048;
  if (text == "ed25519") return tls::KeyKind::ed25519;
  throw WrongUsage{fmt::format("--key \"{}\" is not one of ec, rsa, ed25519", text)};
}

std::string date(tls::Certificate::Time time) { return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", time); }
std::string iso_date(tls::Certificate::Time time) { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", time); }

boost::json::array json_list(const std::vector<std::string>& texts) {
  boost::json::array list;
  for (const std::string& text : texts) list.emplace_back(text);
  return list;
}

boost::json::object json_of(const tls::Certificate& certificate) {
  return {{"subject", certificate.subject},
          {"issuer", certificate.issuer},
          {"names", json_list(certificate.names)},
          {"addresses", json_list(certificate.addresses)},
          {"not_before", iso_date(certificate.not_before)},
          {"not_after", iso_date(certificate.not_after)},
          {"key", certificate.key},
          {"signature", certificate.signature},
          {"serial", certificate.serial},
          {"sha256", certificate.sha256},
          {"is_authority", certificate.is_authority},
          {"is_for_servers", certificate.is_for_servers},
          {"is_for_clients", certificate.is_for_clients}};
}

void print_certificate(const tls::Certificate& certificate) {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  print("{}\n", certificate.subject);
  if (!certificate.names_text().empty()) print("  for         {}\n", certificate.names_text());
  print("  issued by   {}\n", certificate.issuer == certificate.subject ? "itself" : certificate.issuer);
  print("  valid       {} to {}; it {}\n", date(certificate.not_before), date(certificate.not_after),
        validity_text(certificate, now));
  print("  key         {}, signature {}{}\n", certificate.key, certificate.signature,
        certificate.is_authority ? "; it may issue certificates" : "");
  const bool serves = certificate.is_for_servers;
  const bool asks = certificate.is_for_clients;
  print("  made for    {}\n", serves && asks ? "servers and clients"
                              : serves       ? "servers"
                              : asks         ? "clients"
                                             : "neither");
  print("  SHA-256     {}\n", certificate.sha256);
}

// What a server presents, whether it is trusted or not.
Task<> fetch_chain(std::string where, std::string name, std::vector<tls::Certificate>& chain) {
  const tls::ClientContext context({.trust = tls::Trust::insecure_anyone()});
  tls::Stream stream(co_await connect(where), context, name);
  co_await stream.handshake();
  chain = stream.peer_chain();
  stream.close();
}

int show(const CertArguments& given) {
  if (given.names.size() != 2) throw WrongUsage{"show takes one FILE or HOST:PORT"};
  const std::string& what = given.names[1];
  std::vector<tls::Certificate> chain;
  if (std::filesystem::exists(what)) {
    chain = tls::read_certificates(what);
  } else {
    const auto server = parse_host_port(what);
    if (!server || !server->port) {
      throw Error(ErrorKind::address, "show", what, "there is no such file, and it is not HOST:PORT");
    }
    run_or_throw([&]() -> Task<> {
      const std::string& name = given.server_name.empty() ? server->host : given.server_name;
      co_await within(std::chrono::seconds(10), "show", what, fetch_chain(what, name, chain));
    }());
  }
  if (given.json) {
    for (const tls::Certificate& certificate : chain) print_json(json_of(certificate));
  } else {
    for (const tls::Certificate& certificate : chain) print_certificate(certificate);
  }
  return done;
}

// Names are arguments: a malformed one is wrong usage.
tls::Issued issued_or_refused(const OwnAuthority& authority, const tls::IssueOptions& options) {
  try {
    return authority.issue(options);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::invalid && error.kind() != ErrorKind::address) throw;
    throw WrongUsage{error.what()};
  }
}

int make(const CertArguments& given) {
  if (!given.server_name.empty()) throw WrongUsage{"--server-name is for coax cert show"};
  const OwnAuthority authority = OwnAuthority::open();
  if (given.authority) {
    if (!given.names.empty()) throw WrongUsage{"--authority takes no names"};
    if (given.json) {
      print_json(boost::json::object{{"authority", authority.certificate_file()}});
    } else {
      print("{}\n\nTo trust it:\n", authority.certificate_file());
      print_text(how_to_trust(authority.certificate_file()));
    }
    return done;
  }
  if (given.names.empty())
    throw WrongUsage{"give the names and addresses that it is for, such as localhost 192.168.1.5"};
  if (given.days == 0 || given.days > 3650) throw WrongUsage{"--days is a number from 1 to 3650"};
  if (given.client && given.names.size() != 1) throw WrongUsage{"--client takes one name: that of the user"};
  tls::IssueOptions options{
      .names = given.names, .key = key_kind(given.key), .lifetime = std::chrono::days(given.days)};
  if (given.client) {
    options.common_name = given.names.front();
    options.names.clear();
    options.is_for_server = false;
    options.is_for_client = true;
  }
  std::string base(first_characters(given.names.front(), 200));  // a file name has 255 bytes at most
  std::ranges::replace(base, '*', '_');
  std::ranges::replace(base, '/', '_');
  if (base.ends_with('.')) base.pop_back();  // "localhost." is the absolute form of "localhost"
  const std::filesystem::path path = std::filesystem::path(given.out) / base;
  const std::string certificate_file = path.string() + ".pem";
  const std::string key_file = path.string() + ".key";
  write_identity(issued_or_refused(authority, options), certificate_file, key_file, given.replace);
  const tls::Certificate certificate = tls::read_certificates(certificate_file).front();
  if (given.json) {
    print_json(boost::json::object{{"certificate", certificate_file},
                                   {"key", key_file},
                                   {"authority", authority.certificate_file()},
                                   {"not_after", iso_date(certificate.not_after)},
                                   {"sha256", certificate.sha256}});
    return done;
  }
  print("certificate  {}\nkey          {}\nauthority    {}\n", certificate_file, key_file,
        authority.certificate_file());
  print("for          {}\nuntil        {}\n", given.client ? certificate.common_name : certificate.names_text(),
        date(certificate.not_after));
  if (authority.is_new()) {
    print("\nThe authority is new. Clients must trust it once:\n");
    print_text(how_to_trust(authority.certificate_file()));
  }
  return done;
}

Run configure_cert(CLI::App& command) {
  auto given = std::make_shared<CertArguments>();
  command
      .add_option("name", given->names,
                  "DNS names and IP addresses that the certificate is for; or \"show\" and FILE or HOST:PORT")
      ->type_name("NAME");
  command.add_option("--out", given->out, "The directory for NAME.pem and NAME.key [.]")->type_name("DIRECTORY");
  command.add_option("--key", given->key, "The kind of key: ec (P-256), rsa (2048), ed25519 [ec]")->type_name("KIND");
  command.add_option("--days", given->days, "How long it is valid, at most 3650 days [397]")->type_name("N");
  command
      .add_option("--server-name", given->server_name, "Of show HOST:PORT: ask for the certificate of this name [HOST]")
      ->type_name("NAME");
  command.add_flag("--client", given->client, "For a client: the name is that of the user");
  command.add_flag("--authority", given->authority, "Print where the authority is, and how to trust it");
  command.add_flag("--replace", given->replace, "Replace existing files");
  command.add_flag("--json", given->json, "Print JSON");
  return [given] {
    const bool is_show = !given->names.empty() && given->names.front() == "show";
    return reported("cert", is_show ? unavailable : failed, [&] { return is_show ? show(*given) : make(*given); });
  };
}

}  // namespace

const Command cert_command{
    .name = "cert",
    .summary = "Make a certificate for TLS, or show what one says",
    .details =
        "The first use makes an authority of your own in ~/.local/share/coax, which issues the certificates. A client\n"
        "that trusts it once accepts them all; coax cert --authority prints how. Keep authority.key to yourself: who\n"
        "has it can impersonate any server to these clients. For a server in the Internet use an ACME client instead\n"
        "(certbot, lego).\n"
        "\n"
        "Exit codes: 0 done; 1 a file could not be written; 2 wrong arguments; 3 no answer, or no such file.\n"
        "\n",
    .examples =
        "  coax cert localhost 192.168.1.5 hub.home.arpa     localhost.pem and localhost.key\n"
        "  coax cert --client alice                          a certificate that proves who alice is\n"
        "  coax cert --authority                             where the authority is, and how to trust it\n"
        "  coax cert show localhost.pem\n"
        "  coax cert show example.org:443",
    .configure = configure_cert,
};

}  // namespace coax::app
