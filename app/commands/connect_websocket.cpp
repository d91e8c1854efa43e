// Lines of standard input become text messages, and messages become lines. A WebSocket has no half-close: once the
// input has ended, it is closed when nothing has arrived for a while.
#include "app/commands/connect_websocket.hpp"

#include <fmt/core.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <utility>

#include "app/console/datagrams.hpp"
#include "app/console/report.hpp"
#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/http/websocket_client.hpp"
#include "coax/stream/recording_stream.hpp"
#include "coax/task/run.hpp"

namespace coax::app {

namespace {

constexpr std::size_t message_bytes_max = 16_MiB;
constexpr Duration close_time_max = std::chrono::seconds(10);

bool has_scheme(std::string_view text, std::string_view scheme) noexcept {
  return text.size() > scheme.size() && equal_ignoring_case(text.substr(0, scheme.size()), scheme);
}

// The lines of both heads of the handshake, on standard error.
class HandshakeLines {
 public:
  void operator()(RecordingStream::Direction direction, BytesView bytes) noexcept {
    Head& head = direction == RecordingStream::Direction::sent ? request_ : response_;
    for (const char c : bytes) {
      if (head.is_complete) return;
      if (c != '\n') {
        head.line.push_back(c);
        continue;
      }
      if (head.line.ends_with('\r')) head.line.pop_back();
      head.is_complete = head.line.empty();
      if (!head.is_complete) complain("connect", (&head == &request_ ? "> " : "< ") + printable(head.line));
      head.line.clear();
    }
  }

 private:
  struct Head {
    std::string line;
    bool is_complete = false;
  };
  Head request_;
  Head response_;
};

Task<std::unique_ptr<Stream>> connect_stream(std::string where, Duration limit, std::optional<TlsClient> tls,
                                             bool verbose) {
  std::unique_ptr<Stream> stream = co_await connect_with_tls(std::move(where), {.limit = limit}, tls);
  if (!verbose) co_return stream;
  if (tls) print_tls("connect", static_cast<const tls::Stream&>(*stream));
  co_return std::make_unique<RecordingStream>(std::move(stream), HandshakeLines());
}

class WebSocketRelay final : public Relay {
 public:
  WebSocketRelay(std::unique_ptr<ws::Client> client, StandardInput& input, Transcript& transcript,
                 const RelayOptions& options, bool is_binary, bool is_verbose)
      : Relay(input, transcript, options),
        client_(std::move(client)),
        peer_(client_->stream().peer_name()),
        is_binary_(is_binary),
        is_verbose_(is_verbose) {}

  void close() noexcept override { client_.reset(); }
  [[nodiscard]] std::string error_message_for(RelayEnd end) const override;
  [[nodiscard]] Exit exit_code_for(RelayEnd end) const noexcept override {
    return end == RelayEnd::finished && is_normal() && unsent() == 0 ? done : failed;
  }

 private:
  Task<> begin() override { co_await transcript_.connected(peer_); }
  Task<> wait_for_peer() override { co_return; }
  Task<> exchange() override;
  Task<bool> send(BytesView bytes) override;
  Task<bool> finish_sending() override;
  Task<> recv_all() override;
  [[nodiscard]] std::optional<TimePoint> due() const override {
    return closing_since_ ? std::optional(later(*closing_since_, close_time_max)) : std::nullopt;
  }
  [[nodiscard]] RelayEnd end_when_due() const noexcept override { return RelayEnd::peer_silent; }

  Task<bool> send_message(BytesView message);
  [[nodiscard]] bool is_normal() const noexcept { return code_ == 1000 || code_ == 1001 || code_ == 1005; }
  [[nodiscard]] std::string close_text() const;
  [[nodiscard]] std::size_t unsent() const noexcept { return unsent_ + (line_.empty() ? 0 : 1); }

