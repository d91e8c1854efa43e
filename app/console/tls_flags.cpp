// TLS for the commands that connect or listen.
#include "app/console/tls_flags.hpp"

#include <fmt/core.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "app/console/files.hpp"
#include "app/console/own_authority.hpp"
#include "app/console/report.hpp"
#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/net/endpoint.hpp"
#include "coax/net/idna.hpp"

namespace coax::app {

namespace {

std::string own_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace

std::vector<std::string> own_addresses() {
  std::vector<std::string> all;
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return all;
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(first, freeifaddrs);
  for (const ifaddrs* each = first; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || (each->ifa_flags & IFF_LOOPBACK) != 0) continue;
    const Endpoint address = Endpoint::from_native(each->ifa_addr);
    const std::string text = address.family() == Endpoint::Family::none ? "" : address.ip();
    if (!text.empty() && !text.contains('%')) all.push_back(text);
  }
  return all;
}

bool is_certificate_and_key(std::string_view tls) noexcept {
  return std::ranges::count(tls, ',') == 1 && !tls.starts_with(',') && !tls.ends_with(',');
}

tls::Identity identity_of(const std::string& tls, const std::string& passphrase_file, bool only_this_machine,
                          const std::vector<std::string>& more_names) {
  if (tls == "auto") return own_identity(only_this_machine, more_names);
  const std::size_t comma = tls.find(',');
  return {.certificate_file = tls.substr(0, comma),
          .key_file = tls.substr(comma + 1),
          .passphrase = read_passphrase(passphrase_file)};
}

std::string read_passphrase(const std::string& file) {
  if (file.empty()) return {};
  std::string content = read_file(file);
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (content.starts_with(byte_order_mark)) content.erase(0, byte_order_mark.size());
  content.resize(std::min(content.find('\n'), content.size()));
  if (content.ends_with('\r')) content.pop_back();
  if (content.empty()) throw Error(ErrorKind::invalid, "read", file, "its first line, the passphrase, is empty");
  return content;
}

std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    names.emplace_back(trim(text.substr(0, comma)));
    if (names.back().empty()) throw WrongUsage{"--alpn has an empty name"};
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return names;
}

void require_name(const std::string& server) {
  if (server.starts_with('.') || server.contains("..")) {
    throw WrongUsage{"--server-name " + server + ": a name has no empty part between two dots"};
  }
  try {
    static_cast<void>(ascii_name(server));
  } catch (const Error& error) {
    throw WrongUsage{std::string("--server-name: ") + error.what()};
  }
}

tls::Identity own_identity(bool only_this_machine, const std::vector<std::string>& more_names) {
  std::vector<std::string> names{"localhost", "127.0.0.1", "::1"};
  const auto add = [&names](const std::string& name) {
    if (!name.empty() && std::ranges::count(names, name) == 0) names.push_back(name);
  };
  if (!only_this_machine) {
    add(own_name());
    std::ranges::for_each(own_addresses(), add);
  }
  std::ranges::for_each(more_names, add);
  return OwnAuthority::open().identity_for(names);
}

TlsFlags::TlsFlags(CLI::App& command, Side side) : command_(command) {
  const auto not_empty = [](const std::string& text) {
    return text.empty() ? std::string("it is empty") : std::string();
  };
  command.add_flag("--tls", tls_, "Over TLS 1.2 or 1.3");
  const char* const ca = side == Side::client
                             ? "Trust only the authorities in this PEM file [the system's, and your own]"
                         : side == Side::server ? "Require client certificates of the authorities in this PEM file"
                                                : "Trust only the authorities in this PEM file; listen: require client "
                                                  "certificates of them";
  command.add_option("--ca", ca_, ca)->type_name("FILE")->check(not_empty);
  command
      .add_option("--cert", cert_,
                  side == Side::client ? "Our own certificate, for servers that ask for one"
                                       : "Our certificate, PEM or PKCS#12; of a server [one of your own authority]")
      ->type_name("FILE")
      ->check(not_empty);
  command.add_option("--key", key_, "The private key of --cert, PEM [in the same file]")
      ->type_name("FILE")
      ->check(not_empty);
  command
      .add_option("--passphrase-file", passphrase_file_,
                  "The passphrase of --key or of a PKCS#12 file: a line in this file")
      ->type_name("FILE")
      ->check(not_empty);
  command.add_option("--alpn", alpn_, "Application protocols, the preferred one first")
      ->type_name("NAME,...")
      ->check(not_empty);
  if (side == Side::server) return;
  command.add_option("--server-name", server_name_, "The name that the server's certificate must be for [HOST]")
      ->type_name("NAME")
      ->check(not_empty);
  command.add_option("--pin", pin_, "Trust only the certificate with this SHA-256 fingerprint")
      ->type_name("HEX")
      ->check(not_empty);
  command.add_flag("--insecure", insecure_, "Trust any certificate: an attacker can then read and change everything");
}

