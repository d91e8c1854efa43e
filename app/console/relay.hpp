// Relay: standard input and output on one side, a peer on the other: coax connect and coax listen once they are
// connected.
//
// When standard input ends, the relay shuts down its side of the connection (half-close). It ends when the peer has
// shut down its side, too. RelayOptions limits the waits.
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
  bool lines = false;  // line by line in both directions; a missing last line end is added
  bool crlf = false;   // and lines that are sent end with CRLF
  bool input = true;   // false: standard input is not read, and our side stays open until the peer has finished
  // Once one side has finished: how long the other may be silent. With a person at standard input, the relay ends as
  // soon as the peer has finished.
  Duration wait = std::chrono::seconds(30);
  bool wait_is_failure = true;        // whether this timeout is a failure
  std::optional<Duration> idle = {};  // limit of the time without traffic in either direction
  // Another connection follows and gets the rest of the input: once its peer has finished, this one ends as soon as the
  // input pauses.
  bool another_follows = false;
};

enum class RelayEnd : std::uint8_t {
  finished,     // both sides, or only the peer where that suffices
  peer_silent,  // we had finished, and the peer did not in time
  peer_stuck,   // the peer finished, and accepted no more bytes
  idle,         // no traffic for too long
};
std::string_view to_string(RelayEnd end) noexcept;

// Relays standard input to a peer, and the peer's bytes to standard output. The virtual functions are the differences
// between streams and datagrams.
class Relay {
 public:
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  virtual ~Relay() = default;

  // Throws: Error when the connection, standard input or standard output fails.
  // Cancelled: the connection can only be closed; input that is under way is lost.
  Task<RelayEnd> run();
  // Waits until all that run() received and sent is in the transcript. run() does so itself, unless it is cancelled.
  virtual Task<> write_records() { co_return; }
  // After run(): closes the connection.
  virtual void close() noexcept = 0;
  // The error message for that end; empty: none.
  [[nodiscard]] virtual std::string error_message_for(RelayEnd end) const = 0;
  [[nodiscard]] virtual Exit exit_code_for(RelayEnd end) const noexcept = 0;

 protected:
  // Lifetime: all must outlive the relay.
  Relay(StandardInput& input, Transcript& transcript, const RelayOptions& options) noexcept;

  virtual Task<> begin() = 0;
  virtual Task<> wait_for_peer() = 0;
  // False: the connection has failed, and no more is sent.
  virtual Task<bool> send(BytesView bytes) = 0;
  virtual Task<bool> finish_sending() = 0;
  virtual Task<> recv_all() = 0;
  // Both directions, to their ends.
  virtual Task<> exchange() { return both_ways(); }
  Task<> both_ways();
  // When the next time limit may expire; nothing: there is no limit now.
  [[nodiscard]] virtual std::optional<TimePoint> due() const = 0;
  // The end when that time has come.
  [[nodiscard]] virtual RelayEnd end_when_due() const noexcept = 0;

  // One side has finished.
  void record_finished(bool& side) noexcept;

  StandardInput& input_;
  Transcript& transcript_;
  const RelayOptions& options_;
  TimePoint last_active_ = Clock::now();
  bool sending_ = false;
  bool we_finished_ = false;
  // run() throws it at its end. After a failed send, bytes that the peer sent before are still received.
  std::exception_ptr failure_;
  Event changed_;     // due() has changed: wakes watch()
  Event stop_early_;  // ends the relay before both directions have ended

 private:
  Task<> send_all();
  Task<> watch();

  LineBlocks blocks_;
  RelayEnd end_ = RelayEnd::finished;
};

// The result of one connection.
struct Outcome {
  Exit code = done;
  bool may_go_on = true;  // with another connection: standard input and output still work
};
// Runs a relay, closes it, and reports its end: in the transcript, and errors on standard error, even when cancelled.
Task<Outcome> run_relay(std::string_view command, Relay& relay, Transcript& transcript);
// The same over a stream.
Task<Outcome> run_relay(std::string_view command, std::unique_ptr<Stream> stream, StandardInput& input,
                        Transcript& transcript, const RelayOptions& options);

// The options that coax connect and coax listen share.
class RelayFlags {
 public:
  explicit RelayFlags(CLI::App& command);
  // Throws: WrongUsage.
  [[nodiscard]] RelayOptions options() const;
  // Whether an option was given that --check does not have.
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
