// coax chat: the hub's plain TCP protocol (docs/protocols.md) for a person at a terminal, and for programs in a pipe.
// It also talks to the servers of the socket tutorials, which know no line ends: as long as the server has sent none,
// what comes without one is a message after a pause, and what is sent has none either.
#include <fmt/core.h>

#include <array>
#include <cstdlib>
#include <deque>
#include <memory>

#include "app/commands.hpp"
#include "app/signals.hpp"
#include "app/terminal.hpp"
#include "coax/address/endpoint.hpp"
#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/task/run.hpp"
#include "coax/task/scope.hpp"
#include "services/chat/room.hpp"

namespace coax::app {

namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t default_port = 12345;
constexpr Duration connect_time_max = 10s;
constexpr Duration question_time_max = 5s;      // for `NICK`
constexpr Duration first_answer_time = 1500ms;  // after the nickname; a tutorial's server may have none
constexpr Duration send_time_max = 30s;
constexpr Duration echo_time_max = 2s;  // in a pipe: for the next of our messages to come back
constexpr Duration leave_time_max = 1s;
constexpr std::size_t unanswered_max = 64;  // in a pipe: messages under way

// What ends the chat with a text on standard error and an exit code.
struct Failure {
  std::string text;
  Exit code = failed;
};

// What the server says to us alone.
constexpr std::string_view error_mark = "error: ";
bool is_error(std::string_view message) { return message.starts_with(error_mark); }
std::string without_error(std::string_view message) {
  return std::string(message.substr(is_error(message) ? error_mark.size() : 0));
}

// --- the wire ---

struct Message {
  std::string text;     // fit for a terminal
  bool is_line = true;  // without a line end it may be several in one
};

class Wire {
 public:
  explicit Wire(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}

  // Reads `NICK`. Throws Failure.
  Task<> expect_question();
  // The server has sent a line end: messages are lines, both ways.
  [[nodiscard]] bool by_lines() const noexcept { return decoder_.saw_line_end(); }
  // All messages that have come; none: the server has finished. Cancelled: nothing is lost.
  Task<std::vector<Message>> next();
  Task<> send(std::string message);
  Task<> send_text(const std::string& nick, const std::string& text) {
    return send(by_lines() ? text : fmt::format("{}: {}", nick, text));
  }
  // Half-close, and read until the server closes: a plain close could destroy what is still on its way to it.
  Task<> leave();

 private:
  static constexpr std::size_t line_bytes_max = 64 << 10;

  Task<Bytes> recv_until_pause();
  static void take(const LineEvent& event, bool is_line, std::vector<Message>& messages);

  std::unique_ptr<Stream> stream_;
  LineDecoder decoder_{line_bytes_max};
  bool unfinished_ = false;  // something may stand without a line end
  bool paused_ = false;
  bool ended_ = false;
};

Task<> Wire::expect_question() {
  std::string question;
  try {
    question = co_await timeout(question_time_max, stream_->recv_exactly(4));
  } catch (const IncompleteRead& read) {
    question = read.received();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
  }
  if (question == "NICK") co_return;
  const std::string said = question.empty() ? "nothing" : fmt::format("\"{}\"", printable(question));
  throw Failure{
      fmt::format("{} is no chat server: it said {} where a chat server says NICK", stream_->peer_name(), said)};
}

Task<std::vector<Message>> Wire::next() {
  std::vector<Message> messages;
  while (true) {
    while (const auto event = decoder_.next()) take(*event, true, messages);
    if (paused_ || ended_) {
      paused_ = unfinished_ = false;
      if (const auto event = decoder_.rest()) take(*event, false, messages);
    }
    if (!messages.empty() || ended_) co_return messages;
    const Bytes bytes = co_await recv_until_pause();
    ended_ = bytes.empty() && !paused_;
    unfinished_ = true;
    decoder_.feed(bytes);
  }
}

// Empty: the stream has ended, or paused_ says that it only paused. Between lines the pause is long, so that no line of
// a slow network is cut; there is one all the same for a tutorial's server that passed on somebody else's line end.
Task<Bytes> Wire::recv_until_pause() {
  if (unfinished_) {
    try {
      const Bytes bytes = co_await timeout(by_lines() ? Duration(1s) : Duration(50ms), stream_->recv());
      co_return bytes;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::timed_out) throw;
      paused_ = true;
    }
    co_return Bytes();
  }
  const Bytes bytes = co_await stream_->recv();
  co_return bytes;
}

