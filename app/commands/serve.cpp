// coax serve: the hub. One room, reached over plain TCP and, from the page or any other client, over WebSocket.
#include <fmt/format.h>

#include <filesystem>
#include <iterator>
#include <memory>
#include <thread>

#include "app/commands/commands.hpp"
#include "app/console/report.hpp"
#include "app/console/standard_io.hpp"
#include "app/settings.hpp"
#include "app/signals.hpp"
#include "app/version.hpp"
#include "coax/coax.hpp"
#include "coax/http/app.hpp"
#include "coax/stream/look_up.hpp"
#include "services/chat/chat.hpp"
#include "web/pages.hpp"

namespace coax::app {

namespace {

struct HubOptions {
  std::vector<std::string> hosts;  // listens for both, lines and the web
  std::vector<std::string> paths;  // lines only: "unix:/path"
  std::uint16_t port = 0;
  std::uint16_t web_port = 0;
  std::vector<std::string> web_hosts;  // host names under which a proxy publishes the page
  unsigned threads = 1;
  Duration drain{};
  bool refuses_when_full = false;
  Limits limits;
  GuardLimits connections;  // of all listeners together
  chat::ChatLimits chat;
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

class Hub {
 public:
  explicit Hub(HubOptions options) : options_(std::move(options)) {}

  Task<> run();
  [[nodiscard]] bool opened() const noexcept { return opened_; }

 private:
  Task<> serve_both();
  Task<> serve_lines();
  Task<> serve_web();
  Task<> close_room_in_time();
  http::App pages(const std::vector<Address>& addresses);
  ServeOptions serve_options(std::uint16_t port, const std::vector<std::string>& paths,
                             std::vector<Address>& listening_at);
  [[nodiscard]] int doors() const noexcept { return options_.hosts.empty() ? 1 : 2; }
  void listening();
  void server_drains();

