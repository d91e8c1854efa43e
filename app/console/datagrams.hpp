// Standard input and output over datagrams: coax connect --udp and coax listen --udp. Datagrams have no end of stream:
// the exchange ends when the input has ended and nothing was received for a while.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "app/console/relay.hpp"
#include "app/console/target.hpp"
#include "coax/datagram/transport.hpp"

namespace coax::app {

// The addresses of a name, one after the other: over UDP only a refusal, or an answer, shows whether there is a peer.
class DatagramPeer {
 public:
  // Resolves the name and connects to the first address with a route. Throws: Error when there is none.
  static Task<DatagramPeer> find(Target target, Duration limit);
  [[nodiscard]] DatagramTransport& transport() noexcept { return *transport_; }
  // Connects to the next address, and closes the transport of the last one. False: there is no other.
  bool go_on();

 private:
  std::vector<Endpoint> others_;
  std::unique_ptr<DatagramTransport> transport_;
};

// Ends with `finished` or `idle`. A refusal does not end it, since the peer may start at any time; it is reported once,
// until something is received.
class DatagramRelay final : public Relay {
 public:
  // Lifetime: all must outlive the relay. Not connected: the first sender is the peer or, with options.another_follows,
  // the last one.
  DatagramRelay(std::string_view command, DatagramTransport& transport, StandardInput& input, Transcript& transcript,
                const RelayOptions& options) noexcept;
  // Tries the next address of the peer on ECONNREFUSED, until the first answer.
  DatagramRelay(std::string_view command, DatagramPeer& peer, StandardInput& input, Transcript& transcript,
                const RelayOptions& options) noexcept;

  void close() noexcept override { transport_->close(); }
  [[nodiscard]] std::string error_message_for(RelayEnd end) const override;
  [[nodiscard]] Exit exit_code_for(RelayEnd end) const noexcept override;

 private:
  Task<> begin() override;
  Task<> wait_for_peer() override;
  Task<bool> send(BytesView bytes) override;
  Task<bool> finish_sending() override;
  Task<> recv_all() override;
  [[nodiscard]] std::optional<TimePoint> due() const override;
  [[nodiscard]] RelayEnd end_when_due() const noexcept override {
    return we_finished_ ? RelayEnd::finished : RelayEnd::idle;
  }
  Task<> send_one(BytesView datagram);
  void keep_for_next_address(BytesView datagram);
  void stay() noexcept;
  Task<> note_refusal(std::string text);
  Task<bool> go_on();
  Task<bool> accept_from(const Address& from);
  Task<> show(BytesView datagram);
  [[nodiscard]] bool connected() const noexcept { return transport_->peer().family() != Family::none; }

  std::string_view command_;
  DatagramPeer* alternatives_ = nullptr;
  DatagramTransport* transport_;
  Address peer_;
  std::vector<std::string> unanswered_;  // for the next address, until something was received
  std::size_t unanswered_bytes_ = 0;
  Endpoint reached_;  // the local address that it sent to
  Event has_peer_;
  bool refused_ = false;  // nothing was received since the last refusal
};

// Receives at the first address that this machine has; those before it are reported. Throws: Error when there is none.
std::unique_ptr<DatagramTransport> receive_at_any(std::string_view command, const std::vector<Address>& addresses);

// The options for datagrams: the wait is 1 s by default, and its end is no failure.
RelayOptions for_datagrams(RelayOptions options);

}  // namespace coax::app
