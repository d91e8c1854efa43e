// Exchange: standard input and output on one side, a connection on the other: what coax connect and coax listen do once
// they are connected.
//
// The rule for the end: when standard input ends, our side of the connection is finished (half-close); when the peer
// has finished, too, the exchange is over. See ExchangeOptions for who is not waited for.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "app/commands.hpp"
#include "app/standard_io.hpp"
#include "app/transcript.hpp"
#include "coax/base/units.hpp"
#include "coax/stream/stream.hpp"

namespace coax::app {

struct ExchangeOptions {
  Form form = Form::verbatim;
  bool lines = false;  // both ways line by line; the last one gets the end that it lacks
  bool crlf = false;   // and lines that are sent end with CRLF
  bool input = true;   // false: standard input is not read, and our side stays open until the peer has finished
  // Once one side has finished: how long the other may be silent. With a person at standard input the peer's end is
  // the end at once.
  Duration wait = std::chrono::seconds(30);
  bool wait_is_failure = true;        // that the peer did not finish within it
  std::optional<Duration> idle = {};  // nothing came or went for so long
  bool for_the_next =
      false;  // the input goes on with the next connection: when the peer has finished, this one is over
              // as soon as the input pauses
};

enum class ExchangeEnd : std::uint8_t {
  finished,     // both sides, or the peer where that is enough
  peer_silent,  // after we had finished the peer did not in time
  peer_stuck,   // the peer finished, and took nothing more
  idle,         // nothing came or went for too long
};
std::string_view to_string(ExchangeEnd end) noexcept;

class Exchange {
 public:
  // All must live as long as the exchange.
  Exchange(Stream& stream, StandardInput& input, Transcript& transcript, const ExchangeOptions& options) noexcept;

  // Throws Error when the connection breaks, or standard input or output does. Cancelled: the connection can only be
  // closed; what was read from standard input and is under way is lost.
  Task<ExchangeEnd> run();

 private:
  Task<> both_ways();
  Task<> send_all();
  Task<bool> send(Bytes bytes);
  Task<bool> finish();
  void side_finished(bool& side) noexcept;
  Task<> recv_all();
  Task<> watch();
  [[nodiscard]] std::optional<TimePoint> due() const;

  Stream& stream_;
  StandardInput& input_;
  Transcript& transcript_;
  const ExchangeOptions& options_;
  bool at_terminal_;
  LineBlocks blocks_;
  TimePoint last_active_ = Clock::now();
  bool sending_ = false;
  bool we_finished_ = false;
  bool peer_finished_ = false;
  std::exception_ptr broken_;  // sending failed; what the peer had sent before is still received
  Event side_finished_;
  Event enough_;
  ExchangeEnd end_ = ExchangeEnd::finished;
};

// What one connection came to.
struct Outcome {
  Exit code = done;
  bool may_go_on = true;  // with another connection: standard input and output are whole
};
// Runs an exchange, closes the stream, and tells how it went: in the transcript, and what failed on standard error.
// Cancelled: told, too.
Task<Outcome> converse(std::string_view command, std::unique_ptr<Stream> stream, StandardInput& input,
                       Transcript& transcript, const ExchangeOptions& options);

// The options that coax connect and coax listen share.
class ExchangeFlags {
 public:
  explicit ExchangeFlags(CLI::App& command);
  // Throws WrongUsage.
  [[nodiscard]] ExchangeOptions options() const;
  // Whether an option was given that --check has no use for.
  [[nodiscard]] bool any_but_json() const noexcept;

 private:
  std::string wait_ = "30s";
  std::string idle_;
  bool hex_ = false;
  bool json_ = false;
  bool lines_ = false;
  bool crlf_ = false;
  bool no_input_ = false;
  CLI::Option* wait_option_;
};

}  // namespace coax::app
