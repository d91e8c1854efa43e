// Relay: standard input and output on one side, a peer on the other: what coax connect and coax listen do once they are
// connected.
//
// The rule for the end: when standard input ends, our side of the connection is finished (half-close); when the peer
// has finished, too, the relay is over. See RelayOptions for who is not waited for.
#pragma once

#include <CLI/App.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "app/console/exit.hpp"
#include "app/console/standard_io.hpp"
#include "app/console/transcript.hpp"
#include "coax/base/units.hpp"
#include "coax/stream/stream.hpp"
#include "coax/task/scope.hpp"

namespace coax::app {

struct RelayOptions {
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

enum class RelayEnd : std::uint8_t {
  finished,     // both sides, or the peer where that is enough
  peer_silent,  // after we had finished the peer did not in time
  peer_stuck,   // the peer finished, and took nothing more
  idle,         // nothing came or went for too long
};
std::string_view to_string(RelayEnd end) noexcept;

// Relays standard input to a peer, and what the peer sends to standard output. What a connection and datagrams do in
// their own way are the virtual functions.
class Relay {
 public:
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  virtual ~Relay() = default;

  // Throws Error when the connection breaks, or standard input or output does. Cancelled: the connection can only be
  // closed; what was read from standard input and is under way is lost.
  Task<RelayEnd> run();
  // After run(): ends the connection.
  virtual void close() noexcept = 0;
  // What is to be said about such an end; empty: nothing.
  [[nodiscard]] virtual std::string complaint_about(RelayEnd end) const = 0;
  [[nodiscard]] virtual Exit code_of(RelayEnd end) const noexcept = 0;

 protected:
  // All must live as long as the relay.
  Relay(StandardInput& input, Transcript& transcript, const RelayOptions& options) noexcept;

  virtual Task<> begin() = 0;
  virtual Task<> wait_for_peer() = 0;
  // False: the connection is broken, and no more is sent.
  virtual Task<bool> send(BytesView bytes) = 0;
  virtual Task<bool> finish_sending() = 0;
  virtual Task<> recv_all() = 0;
  // When it will have been quiet for too long, or is to be looked at again; nothing: it may be quiet.
  [[nodiscard]] virtual std::optional<TimePoint> due() const = 0;
  // What it is when that time has come.
  [[nodiscard]] virtual RelayEnd end_when_due() const noexcept = 0;

  // One side has finished.
  void record_finished(bool& side) noexcept;

  StandardInput& input_;
  Transcript& transcript_;
  const RelayOptions& options_;
  TimePoint last_active_ = Clock::now();
  bool sending_ = false;
  bool we_finished_ = false;
  std::exception_ptr broken_;  // sending failed; what the peer had sent before is still received
  Event changed_;              // for the watch: due() is another
  Event enough_;               // the end, before both directions have ended

 private:
  Task<> both_ways();
  Task<> send_all();
  Task<> watch();

  LineBlocks blocks_;
  RelayEnd end_ = RelayEnd::finished;
};

// What one connection came to.
struct Outcome {
  Exit code = done;
  bool may_go_on = true;  // with another connection: standard input and output are whole
};
// Runs a relay, closes it, and tells how it went: in the transcript, and what failed on standard error.
// Cancelled: told, too.
Task<Outcome> converse(std::string_view command, Relay& relay, Transcript& transcript);
// The same over a stream.
Task<Outcome> converse(std::string_view command, std::unique_ptr<Stream> stream, StandardInput& input,
                       Transcript& transcript, const RelayOptions& options);

// The options that coax connect and coax listen share.
class RelayFlags {
 public:
  explicit RelayFlags(CLI::App& command);
  // Throws WrongUsage.
  [[nodiscard]] RelayOptions options() const;
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
