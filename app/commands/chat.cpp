// coax chat: the hub's plain TCP protocol, for a person at a terminal and for programs in a pipe. Sent messages are
// kept until the server echoes them, and sent again after a reconnection (at-least-once delivery): a message may be
// repeated, but none is lost.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>

#include "app/command_line.hpp"
#include "app/commands/chat_text.hpp"
#include "app/commands/chat_wire.hpp"
#include "app/commands/commands.hpp"
#include "app/console/report.hpp"
#include "app/console/terminal.hpp"
#include "app/console/tls_flags.hpp"
#include "app/signals.hpp"
#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/net/endpoint.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/task/run.hpp"
#include "coax/task/scope.hpp"
#include "services/chat/message_text.hpp"
#include "services/chat/nickname.hpp"

namespace coax::app {

namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t default_port = 12345;
constexpr Duration connect_time_max = 10s;
constexpr Duration first_answer_time = 1500ms;  // after the nickname; a tutorial's server may send none
constexpr Duration echo_time_max = 2s;          // in a pipe: for the echo of our next message
constexpr Duration leave_time_max = 1s;
constexpr Duration reconnect_time_min = 500ms;
constexpr Duration reconnect_time_max = 30s;
constexpr std::size_t unanswered_max = 64;    // in a pipe: messages without an echo yet
constexpr std::size_t remembered_max = 1000;  // at a terminal: messages without an echo; a server may send no echoes

// --- the chat ---

struct ChatOptions {
  std::string nick;
  std::string server;             // "host:port" or "unix:/path"
  std::optional<bool> reconnect;  // empty: at a terminal only
  std::optional<TlsClient> tls;   // empty: plain text
};

class Chat {
 public:
  explicit Chat(ChatOptions options)
      : where_(std::move(options.nick)),
        server_(std::move(options.server)),
        tls_(std::move(options.tls)),
        reconnect_option_(options.reconnect) {}

  // Errors are written to standard error.
  Task<> run();
  [[nodiscard]] Exit code() const noexcept { return code_; }

 private:
  using Typed = Terminal::Typed;
  using Messages = std::vector<Message>;

  Task<> converse_to_end(std::optional<Failure>& failure);
  Task<> flush_terminal();
  Task<> converse();
  Task<bool> choose_nick(std::string question, std::string suggestion);
  Task<std::shared_ptr<Wire>> connect_to_server();
  Task<bool> enter();
  Task<std::optional<Messages>> first_answer(Wire& wire);
  Task<bool> choose_another_nick();
  Task<> stay();
  Task<std::string> listen();
  Task<> talk() { return terminal_->interactive() ? talk_typed() : talk_piped(); }
  Task<> talk_typed();
  Task<bool> obey(std::string line);
  Task<> talk_piped();
  Task<> until_unanswered(std::size_t count);
  Task<> say(std::string text);
  Task<> send(std::string text);
  Task<> leave();

  Task<> connect_again(std::string why);
  Task<bool> try_again();
  Task<> send_again();

  void show(const Messages& messages);
  void show(const std::string& text);
  void print(const std::string& text);
  void compare_with_sent(const Message& message);
  [[nodiscard]] std::size_t unanswered() const noexcept { return sent_.size() - std::min(refused_, sent_.size()); }
  [[nodiscard]] bool reconnects() const { return reconnect_option_.value_or(terminal_->interactive()); }
  void fail(std::string_view text, Exit code = failed);
  void complain_once(bool& done_before, std::string_view text);

  Whereabouts where_;
  std::string server_;
  std::optional<TlsClient> tls_;
  std::optional<bool> reconnect_option_;
  std::optional<Terminal> terminal_;
  std::shared_ptr<Wire> wire_;  // a send may outlive its connection
  std::string lost_;            // why there is no connection any more; empty: connected
  Event broken_;                // sending failed
  Exit code_ = done;

