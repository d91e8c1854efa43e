// Two tasks, one for each direction. Each reads again only after its last piece was written: a slow receiver slows the
// sender on the other side (backpressure), and only one piece is buffered each way. A third task watches the time
// limits.
#include "app/console/relay.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <deque>

#include "app/console/report.hpp"
#include "coax/base/error.hpp"
#include "coax/loop/timers.hpp"
#include "coax/stream/recording_stream.hpp"
#include "coax/task/scope.hpp"

namespace coax::app {

namespace {

using namespace std::chrono_literals;

constexpr Duration input_pause = 500ms;  // see RelayOptions::another_follows
constexpr Duration report_time_max = 1s;

}  // namespace

std::string_view to_string(RelayEnd end) noexcept {
  switch (end) {
    case RelayEnd::finished: return "finished";
    case RelayEnd::peer_silent: return "silent";
    case RelayEnd::peer_stuck: return "stuck";
    case RelayEnd::idle: return "idle";
  }
  return "";
}

// --- Relay ---

Relay::Relay(StandardInput& input, Transcript& transcript, const RelayOptions& options) noexcept
    : input_(input), transcript_(transcript), options_(options), blocks_(options.crlf) {}

Task<RelayEnd> Relay::run() {
  co_await begin();
  try {
    co_await race(exchange(), watch(), stop_early_.wait());
  } catch (const Error&) {
    failure_ = std::current_exception();
  }
  co_await write_records();
  if (failure_) std::rethrow_exception(failure_);
  co_return end_;
}

Task<> Relay::both_ways() { co_await all(send_all(), recv_all()); }

Task<> Relay::send_all() {
  if (!options_.input) {
    Event never;
    co_await never.wait();
  }
  co_await wait_for_peer();
  while (true) {
    const BytesView piece = co_await input_.next();
    if (piece.empty()) break;
    const BytesView bytes = options_.lines ? blocks_.feed(piece) : piece;
    const bool is_sent = co_await send(bytes);
    if (!is_sent) co_return;
  }
  const BytesView rest = blocks_.rest(true);
  const bool is_sent = co_await send(rest);
  if (!is_sent) co_return;
  const bool has_finished = co_await finish_sending();
  if (!has_finished) co_return;
  record_finished(we_finished_);
}

void Relay::record_finished(bool& side) noexcept {
  side = true;
  last_active_ = Clock::now();
  changed_.set();
}

Task<> Relay::watch() {
  while (true) {
    const auto until = due();
    if (until && *until <= Clock::now()) break;
    changed_.clear();
    if (until) {
      co_await race(sleep_until(*until), changed_.wait());
    } else {
      co_await changed_.wait();
    }
  }
  end_ = end_when_due();
}

// --- over a stream ---

namespace {

class StreamRelay final : public Relay {
 public:
  StreamRelay(std::unique_ptr<Stream> stream, StandardInput& input, Transcript& transcript, const RelayOptions& options)
      : Relay(input, transcript, options),
        stream_(std::move(stream), [this](Direction direction, BytesView bytes) noexcept { record(direction, bytes); }),
        peer_(stream_.peer_name()),
        at_terminal_(::isatty(STDIN_FILENO) == 1) {}

  Task<> write_records() override;
  void close() noexcept override { stream_.close(); }
  [[nodiscard]] std::string error_message_for(RelayEnd end) const override;
  [[nodiscard]] Exit exit_code_for(RelayEnd end) const noexcept override {
    const bool is_failure = end == RelayEnd::idle || (end != RelayEnd::finished && options_.wait_is_failure);
    return is_failure ? failed : done;
  }

 private:
  using Direction = RecordingStream::Direction;
  struct Record {
    Direction direction;
    std::string bytes;  // empty: that side has finished
  };