void Wire::take(const LineEvent& event, bool is_line, std::vector<Message>& messages) {
  if (event.kind == LineEvent::Kind::too_long) {
    messages.push_back({"error: a message that is much too long was left out"});
  } else if (!event.bytes.empty()) {
    messages.push_back({printable(event.bytes, line_bytes_max), is_line});
  }
}

Task<> Wire::send(std::string message) {
  if (by_lines()) message += '\n';
  co_await timeout(send_time_max, stream_->send(message));
}

Task<> Wire::leave() {
  co_await stream_->finish();
  while (const Bytes bytes = co_await stream_->recv()) {
  }
}

// --- what a person sees ---

// The same colour for the same name, in every terminal; red is for errors.
std::string_view colour_of(std::string_view nick) {
  static constexpr std::array colours{"\x1b[32m", "\x1b[33m", "\x1b[34m", "\x1b[35m", "\x1b[36m",
                                      "\x1b[92m", "\x1b[93m", "\x1b[94m", "\x1b[95m", "\x1b[96m"};
  std::uint32_t hash = 0x811c9dc5;  // FNV-1a
  for (const char c : nick) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x01000193;
  return colours[hash % colours.size()];
}

std::string coloured(std::string_view message) {
  constexpr std::string_view red = "\x1b[31m";
  constexpr std::string_view dim = "\x1b[2m";
  constexpr std::string_view plain = "\x1b[0m";
  if (is_error(message)) return fmt::format("{}{}{}", red, message, plain);
  const std::size_t colon = message.find(": ");
  if (colon == std::string_view::npos) return fmt::format("{}{}{}", dim, message, plain);
  const std::string_view nick = message.substr(0, colon);
  return fmt::format("{}{}{}{}", colour_of(nick), nick, plain, message.substr(colon));
}

// --- the chat ---

class Chat {
 public:
  Chat(std::string nick, std::string server) : nick_(std::move(nick)), server_(std::move(server)) {}

  // What goes wrong is told on standard error.
  Task<> run();
  [[nodiscard]] Exit code() const noexcept { return code_; }

 private:
  using Typed = Terminal::Typed;
  using Messages = std::vector<Message>;

  Task<> converse();
  Task<bool> choose_nick(std::string question, std::string suggestion);
  Task<> connect_to_server();
  Task<bool> enter();
  Task<std::optional<Messages>> first_answer();
  Task<bool> choose_another_nick();
  Task<> listen();
  Task<> talk() { return terminal_->interactive() ? talk_typed() : talk_piped(); }
  Task<> talk_typed();
  Task<> talk_piped();
  Task<> until_unanswered(std::size_t count);
  Task<> leave();

  void show(const Messages& messages);
  void show(std::string text) { show(Messages{{std::move(text)}}); }
  void compare_with_sent(const Message& message);
  [[nodiscard]] std::size_t unanswered() const noexcept { return sent_.size() - std::min(refused_, sent_.size()); }
  void fail(std::string_view text, Exit code = failed);

  std::string nick_;
  std::string server_;  // "host:port" or "unix:/path"
  std::optional<Terminal> terminal_;
  std::optional<Wire> wire_;
  Exit code_ = done;
  // Of what a pipe sends: what has not come back yet, in order. Of these so many were refused; which, nobody says.
  std::deque<std::string> sent_;
  std::size_t refused_ = 0;
  std::size_t sent_count_ = 0;
  std::size_t lost_count_ = 0;
  Event progress_;
};

Task<> Chat::run() {
  std::optional<Failure> failure;
  try {
    co_await converse();
  } catch (const Cancelled&) {  // Ctrl-C: a way to leave
  } catch (const Error& error) {
    failure = Failure{error.what()};
  } catch (const Failure& known) {
    failure = known;
  }
  terminal_.reset();  // before anything else is written, and before a second Ctrl-C
  if (failure) fail(failure->text, failure->code);
  lost_count_ += sent_.size();
  if (lost_count_ != 0) fail(fmt::format("{} of {} messages did not come back", lost_count_, sent_count_));
  if (wire_) co_await leave();
}

