// coax serve: the hub. One room, reached over plain TCP and, from the page or any other client, over WebSocket.
#include "coax/tls/serve.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <deque>
#include <filesystem>
#include <iterator>
#include <memory>
#include <thread>

#include "app/commands/commands.hpp"
#include "app/console/fresh_certificates.hpp"
#include "app/console/own_authority.hpp"
#include "app/console/report.hpp"
#include "app/console/standard_io.hpp"
#include "app/console/tls_flags.hpp"
#include "app/settings.hpp"
#include "app/signals.hpp"
#include "app/version.hpp"
#include "coax/bus/memory_bus.hpp"
#include "coax/coax.hpp"
#include "coax/http/app.hpp"
#include "coax/store/bus.hpp"
#include "coax/stream/look_up.hpp"
#include "coax/task/offload.hpp"
#include "services/chat/chat.hpp"
#include "web/pages.hpp"

namespace coax::app {

namespace {

struct HubOptions {
  std::vector<std::string> hosts;  // listens for both, lines and the web
  std::vector<std::string> paths;  // lines only: "unix:/path"
  std::uint16_t port = 0;
  std::uint16_t web_port = 0;
  std::optional<std::uint16_t> tls_port;      // beside `port`, which is then plain text
  std::optional<std::uint16_t> tls_web_port;  // beside `web_port`, which then redirects
  std::string tls;                            // "auto" or "CERT,KEY"; empty: no TLS
  std::string tls_passphrase_file;
  std::optional<Duration> hsts;
  std::vector<std::string> web_hosts;  // host names under which a proxy publishes the page
  unsigned threads = 1;
  Duration drain{};
  bool refuses_when_full = false;
  Limits limits;
  GuardLimits connections;  // of all listeners together
  chat::ChatLimits chat;
  std::string history_file;  // empty: in memory
  chat::RoomsOptions rooms;
};

bool is_here(const Address& address) { return address.family() == Family::local || address.endpoint().is_loopback(); }
bool only_this_machine(const std::vector<Address>& addresses) { return std::ranges::all_of(addresses, is_here); }

// The address to which a program on this machine connects.
Address reachable(const Address& address) {
  const Endpoint at = address.endpoint();
  if (!at.is_wildcard()) return address;
  return *Endpoint::from_ip(at.family() == Endpoint::Family::v6 ? "::1" : "127.0.0.1", at.port());
}

std::size_t open_descriptors() {
  std::error_code failure;
  const std::filesystem::directory_iterator all("/proc/self/fd", failure);
  if (failure) return 8;  // no descriptor was left for the probe
  return static_cast<std::size_t>(std::distance(all, std::filesystem::directory_iterator()));
}

// Each connection needs a descriptor, beside the open ones, the listeners and a reserve; those in the tables of
// io_uring do not count.
void fit_to_descriptors(GuardLimits& limits, std::size_t listeners) {
  constexpr std::size_t spare = 16;
  const std::size_t limit = raise_descriptor_limit();
  const std::size_t taken = open_descriptors() + listeners + spare;
  std::size_t usable = limit > taken ? limit - taken : 0;
  for (Loop* const loop : Loop::current().together()) usable += loop->backend().fixed_files_max();
  if (limit <= taken || usable == 0) {  // io_uring, too, needs one during each accept
    throw Error(ErrorKind::overloaded, "open the hub", "",
                fmt::format("this process may open {} files only, and needs {} before the first connection; raise the "
                            "limit (ulimit -n {})",
                            limit, taken, taken + 1000));
  }
  if (*limits.connections_max <= usable) return;
  log::warning("at most {} connections, not {}: this process may open {} files (ulimit -n)", usable,
               *limits.connections_max, limit);
  limits.connections_max = usable;
}

// One port, on all addresses: for lines or for the web, with or without TLS.
struct Door {
  bool is_web = false;
  bool is_tls = false;
  std::uint16_t port = 0;
  std::vector<std::string> paths = {};  // "unix:/path", never with TLS
  std::vector<Address> at = {};         // once it listens
};

std::deque<Door> doors_of(const HubOptions& options) {
  std::deque<Door> doors;
  const bool has_hosts = !options.hosts.empty();
  const bool tls = !options.tls.empty();
  const bool lines_are_plain = !tls || options.tls_port;
  if (lines_are_plain || !options.paths.empty()) {
    doors.push_back({.port = options.port, .paths = options.paths});
  }
  if (!has_hosts) return doors;
  if (tls) doors.push_back({.is_tls = true, .port = options.tls_port.value_or(options.port)});
  if (!tls || options.tls_web_port) doors.push_back({.is_web = true, .port = options.web_port});
  if (tls) doors.push_back({.is_web = true, .is_tls = true, .port = options.tls_web_port.value_or(options.web_port)});
  return doors;
}

// The command that joins the room there, with and without the coax program.
std::string how_to_join(const Address& at) {
  std::string text = safe_text("  terminal   coax chat {} --nick NAME\n", at.to_string());
  const auto name = at.unix_name();
  if (!name) {
    const Endpoint near = at.endpoint();
    text += fmt::format("  nc         nc {} {}\n", near.ip(), near.port());
    text += fmt::format("  Python     s = socket.create_connection((\"{}\", {})); ", near.ip(), near.port());
  } else {
    if (!name->is_abstract()) text += safe_text("  nc         nc -U {}\n", name->text());
    const std::string python = name->is_abstract() ? "\\0" + name->text().substr(1) : name->text();
    text += safe_text("  Python     s = socket.socket(socket.AF_UNIX); s.connect(\"{}\"); ", python);
  }
  return text + "s.recv(4); s.sendall(b\"NAME\\nhello\\n\")\n";
}

std::string host_and_port(const std::string& host, std::uint16_t port) {
  return host.contains(':') ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

// Over TLS. `host`: what the certificate is for; `authority`: a file that clients must trust, or empty.
std::string how_to_join_over_tls(const std::string& host, std::uint16_t port, const std::string& authority) {
  const std::string where = host_and_port(host, port);
  const std::string ca = authority.empty() ? "" : " --ca " + authority;
  const std::string ca_file = authority.empty() ? "" : " -CAfile " + authority;
  const std::string python = authority.empty() ? "" : fmt::format("cafile=\"{}\"", authority);
  return safe_text(
      "  TLS        coax chat --tls{0} {1} --nick NAME\n"
      "  openssl    openssl s_client -quiet{2} -connect {1}\n"
      "  Python     s = ssl.create_default_context({3}).wrap_socket(socket.create_connection((\"{4}\", {5})), "
      "server_hostname=\"{4}\"); s.recv(4); s.sendall(b\"NAME\\nhello\\n\")\n",
      ca, where, ca_file, python, host, port);
}

std::string_view scheme_of(const Door& door, const Address& at) {
  if (at.family() == Family::local) return "unix";
  if (door.is_web) return door.is_tls ? "https" : "http";
  return door.is_tls ? "tls" : "tcp";
}

// --tls auto issues another certificate if there is none, or it expires soon.
tls::Identity tls_identity(const HubOptions& options) {
  const bool is_private = std::ranges::all_of(options.hosts, [](const std::string& host) {
    const auto address = Endpoint::from_ip(host, 0);
    return host == "localhost" || (address && address->is_loopback());
  });
  return identity_of(options.tls, options.tls_passphrase_file, is_private, options.web_hosts);
}

class Hub {
 public:
  explicit Hub(HubOptions options) : options_(std::move(options)) {}

  Task<> run();
  [[nodiscard]] bool opened() const noexcept { return opened_; }

 private:
  Task<> serve_all();
  Task<> serve_lines(Door& door);
  Task<> serve_web(Door& door);
  Handler over_tls(const Door& door, Handler handler) const;
  Task<> close_rooms_in_time();
  http::App pages(const std::vector<Address>& addresses);
  http::App redirect();
  ServeOptions serve_options(Door& door);
  [[nodiscard]] const Door* door_for(bool is_web, bool is_tls) const;
  void listening();
  [[nodiscard]] std::string authority() const;
  [[nodiscard]] std::string certified_host(const Door& door) const;
  void server_drains();

  HubOptions options_;
  std::optional<chat::Rooms> rooms_;
  std::shared_ptr<Guard> guard_;
  std::deque<Door> doors_;
  std::shared_ptr<tls::ServerContext> tls_;      // of lines
  std::shared_ptr<tls::ServerContext> tls_web_;  // with the ALPN of HTTP
  std::size_t ready_ = 0;                        // doors
  bool opened_ = false;
  std::size_t draining_ = 0;
  Event all_ended_;
  Announcements announcements_;
};

// Two hubs would give the same numbers to different messages. SQLite's own locks are others (fcntl(2)).
FileDescriptor lock_history(const std::string& path) {
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw Error(errno, "open", path);
  if (::flock(file.native(), LOCK_EX | LOCK_NB) != 0) {
    throw Error(ErrorKind::address, "use the history", path, "another hub uses it");
  }
  return file;
}

Task<> Hub::run() {
  std::shared_ptr<Bus> bus = std::make_shared<MemoryBus>();
  FileDescriptor lock;
  if (!options_.history_file.empty()) {
    const store::Database database = co_await store::Database::open(options_.history_file);
    lock = lock_history(options_.history_file);
    bus = co_await store::sqlite_bus(database);
  }
  rooms_.emplace(std::move(bus), options_.rooms);
  co_await rooms_->open();
  co_await race(all(serve_all(), close_rooms_in_time()), announcements_.run());
}

Task<> Hub::serve_all() {
  const struct Ending {
    Event& event;
    ~Ending() { event.set(); }
  } ending{all_ended_};
  doors_ = doors_of(options_);
  fit_to_descriptors(options_.connections, options_.hosts.size() * doors_.size() + options_.paths.size());
  guard_ = std::make_shared<Guard>(options_.connections);
  if (!options_.tls.empty()) {
    const tls::Identity identity = tls_identity(options_);
    tls_ = std::make_shared<tls::ServerContext>(tls::ServerOptions{.identities = {identity}});
    tls_web_ = std::make_shared<tls::ServerContext>(tls::ServerOptions{.identities = {identity}, .alpn = {"http/1.1"}});
    for (const std::string& warning : tls_->warnings()) log::warning("{}", warning);
  }
  TaskGroup group;
  for (Door& door : doors_) group.spawn(door.is_web ? serve_web(door) : serve_lines(door));
  const auto renew = [this] {
    if (options_.tls == "auto") tls_identity(options_);
  };
  if (tls_) group.spawn(keep_certificates_fresh({tls_, tls_web_}, renew));
  co_await group.join();
}

Handler Hub::over_tls(const Door& door, Handler handler) const {
  if (!door.is_tls) return handler;
  return tls::handler(door.is_web ? tls_web_ : tls_, std::move(handler));
}

// Closing the rooms waits for clients that still have messages to read. If one of them hangs, the others must not wait
// until all are disconnected.
Task<> Hub::close_rooms_in_time() {
  try {
    Event never;
    co_await never.wait();
  } catch (const Cancelled&) {
  }
  co_await shield(race(all_ended_.wait(), sleep(options_.drain / 2)));
  rooms_->close();
}

ServeOptions Hub::serve_options(Door& door) {
  std::vector<std::string> where;
  const bool is_for_paths_only = !door.paths.empty() && !options_.tls.empty() && !options_.tls_port;
  for (const std::string& host : options_.hosts) {
    if (is_for_paths_only) break;
    where.push_back(host_and_port(host, door.port));
  }
  where.insert(where.end(), door.paths.begin(), door.paths.end());
  return {.listen = fmt::format("{}", fmt::join(where, ",")),
          .limits = options_.limits,
          .drain = options_.drain,
          .on_listen = [&door](const Address& at) { door.at.push_back(at); },
          .on_ready = [this] { listening(); },
          .on_drain = [this] { server_drains(); },
          .guard = guard_};
}

Task<> Hub::serve_lines(Door& door) {
  // A client that only reads may be silent for hours: TCP keep-alive checks that it is still there.
  ServeOptions options = serve_options(door);
  options.limits.idle = std::nullopt;
  if (options_.refuses_when_full && !door.is_tls) {
    options.full_message = "error: the hub is full; try again later\n";
  }
  const auto talk = [this](Connection& connection) { return chat::talk_lines(connection, *rooms_, options_.chat); };
  co_await serve(std::move(options), over_tls(door, talk));
}

Task<> Hub::serve_web(Door& door) {
  std::vector<Address> addresses;
  for (const std::string& host : options_.hosts) {
    const std::vector<Endpoint> found = co_await look_up(host, 0);
    addresses.insert(addresses.end(), found.begin(), found.end());
  }
  auto options = serve_options(door);
  if (options_.refuses_when_full && !door.is_tls) {
    constexpr std::string_view text = "The hub is full; try again later.\n";
    options.full_message = fmt::format(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n{}",
        text.size(), text);
  }
  const bool redirects = tls_ && !door.is_tls;
  co_await serve(options, over_tls(door, http::handler(redirects ? redirect() : pages(addresses))));
}

// For plain HTTP beside HTTPS.
http::App Hub::redirect() {
  http::App app;
  app.use([this](http::Request& request, http::Next) -> Task<http::Response> {
    const auto host = parse_host_port(request.host());
    const Door* const secure = door_for(true, true);
    if (!host || secure == nullptr || secure->at.empty()) {
      co_return http::Response::text("give a Host, or use https\n", 400);
    }
    const bool is_v6 = host->host.contains(':');
    co_return http::Response{.status = 308}.header(
        "Location", fmt::format("https://{}{}{}:{}{}", is_v6 ? "[" : "", host->host, is_v6 ? "]" : "",
                                secure->at.front().endpoint().port(), request.target()));
  });
  return app;
}

const Door* Hub::door_for(bool is_web, bool is_tls) const {
  const auto door =
      std::ranges::find_if(doors_, [&](const Door& each) { return each.is_web == is_web && each.is_tls == is_tls; });
  return door != doors_.end() ? &*door : nullptr;
}

http::App Hub::pages(const std::vector<Address>& addresses) {
  http::AppOptions options;
  options.websocket.message_bytes_max = 16_KiB;
  options.websocket.deflate.enabled = false;  // the messages are short, and each is sent to all members
  options.message.body_bytes_max = 0;         // requests have no body
  options.headers.emplace_back("Content-Security-Policy",
                               "default-src 'self'; frame-ancestors 'none'; base-uri 'none'");
  options.headers.emplace_back("Referrer-Policy", "no-referrer");
  if (only_this_machine(addresses)) {
    options.hosts = options_.hosts;
    options.hosts.emplace_back("localhost");
    options.hosts.insert(options.hosts.end(), options_.web_hosts.begin(), options_.web_hosts.end());
  }
  options.origins = options_.web_hosts;
  if (options_.hsts) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*options_.hsts).count();
    options.headers.emplace_back("Strict-Transport-Security", fmt::format("max-age={}", seconds));
  }
  http::App app(std::move(options));
  for (const web::Page& page : web::pages()) app.file({page.path, page.content_type, page.body});
  app.get("/hub.json", [this](http::Request&) {
    const Door* lines = door_for(false, false);
    if (lines == nullptr || lines->at.empty()) lines = door_for(false, true);
    const std::uint16_t port = lines == nullptr || lines->at.empty() ? 0 : lines->at.front().endpoint().port();
    return http::Response::json(fmt::format(R"({{"tcp_port":{},"version":"{}"}})", port, COAX_VERSION));
  });
  app.websocket("/ws", [this](ws::WebSocket& socket, Connection& connection) {
    return chat::talk_json(socket, connection, *rooms_, options_.chat);
  });
  return app;
}

void Hub::server_drains() {
  if (++draining_ == doors_.size()) rooms_->drain();
}

// Standard output, once all listeners are open: the information for a person.
void Hub::listening() {
  if (++ready_ != doors_.size()) return;
  opened_ = true;
  const bool is_private = std::ranges::all_of(doors_, [](const Door& door) { return only_this_machine(door.at); });
  std::string text = fmt::format("Coax {}: the hub is open{}\n\n", COAX_VERSION,
                                 is_private ? ", for this machine only (--listen 0.0.0.0 lets others in)"
                                            : ", for everybody who can reach this machine");
  for (const Door& door : doors_) {
    for (const Address& at : door.at) text += safe_text("  listening  {:5} {}\n", scheme_of(door, at), at.to_string());
  }
  text += "\n";
  for (const Door& door : doors_) {
    const bool is_page = door.is_web && door.is_tls == (tls_ != nullptr);
    if (!is_page) continue;
    const Address at = reachable(door.at.front());
    const std::string where = door.is_tls ? host_and_port(certified_host(door), at.endpoint().port()) : at.to_string();
    text += fmt::format("  browser    http{}://{}/\n", door.is_tls ? "s" : "", where);
  }
  for (const Door& door : doors_) {
    if (door.is_web) continue;
    const Address at = reachable(door.at.front());
    text +=
        door.is_tls ? how_to_join_over_tls(certified_host(door), at.endpoint().port(), authority()) : how_to_join(at);
  }
  if (options_.tls == "auto") text += "\n  Trust its certificate once:\n" + how_to_trust(authority());
  announcements_.say(text + "\n  Ctrl-C closes it.\n");
  Loop& loop = Loop::current();
  log::info("{} loops on {}", loop.together().size(), loop.backend().name());
}

// What clients must trust; empty for a certificate of somebody else's authority.
std::string Hub::authority() const {
  return options_.tls == "auto" ? OwnAuthority::open().certificate_file() : std::string();
}

// The address that listens, if the certificate is for it; otherwise a name of the certificate.
std::string Hub::certified_host(const Door& door) const {
  std::string ip = reachable(door.at.front()).endpoint().ip();
  const tls::Certificate certificate = tls_->certificates().front();
  if (certificate.is_for(ip) || certificate.first_name().empty()) return ip;
  std::string name = certificate.first_name();
  if (name.starts_with("*.")) name.replace(0, 1, "www");
  return name;
}

void read_tls(const Settings& settings, HubOptions& options) {
  const auto port_or_none = [&](std::string_view name) {
    return settings.text(name) == "none" ? std::nullopt : std::optional(settings.port(name));
  };
  options.tls_port = port_or_none("tls-port");
  options.tls_web_port = port_or_none("tls-web-port");
  if (settings.text("tls") != "off") options.tls = settings.text("tls");
  const bool is_pair = is_certificate_and_key(options.tls);
  const bool is_known = settings.text("tls") == "off" || options.tls == "auto" || is_pair;
  if (!is_known) settings.refuse("tls", "off, auto, or CERT,KEY");
  if (!is_pair && !settings.text("tls-passphrase-file").empty()) {
    settings.refuse("tls-passphrase-file", "used without --tls CERT,KEY");
  }
  if (options.tls.empty() && options.tls_port) settings.refuse("tls-port", "used without --tls auto or --tls CERT,KEY");
  if (options.tls.empty() && options.tls_web_port) {
    settings.refuse("tls-web-port", "used without --tls auto or --tls CERT,KEY");
  }
  const auto is_taken = [&](std::optional<std::uint16_t> port, std::initializer_list<std::uint16_t> others) {
    return port && *port != 0 && std::ranges::count(others, *port) != 0;
  };
  if (is_taken(options.tls_port, {options.port, options.web_port})) settings.refuse("tls-port", "a port of its own");
  if (is_taken(options.tls_web_port, {options.port, options.web_port, options.tls_port.value_or(0)})) {
    settings.refuse("tls-web-port", "a port of its own");
  }
  if (settings.text("hsts") != "off") options.hsts = settings.duration("hsts");
  if (options.hsts && options.tls.empty()) settings.refuse("hsts", "used without --tls");
}

void read_listen(const Settings& settings, std::string where, HubOptions& options) {
  if (where.starts_with("unix:")) {
    const bool has_name = where != "unix:" && where != "unix:@";
    if (!has_name) settings.refuse("listen", "complete: give unix:PATH or unix:@NAME");
    options.paths.push_back(std::move(where));
    return;
  }
  const bool is_v6 = where.starts_with('[') && where.ends_with(']');
  if (is_v6) where = where.substr(1, where.size() - 2);
  const bool has_port = where.starts_with('[') || std::ranges::count(where, ':') == 1;
  if (has_port) settings.refuse("listen", "an address without a port: --port and --web-port set those");
  options.hosts.push_back(std::move(where));
}

HubOptions read(const Settings& settings) {
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  HubOptions options{.hosts = {},
                     .paths = {},
                     .port = settings.port("port"),
                     .web_port = settings.port("web-port"),
                     .tls_port = {},
                     .tls_web_port = {},
                     .tls = {},
                     .tls_passphrase_file = settings.text("tls-passphrase-file"),
                     .hsts = {},
                     .web_hosts = settings.names("web-hosts"),
                     .threads = settings.count_or_none("threads", "all").value_or(cores),
                     .drain = settings.duration("drain"),
                     .limits = {},
                     .chat = {},
                     .history_file = settings.text("history-file"),
                     .rooms = {}};
  for (std::string& where : settings.names("listen")) read_listen(settings, std::move(where), options);
  if (options.hosts.empty() && options.paths.empty()) settings.refuse("listen", "an address or unix:PATH");
  read_tls(settings, options);
  const bool same_port = options.port != 0 && options.port == options.web_port && !options.hosts.empty();
  if (same_port) settings.refuse("web-port", "another port than --port");
  options.connections.connections_max = settings.count("connections-max");
  const std::string& when_full = settings.text("when-full");
  if (when_full != "wait" && when_full != "refuse") settings.refuse("when-full", "wait or refuse");
  options.refuses_when_full = when_full == "refuse";
  options.connections.connections_per_host_max = settings.count_or_none("connections-per-host-max", "none");
  options.chat.outbox_bytes_max = settings.size("outbox-bytes-max");
  if (!options.history_file.empty()) options.rooms.history.durability = Durability::disk;
  if (options.history_file.starts_with("file:")) settings.refuse("history-file", "a path, as ./file:name");
  options.rooms.history.records_max = settings.count("history-max");
  if (const std::string& age = settings.text("history-age"); age != "none") {
    options.rooms.history.age_max = std::chrono::ceil<std::chrono::seconds>(settings.duration("history-age"));
    if (options.rooms.history.age_max == std::chrono::seconds(0))
      settings.refuse("history-age", "a time above 0, or none");
  }
  options.rooms.rooms_max = settings.count("rooms-max");
  const bool fits = options.chat.outbox_bytes_max >= 1_KiB && options.chat.outbox_bytes_max <= 256_MiB;
  if (!fits) settings.refuse("outbox-bytes-max", "a size from 1KiB to 256MiB");
  for (const std::string& name : options.web_hosts) {
    const bool is_host = parse_host_port(name) && name.find_first_of(" /@?#\t") == std::string::npos;
    if (!is_host) settings.refuse("web-hosts", "names such as chat.example.org, separated by commas");
  }
  if (options.threads > 1024) settings.refuse("threads", "a number from 1 to 1024, or all");
  const auto level = log::parse_level(settings.text("log-level"));
  if (!level) settings.refuse("log-level", "one of debug, info, warning, error, off");
  const auto format = log::parse_format(settings.text("log-format"));
  if (!format) settings.refuse("log-format", "one of text, json");
  log::set_level(*level);
  log::set_format(*format);
  return options;
}

Task<> open(Hub& hub, int& code) {
  try {
    co_await hub.run();
  } catch (const Error& error) {
    complain("serve", error.what());
    code = hub.opened() ? failed : exit_code_of(error);
  }
}

int serve_hub(Settings& settings) {
  HubOptions options;
  try {
    settings.resolve();
    options = read(settings);
  } catch (const Error& error) {
    complain("serve", error.what());
    return usage;
  }
  ignore_stray_signals();
  raise_descriptor_limit();  // before the loops are created: the tables of io_uring have the same size
  const RunOptions run_options{.threads = options.threads};
  Hub hub(std::move(options));
  int code = done;
  const int ran = run(open(hub, code), run_options);
  if (code == done && ran == 0) log::info("the hub is closed");
  return code != done ? code : ran;
}

Run configure_serve(CLI::App& command) {
  auto settings = std::make_shared<Settings>(command);
  settings->add("listen", "ADDRESS,...", "127.0.0.1",
                "Addresses to listen on: one of this machine, 0.0.0.0 or :: for all; unix:PATH for nc -U and Python,\n"
                "beside it, or alone and then not for browsers");
  settings->add("port", "PORT", "12345", "The TCP port for nc, Python and terminals; 0 for any free one");
  settings->add("web-port", "PORT", "8080", "The port for browsers and WebSockets; 0 for any free one");
  settings->add(
      "tls", "auto | CERT,KEY", "off",
      "TLS on both ports: with a certificate of your own authority (coax cert), or with these PEM files, which\n"
      "are read again when they change and after SIGHUP");
  settings->add("tls-passphrase-file", "FILE", "", "The passphrase of KEY: a line in this file");
  settings->add("tls-port", "PORT", "none", "TLS for lines on this port instead, beside plain text on --port");
  settings->add("tls-web-port", "PORT", "none", "HTTPS on this port instead; --web-port then redirects to it");
  settings->add("hsts", "TIME", "off", "Tell browsers to use HTTPS only, for this long (RFC 6797): 8760h");
  settings->add("web-hosts", "NAMES", "", "Names, separated by commas, under which a proxy publishes the page");
  settings->add("threads", "N", "all", "Event loops, each on a thread; \"all\": one per core");
  settings->add("drain", "TIME", "10s", "Time limit of a shutdown, for messages that are queued");
  settings->add("connections-max", "N", "8000",
                "Connections at a time, on all ports; at the limit idle ones are closed, or new ones wait");
  settings->add("when-full", "WHAT", "wait",
                "At the limit, when no connection is idle: \"wait\" in the backlog, or \"refuse\" with an answer");
  settings->add("connections-per-host-max", "N", "256", "Connections from one host (not this one); \"none\": no limit");
  settings->add("outbox-bytes-max", "SIZE", "256KiB",
                "Bytes queued for a slow reader before senders are slowed; in the end it is disconnected");
  settings->add("history-file", "FILE", "",
                "Keep rooms and messages in this SQLite file: a message is acknowledged when the disk has it;\n"
                "by default they are in memory, until the hub ends");
  settings->add("history-max", "N", "10000", "Messages kept of each room");
  settings->add("history-age", "TIME", "none", "Messages older than this are dropped: 720h");
  settings->add("rooms-max", "N", "1000", "Rooms at a time, which clients make by joining them");
  settings->add("log-level", "LEVEL", std::string(log::to_string(log::level())),
                "Level of the log on standard error: debug, info, warning, error, off; COAX_LOG sets the default");
  settings->add("log-format", "FORMAT", "text", "Format of the log: text, or json for JSON Lines");
  return [settings] { return serve_hub(*settings); };
}

}  // namespace

const Command serve_command{
    .name = "serve",
    .summary = "Open the hub: a chat room for nc, Python, terminals and browsers",
    .details =
        "Each setting is also an environment variable (COAX_PORT, COAX_WEB_PORT, ...) and a key of the file (port,\n"
        "web_port, ...). Flags override the environment, which overrides the file.\n"
        "\n",
    .examples =
        "  coax serve\n"
        "  coax serve --listen 0.0.0.0 --port 7000\n"
        "  coax serve --listen 127.0.0.1,unix:/run/hub.sock\n"
        "  coax serve --tls auto\n"
        "  coax serve --tls /etc/ssl/hub.pem,/etc/ssl/hub.key --listen 0.0.0.0 --tls-web-port 443 --web-port 80\n"
        "  coax serve --config hub.toml",
    .configure = configure_serve,
};

}  // namespace coax::app