  // The messages without an echo, in their order. The server refused refused_ of them; it does not say which.
  struct Sent {
    std::string text;
    std::string echo;           // its echo
    std::string bare_echo;      // of a server without commands, where "//text" stays what it is; empty: the same
    bool is_under_way = false;  // sent, on this connection or an earlier one
  };
  std::deque<Sent> sent_;
  std::size_t refused_ = 0;
  bool echoes_ = false;  // the server sends echoes
  std::size_t sent_count_ = 0;
  std::size_t lost_count_ = 0;
  Event progress_;
  bool told_plain_ = false;
  bool told_bytes_ = false;
  bool told_split_ = false;
};

Task<> Chat::run() {
  terminal_.emplace();
  const bool is_pipe = !terminal_->interactive();
  std::optional<Failure> failure;
  try {
    co_await race(converse_to_end(failure), terminal_->work());
  } catch (const Cancelled&) {    // Ctrl-C: the normal end
  } catch (const Error& error) {  // of standard input or output
    failure = Failure{error.what()};
  }
  terminal_.reset();  // before any other output, and before a second Ctrl-C
  if (failure) fail(failure->text, failure->code);
  if (!lost_.empty() && !failure) fail("not connected: " + lost_);
  if (is_pipe) lost_count_ += sent_.size();
  if (lost_count_ != 0) fail(fmt::format("{} of {} messages were not echoed", lost_count_, sent_count_));
  const auto is_unsent = [](const Sent& sent) { return !sent.is_under_way; };
  const auto unsent = std::ranges::count_if(sent_, is_unsent);
  if (!is_pipe && unsent != 0) fail(fmt::format("{} messages were not sent", unsent));
  if (wire_ && lost_.empty()) co_await leave();
}

void Chat::fail(std::string_view text, Exit code) {
  complain("chat", text);
  code_ = code;
}

void Chat::complain_once(bool& done_before, std::string_view text) {
  if (!std::exchange(done_before, true)) complain("chat", text);
}

Task<> Chat::leave() {
  try {
    co_await shield(leave_time_max, wire_->leave());
  } catch (const Error&) {  // closed already, or slow to close
  }
}

Task<> Chat::converse_to_end(std::optional<Failure>& failure) {
  try {
    co_await converse();
  } catch (const Error& error) {
    failure = Failure{error.what()};
  } catch (const Failure& known) {
    failure = known;
  }
  co_await flush_terminal();
}

// A pipe gets all output; a stopped terminal is not waited for.
Task<> Chat::flush_terminal() {
  if (!terminal_->interactive()) co_return co_await terminal_->flush();
  try {
    co_await timeout(leave_time_max, terminal_->flush());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
  }
}

Task<> Chat::converse() {
  if (where_.nick().empty()) {
    if (!terminal_->interactive()) throw Failure{"no nickname: give --nick NAME", usage};
    const char* const user = std::getenv("USER");  // NOLINT(concurrency-mt-unsafe): never set by us
    const auto suggestion = chat::check_nick(user != nullptr ? std::string_view(user) : std::string_view());
    if (!co_await choose_nick("nickname", suggestion.value_or(""))) co_return;
  }
  wire_ = co_await connect_to_server();
  co_await wire_->expect_question();
  if (co_await enter()) co_await race(stay(), talk());
}

// False: the person chose none.
Task<bool> Chat::choose_nick(std::string question, std::string suggestion) {
  const std::string prompt = suggestion.empty() ? question + ": " : fmt::format("{} [{}]: ", question, suggestion);
  while (true) {
    const auto typed = co_await terminal_->next_line(prompt, Typed::stays);
    if (!typed) co_return false;
    const auto nick = chat::check_nick(typed->empty() ? suggestion : *typed);
    if (!nick) {
      show("error: " + nick.error().text);
      continue;
    }
    where_.set_nick(*nick);
    co_return true;
  }
}

Task<std::shared_ptr<Wire>> Chat::connect_to_server() {
  const ConnectOptions options{.limit = connect_time_max};
  try {
    co_return std::make_shared<Wire>(co_await connect_with_tls(server_, options, tls_));
  } catch (const Error& error) {
    const bool is_path = server_.starts_with("unix:");
    const bool is_absent = error.kind() == ErrorKind::refused || (is_path && error.kind() == ErrorKind::address);
    if (!is_absent) throw Failure{error.what(), exit_code_of(error)};
    std::string how = "coax serve";
    if (is_path) {
      how += " --listen " + server_;
    } else if (const auto port = parse_host_port(server_)->port; *port != default_port) {
      how += fmt::format(" --port {}", *port);
    }
    throw Failure{fmt::format("{}; is the hub running? start it with: {}", error.what(), how), unavailable};
  }
}

// True: joined the room.
Task<bool> Chat::enter() {
  for (int attempt = 1;; ++attempt) {
    co_await wire_->send(where_.nick());
    const auto answer = co_await first_answer(*wire_);
    if (!answer) co_return true;
    if (answer->empty()) throw Failure{"the server closed the connection"};
    if (!is_error(answer->front().text)) {
      show(*answer);
      co_return true;
    }
    if (!terminal_->interactive() || attempt == 2) throw Failure{without_error(answer->front().text)};
    show(*answer);
    if (!co_await choose_another_nick()) co_return false;
  }
}

// Nothing: no answer, as from a tutorial's server.
Task<std::optional<Chat::Messages>> Chat::first_answer(Wire& wire) {
  try {
    co_return co_await timeout(first_answer_time, wire.next());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
  }
  co_return std::nullopt;
}

Task<bool> Chat::choose_another_nick() {
  auto first = co_await race(choose_nick("another nickname", ""), wire_->next());
  if (const bool* const chosen = std::get_if<bool>(&first)) co_return *chosen;
  const auto& messages = std::get<Messages>(first);
  throw Failure{messages.empty() ? "the server closed the connection" : without_error(messages.front().text)};
}

// Shows messages. Throws Failure when the connection ends for good.
Task<> Chat::stay() {
  while (true) {
    broken_.clear();
    const auto first = co_await race(listen(), broken_.wait());
    const std::string* const why = std::get_if<std::string>(&first);
    lost_ = why != nullptr ? *why : "sending failed";
    if (!reconnects()) throw Failure{lost_};
    co_await connect_again(lost_);
  }
}

// Returns why the connection has ended.
Task<std::string> Chat::listen() {
  try {
    while (true) {
      co_await terminal_->has_room();
      const Messages messages = co_await wire_->next();
      if (messages.empty()) co_return "the server closed the connection";
      show(messages);
    }
  } catch (const Error& error) {
    co_return error.what();
  }
}

void Chat::show(const Messages& messages) {
  for (const Message& message : messages) {
    compare_with_sent(message);
    where_.note(message.text);
    if (!terminal_->interactive() && is_error(message.text)) {
      complain("chat", without_error(message.text));
    } else {
      print(message.text);
    }
  }
}

// Our own notices: in a pipe they are not part of the chat.
void Chat::show(const std::string& text) {
  if (terminal_->interactive()) return print(text);
  complain("chat", without_error(text));
}

void Chat::print(const std::string& text) { terminal_->print((terminal_->coloured() ? coloured(text) : text) + "\n"); }

// The refusal of a later message may arrive before the echo of an earlier one.
void Chat::compare_with_sent(const Message& message) {
  if (is_error(message.text)) {
    if (!sent_.empty()) ++refused_;
  } else {
    const auto found = std::ranges::find_if(sent_, [&](const Sent& sent) {
      if (!message.is_line) return message.text.contains(sent.bare_echo.empty() ? sent.echo : sent.bare_echo);
      const std::string_view text = without_room(message.text);
      return text == sent.echo || message.text == sent.echo || (!sent.bare_echo.empty() && text == sent.bare_echo);
    });
    if (found == sent_.end()) return;
    echoes_ = true;
    const auto passed_over = static_cast<std::size_t>(found - sent_.begin());
    lost_count_ += terminal_->interactive() ? 0 : passed_over;
    refused_ -= std::min(refused_, passed_over);
    sent_.erase(sent_.begin(), found + 1);
  }
  progress_.set();
}

// --- sending messages ---

// Without a connection, the message is queued.
Task<> Chat::say(std::string text) {
  const std::string own = where_.nick() + ": ";
  const bool is_escaped = text.starts_with("//");
  sent_.push_back({.text = text,
                   .echo = printable(own + text.substr(is_escaped ? 1 : 0), SIZE_MAX),
                   .bare_echo = is_escaped ? printable(own + text, SIZE_MAX) : ""});
  ++sent_count_;
  if (terminal_->interactive() && sent_.size() > remembered_max) sent_.pop_front();
  if (!lost_.empty()) co_return;
  sent_.back().is_under_way = true;
  co_await send(std::move(text));
}

Task<> Chat::send(std::string text) {
  const std::shared_ptr<Wire> wire = wire_;
  try {
    co_await wire->send_text(where_.nick(), text);
  } catch (const Error&) {
    if (!reconnects()) throw;
    if (wire == wire_) broken_.set();
  }
}

Task<> Chat::talk_typed() {
  show(fmt::format("you are in the chat as {}; /help tells what you can do, Ctrl-D leaves", where_.nick()));
  while (auto line = co_await terminal_->next_line(where_.nick() + "> ", Typed::vanishes)) {
    if (*line == "/quit") co_return;
    if (trim(*line).empty() || co_await obey(*line)) continue;
    bool is_first = true;
    for (std::string& part : split_text(*line, chat::text_bytes_max)) {
      if (!std::exchange(is_first, false)) part = as_message(std::move(part));
      co_await say(std::move(part));
    }
  }
}

// True: it was a command, or not to be sent. Commands of a hub are sent as they are: no echo is expected.
Task<bool> Chat::obey(std::string line) {
  if (!is_command(line)) co_return false;
  const std::string word = line.substr(0, line.find(' '));
  if (word == "/help") {
    show(std::string(help_text));
  } else if (std::ranges::find(hub_commands, word) != hub_commands.end()) {
    if (!lost_.empty()) {
      show("error: not connected; try again later");
    } else {
      co_await send(std::move(line));
    }
  } else {
    std::vector<std::string> known{"/help", "/quit"};
    known.insert(known.end(), hub_commands.begin(), hub_commands.end());
    const std::string text = suggest(fmt::format("error: there is no {}", printable(word)), word, known);
    show(text + "; /help tells what there is, and //text sends /text");
  }
  co_return true;
}

// Makes each line valid for the hub: replaces characters that it would refuse, and splits long lines.
Task<> Chat::talk_piped() {
  const std::string own = where_.nick() + ": ";
  while (const auto line = co_await terminal_->next_line("", Typed::stays)) {
    PlainLine plain = plain_line(*line);
    if (!is_utf8(*line)) {
      complain_once(told_bytes_, "the input has bytes that are not UTF-8: each becomes \xEF\xBF\xBD (U+FFFD)");
    } else if (plain.changed) {
      complain_once(told_plain_, "the input has tabs, colours or other controls: they are expanded or left out");
    }
    if (plain.text.starts_with(own)) plain.text.erase(0, own.size());  // as the hub does
    if (plain.text.empty()) continue;
    auto parts = split_text(plain.text, chat::text_bytes_max);
    if (parts.size() > 1) {
      complain_once(told_split_,
                    fmt::format("the input has lines above {} bytes: they are split", chat::text_bytes_max));
    }
    for (std::string& part : parts) {
      part = as_message(std::move(part));
      co_await until_unanswered(wire_->by_lines() ? unanswered_max - 1 : 0);
      co_await say(part);
    }
  }
  co_await until_unanswered(0);
}

// Time without a connection does not count, nor time in which our own output was blocked.
Task<> Chat::until_unanswered(std::size_t count) {
  while (unanswered() > count) {
    progress_.clear();
    try {
      co_await timeout(echo_time_max, progress_.wait());
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::timed_out) throw;
      if (!lost_.empty() || terminal_->is_full()) continue;
      throw Failure{fmt::format("{} has not answered for {}", server_, format_duration(echo_time_max))};
    }
  }
}