void TlsFlags::require_tls(bool is_implied) const {
  const bool has_other = !ca_.empty() || !pin_.empty() || !cert_.empty() || !key_.empty() || !alpn_.empty() ||
                         !server_name_.empty() || insecure_;
  if (!tls_ && !is_implied && has_other) throw WrongUsage{"options of TLS were given without --tls"};
  if (!passphrase_file_.empty() && cert_.empty()) throw WrongUsage{"--passphrase-file is of no use without --cert"};
  if (!key_.empty() && cert_.empty()) throw WrongUsage{"--key is of no use without --cert"};
  if (!server_name_.empty()) require_name(server_name_);
}

tls::Identity TlsFlags::identity() const {
  return {.certificate_file = cert_, .key_file = key_, .passphrase = read_passphrase(passphrase_file_)};
}

std::optional<TlsClient> TlsFlags::client(bool is_implied) const {
  require_tls(is_implied);
  if (!tls_ && !is_implied) return std::nullopt;
  const int trusts = static_cast<int>(!ca_.empty()) + static_cast<int>(!pin_.empty()) + static_cast<int>(insecure_);
  if (trusts > 1) throw WrongUsage{"--ca, --pin and --insecure are three ways to trust: give one of them"};
  tls::ClientOptions options{.alpn = split_names(alpn_)};
  if (!ca_.empty()) {
    options.trust = tls::Trust::only(ca_);
  } else if (!pin_.empty()) {
    options.trust = tls::Trust::pinned(pin_);
  } else if (insecure_) {
    options.trust = tls::Trust::insecure_anyone();
  } else if (const auto own = OwnAuthority::file_if_present()) {
    options.trust = tls::Trust::system_and(*own);
  }
  try {
    if (!cert_.empty()) options.identity = identity();
    return TlsClient{.context = tls::ClientContext(std::move(options)), .server_name = server_name_};
  } catch (const Error& error) {  // of a file that was given
    throw WrongUsage{error.what()};
  }
}

std::shared_ptr<tls::ServerContext> TlsFlags::server() const {
  require_tls();
  if (!tls_) return nullptr;
  tls::ServerOptions options{.alpn = split_names(alpn_)};
  if (cert_.empty()) {
    options.identities.push_back(own_identity(false));
    complain(command_.get_name(), "clients trust this server with --ca " + OwnAuthority::open().certificate_file());
  } else {
    options.identities.push_back(identity());
  }
  if (!ca_.empty()) {
    options.client_certificate = tls::ClientCertificate::required;
    options.client_ca_file = ca_;
  }
  try {
    return std::make_shared<tls::ServerContext>(std::move(options));
  } catch (const Error& error) {
    throw WrongUsage{error.what()};
  }
}

Task<std::unique_ptr<Stream>> connect_with_tls(std::string where, ConnectOptions options,
                                               const std::optional<TlsClient>& client) {
  const TimePoint began = Clock::now();
  std::unique_ptr<Stream> stream = co_await connect(where, options);
  if (!client) co_return stream;
  const auto target = parse_host_port(where);
  std::string name = client->server_name;
  if (name.empty() && target && !where.starts_with("unix:")) name = target->host;
  auto secure = std::make_unique<tls::Stream>(std::move(stream), client->context, name);
  const Duration limit = client->context.options().handshake_limit;
  const Duration left = options.limit - (Clock::now() - began);
  if (left >= limit) {
    co_await secure->handshake();
  } else {
    co_await within(std::max(left, Duration(std::chrono::milliseconds(1))), "TLS handshake with", secure->peer_name(),
                    secure->handshake());
  }
  co_return secure;
}

void print_tls(std::string_view command, const tls::Stream& stream) {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  complain(command,
           fmt::format("{}, {}, key exchange {}{}{}{}", to_string(stream.version()), stream.cipher(), stream.group(),
                       stream.is_resumed() ? ", resumed" : "", stream.alpn().empty() ? "" : ", ALPN ", stream.alpn()));
  for (const tls::Certificate& certificate : stream.peer_chain()) {
    complain(command,
             fmt::format("certificate {} for {}, issued by {}", certificate.subject,
                         certificate.names_text().empty() ? "no name" : certificate.names_text(), certificate.issuer));
    complain(command, fmt::format("  {}; {}, {}; SHA-256 {}", validity_text(certificate, now), certificate.key,
                                  certificate.signature, certificate.sha256));
  }
}

}  // namespace coax::app