void Chat::fail(std::string_view text, Exit code) {
  fmt::print(stderr, "coax chat: {}\n", text);
  code_ = code;
}

Task<> Chat::leave() {
  try {
    co_await shield(leave_time_max, wire_->leave());
  } catch (const Error&) {  // gone already, or slow to close, which we do not wait for
  }
}

Task<> Chat::converse() {
  terminal_.emplace();
  if (nick_.empty()) {
    if (!terminal_->interactive()) throw Failure{"who are you? give --nick NAME", usage};
    const char* const user = std::getenv("USER");  // NOLINT(concurrency-mt-unsafe): nobody sets it
    const auto suggestion = chat::check_nick(user != nullptr ? std::string_view(user) : std::string_view());
    if (!co_await choose_nick("nickname", suggestion.value_or(""))) co_return;
  }
  co_await connect_to_server();
  co_await wire_->expect_question();
  if (co_await enter()) co_await race(listen(), talk());
}

// False: nobody wants to choose.
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
    nick_ = *nick;
    co_return true;
  }
}

Task<> Chat::connect_to_server() {
  const ConnectOptions options{.limit = connect_time_max};
  try {
    wire_.emplace(co_await connect(server_, options));
  } catch (const Error& error) {
    const bool is_path = server_.starts_with("unix:");
    const bool is_absent = error.kind() == ErrorKind::refused || (is_path && error.kind() == ErrorKind::address);
    if (!is_absent) throw Failure{error.what(), unavailable};
    std::string how = "coax serve";
    if (is_path) {
      how += " --listen " + server_;
    } else if (const auto port = parse_host_port(server_)->port; *port != default_port) {
      how += fmt::format(" --port {}", *port);
    }
    throw Failure{fmt::format("{}; is the hub running? start it with: {}", error.what(), how), unavailable};
  }
}