// --- reconnecting ---

// Exponential back-off with jitter, so that the clients of a restarted hub do not reconnect all at once.
Duration pause_before(int attempt) {
  static std::minstd_rand random{std::random_device{}()};
  const Duration most = std::min(reconnect_time_max, reconnect_time_min * (1 << std::min(attempt, 10)));
  std::uniform_int_distribution<Duration::rep> pause(most.count() / 2, most.count());
  return Duration(pause(random));
}

Task<> Chat::connect_again(std::string why) {
  for (int attempt = 0;; ++attempt) {
    const Duration pause = pause_before(attempt);
    const double seconds = std::chrono::duration<double>(pause).count();
    show(fmt::format("error: {}; connecting again in {:.1f} s", why, seconds));
    co_await sleep(pause);
    try {
      if (co_await try_again()) co_return;
      why = lost_;
    } catch (const Error& error) {
      why = error.what();
    } catch (const Failure& failure) {
      why = failure.text;
    }
    lost_ = why;
  }
}

// False: lost_ has the reason.
Task<bool> Chat::try_again() {
  const auto wire = std::make_shared<Wire>(co_await connect_with_tls(server_, {.limit = connect_time_max}, tls_));
  co_await wire->expect_question();
  co_await wire->send(where_.nick());
  const auto answer = co_await first_answer(*wire);
  if (answer && (answer->empty() || is_error(answer->front().text))) {
    lost_ = answer->empty() ? "the server closed the connection" : without_error(answer->front().text);
    co_return false;
  }
  wire_ = wire;
  show(fmt::format("connected again as {}", where_.nick()));
  if (answer) show(*answer);
  for (std::string& command : where_.commands()) co_await wire_->send(std::move(command));
  co_await send_again();
  co_return true;
}