  std::unique_ptr<ws::Client> client_;
  std::string peer_;
  std::string line_;        // the incomplete one
  std::size_t unsent_ = 0;  // lines, or in binary parts of the input, that were read and not sent
  bool is_binary_;
  bool is_verbose_;
  Event peer_closed_;
  std::optional<TimePoint> closing_since_;
  std::uint16_t code_ = ws::close_code::abnormal;
  std::string reason_;
};

std::string WebSocketRelay::close_text() const {
  if (code_ == ws::close_code::abnormal) return "the connection ended without a close frame";
  const std::string code = code_ == ws::close_code::none ? "no code" : std::to_string(code_);
  return fmt::format("closed with {}{}{}", code, reason_.empty() ? "" : ": ", printable(reason_));
}

std::string WebSocketRelay::error_message_for(RelayEnd end) const {
  if (end == RelayEnd::finished && unsent() != 0) {
    const std::string what = is_binary_ ? "the last part of the input was"
                                        : fmt::format("{} {} of the input", unsent(), unsent() == 1 ? "line" : "lines");
    return fmt::format("{}: {}{} not sent: {}", peer_, what,
                       is_binary_      ? ""
                       : unsent() == 1 ? " was"
                                       : " were",
                       close_text());
  }
  if (end == RelayEnd::finished) return is_normal() ? std::string() : peer_ + ": " + close_text();
  return fmt::format("{}: the close was not answered within {}", peer_, format_duration(close_time_max));
}

// Until both have closed. Standard input may still be open when the peer has.
Task<> WebSocketRelay::exchange() {
  co_await race(both_ways(), peer_closed_.wait());
  co_await client_->wait_closed();
  code_ = client_->peer_close_code();
  reason_ = client_->peer_close_reason();
  if (is_verbose_) complain("connect", peer_ + ": " + close_text());
  co_await transcript_.peer_closed(code_, reason_);
}

Task<> WebSocketRelay::recv_all() {
  while (const ws::Message message = co_await client_->recv()) {
    last_active_ = Clock::now();
    co_await transcript_.received_message(message.data, message.is_text(), !is_binary_);
  }
  if (!closing_since_) peer_closed_.set();
}

// False: the WebSocket has failed or is closed; recv_all() learns why.
Task<bool> WebSocketRelay::send_message(BytesView message) {
  try {
    co_await (is_binary_ ? client_->send_binary(message) : client_->send_text(message));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::invalid) throw;
    co_return false;
  }
  last_active_ = Clock::now();
  co_await transcript_.sent_message(message, !is_binary_);
  co_return true;
}

Task<bool> WebSocketRelay::send(BytesView bytes) {
  if (is_binary_) {
    if (bytes.empty()) co_return true;
    unsent_ = 1;
    const bool is_sent = co_await send_message(bytes);
    if (is_sent) unsent_ = 0;
    co_return is_sent;
  }
  unsent_ = static_cast<std::size_t>(std::ranges::count(bytes.text(), '\n'));
  while (!bytes.empty()) {
    const std::size_t end = std::min(bytes.text().find('\n'), bytes.size());
    line_.append(bytes.first(end));
    if (line_.size() > message_bytes_max) {
      throw Error(ErrorKind::invalid, "read", "standard input",
                  "a line is longer than " + format_size(message_bytes_max));
    }
    if (end == bytes.size()) break;
    bytes = bytes.from(end + 1);
    if (line_.ends_with('\r')) line_.pop_back();
    const std::string message = std::exchange(line_, {});
    const bool is_sent = co_await send_message(message);
    if (!is_sent) {
      line_ = bytes.text().substr(bytes.text().rfind('\n') + 1);
      co_return false;
    }
    --unsent_;
  }
  co_return true;
}

Task<bool> WebSocketRelay::finish_sending() {
  const std::string rest = std::exchange(line_, {});
  if (!rest.empty()) {
    unsent_ = 1;
    const bool is_sent = co_await send_message(rest);
    if (!is_sent) co_return false;
    unsent_ = 0;
  }
  co_await transcript_.we_finished();
  last_active_ = Clock::now();
  while (Clock::now() < later(last_active_, options_.wait)) co_await sleep_until(later(last_active_, options_.wait));
  closing_since_ = Clock::now();
  co_await client_->close();
  co_return true;  // and the limit of the answer begins
}

Task<> run_websocket(std::string url, const ws::ClientOptions& how, const RelayOptions& options, bool is_binary,
                     bool is_verbose, int& code) {
  StandardInput input;
  Transcript transcript(options.form, false);
  std::string failure;
  try {
    auto client = co_await ws::connect(url, how);
    WebSocketRelay relay(std::move(client), input, transcript, options, is_binary, is_verbose);
    const Outcome outcome = co_await run_relay("connect", relay, transcript);
    code = outcome.code;
    co_return;
  } catch (const ws::HandshakeError& error) {
    failure = error.what();
    code = failed;
  } catch (const Error& error) {
    failure = error.what();
    code = exit_code_of(error);
  } catch (const Cancelled&) {
    code = options.input ? failed : done;
    co_return;
  }
  complain("connect", failure);
  co_await transcript.failed(failure);
}

std::pair<std::string, std::string> header_of(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) throw WrongUsage{"--header " + text + ": write it as NAME:VALUE"};
  std::string name(trim(text.substr(0, colon)));
  if (ws::is_set_by_handshake(name)) throw WrongUsage{"--header " + name + ": the handshake itself sets it"};
  return {std::move(name), std::string(trim(std::string_view(text).substr(colon + 1)))};
}

}  // namespace