  void record(Direction direction, BytesView bytes);
  Task<> write(const Record& record);
  Task<> write_all_records();
  Task<> begin() override { co_await transcript_.connected(peer_); }
  Task<> exchange() override { co_await race(both_ways(), write_all_records()); }
  Task<> wait_for_peer() override { co_return; }
  Task<bool> send(BytesView bytes) override;
  Task<bool> finish_sending() override;
  Task<> recv_all() override;
  [[nodiscard]] std::optional<TimePoint> due() const override;
  [[nodiscard]] RelayEnd end_when_due() const noexcept override;

  RecordingStream stream_;
  std::deque<Record> records_;  // not written yet: at most one piece each way
  Event recorded_;
  std::string peer_;
  bool at_terminal_;
  bool peer_finished_ = false;
};

std::string StreamRelay::error_message_for(RelayEnd end) const {
  if (end == RelayEnd::finished) return {};
  if (end == RelayEnd::idle) {
    return fmt::format("{}: no traffic for {} (--idle)", peer_, format_duration(*options_.idle));
  }
  if (end == RelayEnd::peer_stuck) {
    return fmt::format("{}: the peer has finished, and accepted none of the remaining bytes for {} (--wait)", peer_,
                       format_duration(options_.wait));
  }
  return fmt::format("{}: the peer was silent for {} after our end and has not finished (--wait)", peer_,
                     format_duration(options_.wait));
}

// The stream pauses until the record is written: its peer and standard input are read no faster than standard output.
void StreamRelay::record(Direction direction, BytesView bytes) {
  records_.push_back({.direction = direction, .bytes = bytes.string()});
  recorded_.set();
  stream_.pause();
}

Task<> StreamRelay::write(const Record& record) {
  const bool is_received = record.direction == Direction::received;
  if (record.bytes.empty()) return is_received ? transcript_.peer_finished() : transcript_.we_finished();
  return is_received ? transcript_.received(record.bytes) : transcript_.sent(record.bytes);
}

Task<> StreamRelay::write_records() {
  while (!records_.empty()) {
    const Record record = std::move(records_.front());
    records_.pop_front();
    co_await write(record);
  }
  stream_.resume();
}

Task<> StreamRelay::write_all_records() {
  while (true) {
    co_await recorded_.wait();
    recorded_.clear();
    co_await write_records();
  }
}

Task<bool> StreamRelay::send(BytesView bytes) {
  if (bytes.empty()) co_return true;
  sending_ = true;
  try {
    co_await stream_.send(bytes);
  } catch (const Error&) {
    failure_ = std::current_exception();
    record_finished(we_finished_);
    co_return false;
  }
  sending_ = false;
  last_active_ = Clock::now();
  co_return true;
}

Task<bool> StreamRelay::finish_sending() {
  try {
    co_await stream_.shutdown_send();
  } catch (const Error&) {
    failure_ = std::current_exception();
    record_finished(we_finished_);
    co_return false;
  }
  co_return true;
}

Task<> StreamRelay::recv_all() {
  while (const BytesView bytes = co_await stream_.recv()) last_active_ = Clock::now();
  // Without input, or with a person at the terminal, nothing is left to do once the peer has finished.
  if (!options_.input || (at_terminal_ && !we_finished_)) stop_early_.set();
  record_finished(peer_finished_);
}

std::optional<TimePoint> StreamRelay::due() const {
  std::optional<TimePoint> first;
  // A peer that accepts some of the sent bytes is not silent, nor is one whose bytes wait for our own output.
  const TimePoint last_active = std::max({last_active_, stream_.last_active(), transcript_.last_busy()});
  if (options_.idle) first = later(last_active, *options_.idle);
  const auto no_later_than = [&first](TimePoint time) { first = std::min(first.value_or(time), time); };
  if (we_finished_ || peer_finished_) no_later_than(later(last_active, options_.wait));
  if (peer_finished_ && options_.another_follows) no_later_than((sending_ ? Clock::now() : last_active_) + input_pause);
  return first;
}

RelayEnd StreamRelay::end_when_due() const noexcept {
  const bool neither_finished = !we_finished_ && !peer_finished_;
  const bool is_idle = options_.idle && (neither_finished || *options_.idle < options_.wait);
  if (peer_finished_ && !sending_) return RelayEnd::finished;
  return is_idle ? RelayEnd::idle : peer_finished_ ? RelayEnd::peer_stuck : RelayEnd::peer_silent;
}

// --- a relay from start to end ---

// StandardInput and StandardOutput name their peer "standard input" and "standard output".
bool is_of_standard_io(const Error& error) { return error.peer().starts_with("standard "); }

Task<> report_end(Relay& relay, Transcript& transcript, std::string complaint, std::string why) {
  try {
    co_await relay.write_records();
    if (!complaint.empty()) co_await transcript.failed(complaint);
    co_await transcript.closed(why);
  } catch (const Error&) {  // standard output has no reader any more
  }
}

}  // namespace

Task<Outcome> run_relay(std::string_view command, Relay& relay, Transcript& transcript) {
  Outcome outcome;
  std::string why = "interrupted";
  std::string complaint;
  bool interrupted = false;
  try {
    const RelayEnd end = co_await relay.run();
    why = to_string(end);
    complaint = relay.error_message_for(end);
    outcome.code = relay.exit_code_for(end);
  } catch (const Cancelled&) {
    interrupted = true;
  } catch (const Error& error) {
    why = "failed";
    complaint = error.what();
    outcome = {.code = failed, .may_go_on = !is_of_standard_io(error)};
  }
  relay.close();
  if (outcome.code != done && !complaint.empty()) complain(command, complaint);
  if (outcome.may_go_on) {
    try {
      co_await shield(report_time_max, report_end(relay, transcript, complaint, why));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::timed_out) throw;
      record_output_failure(ETIMEDOUT);  // its reader does not read
    }
  }
  if (interrupted) throw Cancelled();
  co_return outcome;
}

