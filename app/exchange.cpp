// Two tasks, one for each direction, each of which reads on only when what it read is written: a reader that is slow,
// here or there, holds up the writer behind it, and nothing is stored but a piece each way. A third watches the clock.
#include "app/exchange.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <algorithm>

#include "app/report.hpp"
#include "coax/base/error.hpp"
#include "coax/loop/timers.hpp"
#include "coax/task/scope.hpp"

namespace coax::app {

namespace {

using namespace std::chrono_literals;

constexpr Duration input_pause = 500ms;
constexpr Duration last_words_time_max = 1s;

}  // namespace

std::string_view to_string(ExchangeEnd end) noexcept {
  switch (end) {
    case ExchangeEnd::finished: return "finished";
    case ExchangeEnd::peer_silent: return "silent";
    case ExchangeEnd::peer_stuck: return "stuck";
    case ExchangeEnd::idle: return "idle";
  }
  return "";
}

Exchange::Exchange(Stream& stream, StandardInput& input, Transcript& transcript,
                   const ExchangeOptions& options) noexcept
    : stream_(stream),
      input_(input),
      transcript_(transcript),
      options_(options),
      at_terminal_(::isatty(STDIN_FILENO) == 1),
      blocks_(options.crlf) {}

Task<ExchangeEnd> Exchange::run() {
  co_await race(both_ways(), watch(), enough_.wait());
  if (broken_) std::rethrow_exception(broken_);
  co_return end_;
}

Task<> Exchange::both_ways() { co_await all(send_all(), recv_all()); }

Task<> Exchange::send_all() {
  if (!options_.input) {
    Event never;
    co_await never.wait();
  }
  while (true) {
    const Bytes piece = co_await input_.next();
    if (piece.empty()) break;
    const Bytes bytes = options_.lines ? blocks_.feed(piece) : piece;
    const bool is_sent = co_await send(bytes);
    if (!is_sent) co_return;
  }
  const Bytes rest = blocks_.rest(true);
  const bool is_sent = co_await send(rest);
  if (!is_sent) co_return;
  const bool has_finished = co_await finish();
  if (!has_finished) co_return;
  co_await transcript_.we_finished();
  side_finished(we_finished_);
}

// False: the connection is broken.
Task<bool> Exchange::send(Bytes bytes) {
  if (bytes.empty()) co_return true;
  sending_ = true;
  try {
    co_await stream_.send(bytes);
  } catch (const Error&) {
    broken_ = std::current_exception();
    side_finished(we_finished_);
    co_return false;
  }
  sending_ = false;
  last_active_ = Clock::now();
  co_await transcript_.sent(bytes);
  co_return true;
}

Task<bool> Exchange::finish() {
  try {
    co_await stream_.shutdown_send();
  } catch (const Error&) {
    broken_ = std::current_exception();
    side_finished(we_finished_);
    co_return false;
  }
  co_return true;
}

Task<> Exchange::recv_all() {
  while (const Bytes bytes = co_await stream_.recv()) {
    last_active_ = Clock::now();
    co_await transcript_.received(bytes);
  }
  co_await transcript_.peer_finished();
  if (!options_.input || (at_terminal_ && !we_finished_)) enough_.set();
  side_finished(peer_finished_);
}

void Exchange::side_finished(bool& side) noexcept {
  side = true;
  last_active_ = Clock::now();
  side_finished_.set();
}

// When it will have been quiet for too long, or is to be looked at again; nothing: it may be quiet.
std::optional<TimePoint> Exchange::due() const {
  std::optional<TimePoint> first;
  // A peer that takes a part of what is sent is not silent, nor is one whose bytes wait for our own reader.
  const TimePoint last_active = std::max({last_active_, stream_.last_active(), transcript_.last_busy()});
  if (options_.idle) first = later(last_active, *options_.idle);
  const auto at = [&first](TimePoint time) { first = std::min(first.value_or(time), time); };
  if (we_finished_ || peer_finished_) at(later(last_active, options_.wait));
  if (peer_finished_ && options_.for_the_next) at((sending_ ? Clock::now() : last_active_) + input_pause);
  return first;
}

Task<> Exchange::watch() {
  while (true) {
    const auto until = due();
    if (until && *until <= Clock::now()) break;
    side_finished_.clear();
    if (until) {
      co_await race(sleep_until(*until), side_finished_.wait());
    } else {
      co_await side_finished_.wait();
    }
  }
  const bool is_shared = !we_finished_ && !peer_finished_;
  const bool is_idle = options_.idle && (is_shared || *options_.idle < options_.wait);
  if (peer_finished_ && !sending_) co_return;
  end_ = is_idle ? ExchangeEnd::idle : peer_finished_ ? ExchangeEnd::peer_stuck : ExchangeEnd::peer_silent;
}

// --- a connection from its beginning to its end ---

namespace {

bool is_of_standard_io(const Error& error) { return error.peer().starts_with("standard "); }

std::string complaint_about(ExchangeEnd end, const std::string& peer, const ExchangeOptions& options) {
  if (end == ExchangeEnd::idle) {
    return fmt::format("{}: nothing came or went for {} (--idle)", peer, format_duration(*options.idle));
  }
  if (end == ExchangeEnd::peer_stuck) {
    return fmt::format("{}: the peer has finished, and took nothing of what is left for {} (--wait)", peer,
                       format_duration(options.wait));
  }
  return fmt::format("{}: the peer was silent for {} after our end and has not finished (--wait)", peer,
                     format_duration(options.wait));
}

Task<> last_words(Transcript& transcript, std::string complaint, std::string why) {
  try {
    if (!complaint.empty()) co_await transcript.failed(complaint);
    co_await transcript.closed(why);
  } catch (const Error&) {  // nobody reads it
  }
}

}  // namespace

Task<Outcome> converse(std::string_view command, std::unique_ptr<Stream> stream, StandardInput& input,
                       Transcript& transcript, const ExchangeOptions& options) {
  const std::string peer = stream->peer_name();
  Outcome outcome;
  std::string why = "interrupted";
  std::string complaint;
  bool interrupted = false;
  try {
    co_await transcript.connected(peer);
    Exchange exchange(*stream, input, transcript, options);
    const ExchangeEnd end = co_await exchange.run();
    why = to_string(end);
    if (end != ExchangeEnd::finished) {
      complaint = complaint_about(end, peer, options);
      const bool is_failure = end == ExchangeEnd::idle || options.wait_is_failure;
      outcome.code = is_failure ? failed : done;
    }
  } catch (const Cancelled&) {
    interrupted = true;
  } catch (const Error& error) {
    why = "failed";
    complaint = error.what();
    outcome = {.code = failed, .may_go_on = !is_of_standard_io(error)};
  }
  stream->close();
  if (outcome.code != done) complain(command, complaint);
  if (outcome.may_go_on) co_await shield(last_words_time_max, last_words(transcript, complaint, why));
  if (interrupted) throw Cancelled();
  co_return outcome;
}

// --- options ---

ExchangeFlags::ExchangeFlags(CLI::App& command) {
  command.add_flag("--hex", hex_, "Show both directions as a hex dump, instead of what comes as it is");
  command.add_flag("--json", json_, "Show every event, one JSON object on each line");
  command.add_flag("--line", lines_, "Line by line, both ways; the last line gets the end that it lacks");
  command.add_flag("--crlf", crlf_, "As --line, and the lines that are sent end with CRLF");
  command.add_flag("--no-input", no_input_, "Do not read standard input; our side stays open until the peer finishes");
  wait_option_ = command
                     .add_option("--wait", wait_,
                                 "How long the other side may be silent once one has finished [30s]; when it is "
                                 "given, that the peer did not finish is no failure")
                     ->type_name("TIME");
  command.add_option("--idle", idle_, "Give a connection up on which nothing came or went for so long [no limit]")
      ->type_name("TIME");
}

bool ExchangeFlags::any_but_json() const noexcept {
  return hex_ || lines_ || crlf_ || no_input_ || !idle_.empty() || wait_option_->count() != 0;
}

ExchangeOptions ExchangeFlags::options() const {
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