bool is_secure_websocket_url(std::string_view text) noexcept { return has_scheme(text, "wss://"); }

bool is_websocket_url(std::string_view text) noexcept {
  return has_scheme(text, "ws://") || is_secure_websocket_url(text);
}

WebSocketFlags::WebSocketFlags(CLI::App& command) {
  command.add_flag("--binary", is_binary_,
                   "ws: standard input is sent in binary messages, and messages are written without line ends");
  command.add_option("--header", headers_, "ws: a header of the request")
      ->type_name("NAME:VALUE")
      ->expected(1)
      ->take_all();
  command.add_option("--protocol", protocols_, "ws: a subprotocol, the preferred one first")
      ->type_name("NAME")
      ->expected(1)
      ->take_all();
  command.add_option("--origin", origin_, "ws: the header Origin, as a browser sends it")->type_name("ORIGIN");
  command.add_option("--ping", ping_, "ws: how long the peer may be silent before it is pinged [15s]")
      ->type_name("TIME");
}

bool WebSocketFlags::any() const noexcept {
  return is_binary_ || !headers_.empty() || !protocols_.empty() || !origin_.empty() || !ping_.empty();
}

int WebSocketFlags::connect(const std::string& url, RelayOptions options, Duration limit,
                            const std::optional<TlsClient>& tls, bool is_verbose) const {
  if (options.lines || options.idle) {
    throw WrongUsage{
        "--line, --crlf and --idle are not for WebSockets: a line is a message, and --ping finds a dead "
        "peer"};
  }
  ws::ClientOptions how{.protocols = protocols_, .open_limit = limit};
  for (const std::string& header : headers_) how.headers.push_back(header_of(header));
  if (!origin_.empty()) how.headers.emplace_back("Origin", origin_);
  how.websocket.message_bytes_max = message_bytes_max;
  if (!ping_.empty()) {
    how.websocket.ping_interval = duration_of("--ping", ping_);
    how.websocket.silence_max = 2 * how.websocket.ping_interval;
  }
  how.tls = how.connector = [&](std::string where) { return connect_stream(std::move(where), limit, tls, is_verbose); };
  options = for_datagrams(options);  // the wait after the end of the input
  int code = failed;
  const int ran = run(run_websocket(url, how, options, is_binary_, is_verbose, code));
  return ran != 0 ? ran : code;
}

}  // namespace coax::app