Task<Outcome> run_relay(std::string_view command, std::unique_ptr<Stream> stream, StandardInput& input,
                        Transcript& transcript, const RelayOptions& options) {
  StreamRelay relay(std::move(stream), input, transcript, options);
  co_return co_await run_relay(command, relay, transcript);
}

// --- options ---

RelayFlags::RelayFlags(CLI::App& command) {
  command.add_flag("--hex", hex_, "Show both directions as a hex dump, instead of the received bytes");
  command.add_flag("--json", json_, "Show every event, one JSON object on each line");
  command.add_flag("--line", lines_, "Line by line, both ways; a missing last line end is added");
  command.add_flag("--crlf", crlf_, "As --line, and the lines that are sent end with CRLF");
  command.add_flag("--no-input", no_input_, "Do not read standard input; our side stays open until the peer finishes");
  wait_option_ = command
                     .add_option("--wait", wait_,
                                 "How long the other side may be silent once one has finished [30s]; with this "
                                 "option, a silent peer is not a failure")
                     ->type_name("TIME");
  command.add_option("--idle", idle_, "Give up a connection without traffic for this long [no limit]")
      ->type_name("TIME");
}

bool RelayFlags::any_but_json() const noexcept {
  return hex_ || lines_ || crlf_ || no_input_ || !idle_.empty() || wait_option_->count() != 0;
}

RelayOptions RelayFlags::options() const {
  if (hex_ && json_) throw WrongUsage{"--hex and --json are two ways to show the same: give one of them"};
  return {.form = hex_    ? Form::hex
                  : json_ ? Form::json
                          : Form::verbatim,
          .lines = lines_ || crlf_,
          .crlf = crlf_,
          .input = !no_input_,
          .wait = duration_of("--wait", wait_),
          .wait_is_failure = wait_option_->count() == 0,
          .idle = idle_.empty() ? std::nullopt : std::optional(duration_of("--idle", idle_))};
}

}  // namespace coax::app