// True: in the room.
Task<bool> Chat::enter() {
  for (int attempt = 1;; ++attempt) {
    co_await wire_->send(nick_);
    const auto answer = co_await first_answer();
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

// Nothing: it has said nothing, as a tutorial's server may.
Task<std::optional<Chat::Messages>> Chat::first_answer() {
  try {
    co_return co_await timeout(first_answer_time, wire_->next());
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

Task<> Chat::listen() {
  while (true) {
    const Messages messages = co_await wire_->next();
    if (messages.empty()) throw Failure{"the server closed the connection", done};
    show(messages);
  }
}

void Chat::show(const Messages& messages) {
  std::string out;
  for (const Message& message : messages) {
    if (!terminal_->interactive()) compare_with_sent(message);
    if (!terminal_->interactive() && is_error(message.text)) {
      fmt::print(stderr, "coax chat: {}\n", without_error(message.text));
    } else {
      out.append(terminal_->coloured() ? coloured(message.text) : message.text).append("\n");
    }
  }
  terminal_->print(out);
}

// --- at a terminal ---

Task<> Chat::talk_typed() {
  show(fmt::format("you are in the chat as {}; /help tells what you can do, Ctrl-D leaves", nick_));
  while (auto line = co_await terminal_->next_line(nick_ + "> ", Typed::vanishes)) {
    if (*line == "/quit") co_return;
    if (*line == "/help") {
      show("What you type goes to everybody in the chat. /quit or Ctrl-D leaves; //text sends /text.");
      continue;
    }
    if (line->starts_with("//")) {
      line->erase(0, 1);
    } else if (line->starts_with('/')) {
      show(fmt::format("error: there is no {}; /help tells what there is, and //text sends /text", printable(*line)));
      continue;
    }
    if (!trim(*line).empty()) co_await wire_->send_text(nick_, *line);
  }
}

// --- in a pipe ---

Task<> Chat::talk_piped() {
  const std::string own = nick_ + ": ";
  while (auto line = co_await terminal_->next_line("", Typed::stays)) {
    if (line->starts_with(own)) line->erase(0, own.size());  // as the hub does
    if (line->empty()) continue;
    co_await until_unanswered(wire_->by_lines() ? unanswered_max - 1 : 0);
    sent_.push_back(printable(own + *line, SIZE_MAX));
    ++sent_count_;
    co_await wire_->send_text(nick_, *line);
  }
  co_await until_unanswered(0);
}

Task<> Chat::until_unanswered(std::size_t count) {
  while (unanswered() > count) {
    progress_.clear();
    try {
      co_await timeout(echo_time_max, progress_.wait());
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::timed_out) throw;
      throw Failure{fmt::format("the server has not answered for {}", format_duration(echo_time_max))};
    }
  }
}

// A message may be overtaken by the refusal of a later one.
void Chat::compare_with_sent(const Message& message) {
  if (is_error(message.text)) {
    if (!sent_.empty()) ++refused_;
  } else {
    const auto found = std::ranges::find_if(sent_, [&](const std::string& sent) {
      return message.is_line ? message.text == sent : message.text.find(sent) != std::string::npos;
    });
    if (found == sent_.end()) return;
    const auto passed_over = static_cast<std::size_t>(found - sent_.begin());
    lost_count_ += passed_over;
    refused_ -= std::min(refused_, passed_over);
    sent_.erase(sent_.begin(), found + 1);
  }
  progress_.set();
}

// --- the command ---

// Everything that belongs to the loop ends before it does.
Task<> chat_on_loop(std::string nick, std::string server, Exit& code) {
  Chat chat(std::move(nick), std::move(server));
  co_await chat.run();
  code = chat.code();
}

// Nothing: it is none.
std::optional<std::string> read_server(const std::string& given) {
  if (given.starts_with("unix:")) return given;
  const auto target = parse_host_port(given);
  if (!target || target->host.empty() || target->port == 0) return std::nullopt;
  const bool is_v6 = target->host.contains(':');
  return fmt::format("{}:{}", is_v6 ? "[" + target->host + "]" : target->host, target->port.value_or(default_port));
}

int chat_with(const std::string& given, const std::string& nick) {
  const auto server = read_server(given);
  if (!server) {
    fmt::print(stderr,
               "coax chat: \"{}\" is not HOST, HOST:PORT (an IPv6 address with a port: [ADDRESS]:PORT) or unix:PATH\n",
               given);
    return usage;
  }
  std::string chosen;
  if (!nick.empty()) {
    const auto checked = chat::check_nick(nick);
    if (!checked) {
      fmt::print(stderr, "coax chat: --nick: {}\n", checked.error().text);
      return usage;
    }
    chosen = *checked;
  }
  ignore_stray_signals();
  try {
    Exit code = done;
    const int ran = run(chat_on_loop(chosen, *server, code));
    return ran != 0 ? ran : code;
  } catch (const Error& error) {
    fmt::print(stderr, "coax chat: {}\n", error.what());
    return unavailable;
  }
}

}  // namespace

void add_chat(CLI::App& program, Chosen& chosen) {
  CLI::App* command = program.add_subcommand("chat", "Join a hub's chat, from a terminal or in a pipe");
  struct Given {
    std::string server = "127.0.0.1";
    std::string nick;
  };
  auto given = std::make_shared<Given>();
  command->add_option("server", given->server, "Where the hub is: HOST, HOST:PORT or unix:PATH [127.0.0.1:12345]")
      ->type_name("HOST[:PORT]");
  command->add_option("--nick", given->nick, "Who you are, in 1 to 32 characters; a terminal asks for it")
      ->type_name("NAME");
  command->footer(
      "At a terminal: lines are edited, with a history; /help lists the commands, Ctrl-D leaves.\n"
      "In a pipe: each line is sent as it is; at the end it waits until the last has come back, and exits with 0 only\n"
      "when all have. What is said in the chat comes out, a line each, for as long as the input is open.\n\n"
      "Examples:\n  coax chat --nick alice\n  coax chat 192.168.1.5:7000 --nick alice\n"
      "  echo \"the build is done\" | coax chat --nick builder\n  sleep infinity | coax chat --nick logger > chat.log");
  command->callback([given, &chosen] { chosen = [given] { return chat_with(given->server, given->nick); }; });
}

}  // namespace coax::app