  HubOptions options_;
  chat::Room room_{"lobby"};
  std::shared_ptr<Guard> guard_;
  std::vector<Address> lines_at_;
  std::vector<Address> web_at_;
  int ready_ = 0;  // listeners
  bool opened_ = false;
  int draining_ = 0;
  Event both_ended_;
  Announcements announcements_;
};

Task<> Hub::run() { co_await race(all(serve_both(), close_room_in_time()), announcements_.run()); }

Task<> Hub::serve_both() {
  const struct Ending {
    Event& event;
    ~Ending() { event.set(); }
  } ending{both_ended_};
  const std::size_t listeners = options_.hosts.size() * 2 + options_.paths.size();
  fit_to_descriptors(options_.connections, listeners);
  guard_ = std::make_shared<Guard>(options_.connections);
  if (options_.hosts.empty()) co_return co_await serve_lines();
  co_await all(serve_lines(), serve_web());
}

// Closing the room waits for clients that still have messages to read. If one of them hangs, the others must not wait
// until all are disconnected.
Task<> Hub::close_room_in_time() {
  try {
    Event never;
    co_await never.wait();
  } catch (const Cancelled&) {
  }
  co_await shield(race(both_ended_.wait(), sleep(options_.drain / 2)));
  room_.close();
}

ServeOptions Hub::serve_options(std::uint16_t port, const std::vector<std::string>& paths,
                                std::vector<Address>& listening_at) {
  std::vector<std::string> where;
  for (const std::string& host : options_.hosts) {
    where.push_back(fmt::format("{}:{}", host.contains(':') ? "[" + host + "]" : host, port));
  }
  where.insert(where.end(), paths.begin(), paths.end());
  return {.listen = fmt::format("{}", fmt::join(where, ",")),
          .limits = options_.limits,
          .drain = options_.drain,
          .on_listen = [&listening_at](const Address& at) { listening_at.push_back(at); },
          .on_ready = [this] { listening(); },
          .on_drain = [this] { server_drains(); },
          .guard = guard_};
}

Task<> Hub::serve_lines() {
  // A client that only reads may be silent for hours: TCP keep-alive checks that it is still there.
  ServeOptions options = serve_options(options_.port, options_.paths, lines_at_);
  options.limits.idle = std::nullopt;
  if (options_.refuses_when_full) options.full_message = "error: the hub is full; try again later\n";
  co_await serve(std::move(options),
                 [this](Connection& connection) { return chat::talk_lines(connection, room_, options_.chat); });
}

Task<> Hub::serve_web() {
  std::vector<Address> addresses;
  for (const std::string& host : options_.hosts) {
    const std::vector<Endpoint> found = co_await look_up(host, 0);
    addresses.insert(addresses.end(), found.begin(), found.end());
  }
  auto options = serve_options(options_.web_port, {}, web_at_);
  if (options_.refuses_when_full) {
    constexpr std::string_view text = "The hub is full; try again later.\n";
    options.full_message = fmt::format(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n{}",
        text.size(), text);
  }
  co_await serve(options, http::handler(pages(addresses)));
}

http::App Hub::pages(const std::vector<Address>& addresses) {
  http::AppOptions options;
  options.websocket.message_bytes_max = 16_KiB;
  options.message.body_bytes_max = 0;  // requests have no body
  options.headers.emplace_back("Content-Security-Policy",
                               "default-src 'self'; frame-ancestors 'none'; base-uri 'none'");
  options.headers.emplace_back("Referrer-Policy", "no-referrer");
  if (only_this_machine(addresses)) {
    options.hosts = options_.hosts;
    options.hosts.emplace_back("localhost");
    options.hosts.insert(options.hosts.end(), options_.web_hosts.begin(), options_.web_hosts.end());
  }
  options.origins = options_.web_hosts;
  http::App app(std::move(options));
  for (const web::Page& page : web::pages()) app.file({page.path, page.content_type, page.body});
  app.get("/hub.json", [this](http::Request&) {
    const std::uint16_t port = lines_at_.empty() ? 0 : lines_at_.front().endpoint().port();
    return http::Response::json(fmt::format(R"({{"tcp_port":{},"version":"{}"}})", port, COAX_VERSION));
  });
  app.websocket("/ws", [this](ws::WebSocket& socket, Connection& connection) {
    return chat::talk_json(socket, connection, room_, options_.chat);
  });
  return app;
}

void Hub::server_drains() {
  if (++draining_ == doors()) room_.drain();
}

// Standard output, once all listeners are open: the information for a person.
void Hub::listening() {
  if (++ready_ != doors()) return;
  opened_ = true;
  std::string text =
      fmt::format("Coax {}: the hub is open{}\n\n", COAX_VERSION,
                  only_this_machine(lines_at_) ? ", for this machine only (--listen 0.0.0.0 lets others in)"
                                               : ", for everybody who can reach this machine");
  for (const Address& at : lines_at_) {
    text += safe_text("  listening  {}  {}\n", at.family() == Family::local ? "unix" : "tcp ", at.to_string());
  }
  for (const Address& at : web_at_) text += fmt::format("  listening  http  {}\n", at.to_string());
  text += "\n";
  if (!web_at_.empty()) text += fmt::format("  browser    http://{}/\n", reachable(web_at_.front()).to_string());
  announcements_.say(text + how_to_join(reachable(lines_at_.front())) + "\n  Ctrl-C closes it.\n");
  Loop& loop = Loop::current();
  log::info("{} loops on {}", loop.together().size(), loop.backend().name());
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
                     .web_hosts = settings.names("web-hosts"),
                     .threads = settings.count_or_none("threads", "all").value_or(cores),
                     .drain = settings.duration("drain"),
                     .limits = {},
                     .chat = {}};
  for (std::string& where : settings.names("listen")) read_listen(settings, std::move(where), options);
  if (options.hosts.empty() && options.paths.empty()) settings.refuse("listen", "an address or unix:PATH");
  const bool same_port = options.port != 0 && options.port == options.web_port && !options.hosts.empty();
  if (same_port) settings.refuse("web-port", "another port than --port");
  options.connections.connections_max = settings.count("connections-max");
  const std::string& when_full = settings.text("when-full");
  if (when_full != "wait" && when_full != "refuse") settings.refuse("when-full", "wait or refuse");
  options.refuses_when_full = when_full == "refuse";
  options.connections.connections_per_host_max = settings.count_or_none("connections-per-host-max", "none");
  options.chat.outbox_bytes_max = settings.size("outbox-bytes-max");
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

Run configure(CLI::App& command) {
  auto settings = std::make_shared<Settings>(command);
  settings->add("listen", "ADDRESS,...", "127.0.0.1",
                "Addresses to listen on: one of this machine, 0.0.0.0 or :: for all; unix:PATH for nc -U and Python,\n"
                "beside it, or alone and then not for browsers");
  settings->add("port", "PORT", "12345", "The TCP port for nc, Python and terminals; 0 for any free one");
  settings->add("web-port", "PORT", "8080", "The port for browsers and WebSockets; 0 for any free one");
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
        "  coax serve --config hub.toml",
    .configure = configure,
};

}  // namespace coax::app