// Messages that were refused, or that a server without echoes got, are not sent again.
Task<> Chat::send_again() {
  const std::size_t refused = std::min(std::exchange(refused_, 0), sent_.size());
  lost_count_ += terminal_->interactive() ? 0 : refused;
  sent_.erase(sent_.begin(), sent_.begin() + static_cast<std::ptrdiff_t>(refused));
  if (!echoes_) std::erase_if(sent_, [](const Sent& sent) { return sent.is_under_way; });
  std::vector<std::string> texts;
  for (Sent& sent : sent_) {
    texts.push_back(sent.text);
    sent.is_under_way = true;
  }
  lost_.clear();  // later messages are sent after these
  progress_.set();
  for (std::string& text : texts) co_await send(std::move(text));
}

// --- the command ---

// The members that belong to the loop are destroyed before it.
Task<> chat_on_loop(ChatOptions options, Exit& code) {
  Chat chat(std::move(options));
  co_await chat.run();
  code = chat.code();
}

// Nothing: it is not a server's address.
std::optional<std::string> read_server(const std::string& given) {
  if (given.starts_with("unix:")) return given;
  if (given.contains("://")) return std::nullopt;
  if (const auto port = parse_port(given); port && *port != 0) return fmt::format("127.0.0.1:{}", *port);
  const auto target = parse_host_port(given);
  if (!target || target->host.empty() || target->port == 0) return std::nullopt;
  const bool is_v6 = target->host.contains(':');
  return fmt::format("{}:{}", is_v6 ? "[" + target->host + "]" : target->host, target->port.value_or(default_port));
}

struct ChatArguments {
  std::vector<std::string> server;  // "host:port", or a host and a port
  std::string nick;
  bool reconnect = false;
  bool no_reconnect = false;
};

int refuse(std::string_view text) {
  complain("chat", text);
  return usage;
}

int chat_with(const ChatArguments& given, const TlsFlags& tls) {
  std::string server_text = given.server.empty() ? "127.0.0.1" : given.server.front();
  if (given.server.size() == 2) {
    const bool is_bare_v6 = server_text.contains(':') && !server_text.starts_with('[');
    server_text = (is_bare_v6 ? "[" + server_text + "]" : server_text) + ":" + given.server.back();
  }
  const auto server = read_server(server_text);
  if (!server) {
    return refuse(fmt::format(
        "\"{}\" is not HOST, HOST:PORT (an IPv6 address with a port: [ADDRESS]:PORT), PORT or unix:PATH", server_text));
  }
  if (given.reconnect && given.no_reconnect) return refuse("--reconnect and --no-reconnect: give one of them");
  ChatOptions options{.nick = {}, .server = *server, .reconnect = std::nullopt, .tls = tls.client()};
  if (given.reconnect || given.no_reconnect) options.reconnect = given.reconnect;
  if (!given.nick.empty()) {
    const auto checked = chat::check_nick(given.nick);
    if (!checked) return refuse("--nick: " + checked.error().text);
    options.nick = *checked;
  }
  ignore_stray_signals();
  Exit code = done;
  const int ran = run(chat_on_loop(std::move(options), code));
  return ran != 0 ? ran : code;
}

Run configure_chat(CLI::App& command) {
  auto given = std::make_shared<ChatArguments>();
  command
      .add_option("server", given->server,
                  "Address of the hub: HOST, HOST:PORT, HOST PORT, PORT or unix:PATH [127.0.0.1:12345]")
      ->type_name("HOST[:PORT]")
      ->expected(1, 2);
  command.add_option("--nick", given->nick, "Your nickname, 1 to 32 characters; asked for at a terminal")
      ->type_name("NAME");
  command.add_flag("--reconnect", given->reconnect,
                   "Connect again when the connection is lost, after 0.5 s to 30 s, under the same nickname; the "
                   "default at a terminal");
  command.add_flag("--no-reconnect", given->no_reconnect, "Do not; the default in a pipe");
  auto tls = std::make_shared<TlsFlags>(command, TlsFlags::Side::client);
  return [given, tls] { return reported("chat", unavailable, [&] { return chat_with(*given, *tls); }); };
}

}  // namespace

const Command chat_command{
    .name = "chat",
    .summary = "Join a hub's chat, from a terminal or in a pipe",
    .details =
        "At a terminal: lines are edited, with a history; a paste of several lines is sent when you press Enter;\n"
        "/help lists the commands, Ctrl-D leaves.\n"
        "In a pipe: each line is sent, without colours and with tabs as blanks, above 4096 bytes in parts. At the end "
        "of\n"
        "the input it waits for the echo of the last line. Until then, messages of the chat are printed, one on a "
        "line.\n"
        "\n"
        "Exit codes: 0 you left, or all lines were echoed; 1 the connection was lost or closed by the hub, or a line "
        "was\n"
        "not echoed; 2 wrong arguments; 3 no answer.\n\n",
    .examples =
        "  coax chat --nick alice\n"
        "  coax chat 192.168.1.5:7000 --nick alice\n"
        "  coax chat --tls hub.example:12345 --nick alice\n"
        "  make 2>&1 | coax chat --nick builder\n"
        "  sleep infinity | coax chat --reconnect --nick logger > chat.log",
    .configure = configure_chat,
};

}  // namespace coax::app
