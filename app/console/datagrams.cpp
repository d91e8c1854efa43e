// Standard input is sent in datagrams that fit into one packet on every network: 1280 bytes is the minimum MTU of IPv6
// (RFC 8200, section 5), of which 48 are headers.
#include "app/console/datagrams.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "app/console/display.hpp"
#include "app/console/report.hpp"
#include "coax/base/error.hpp"
#include "coax/loop/timers.hpp"
#include "coax/net/listen_error.hpp"
#include "coax/stream/look_up.hpp"
#include "coax/task/scope.hpp"

namespace coax::app {

namespace {

constexpr std::size_t datagram_bytes_max = 1232;
constexpr int refusals_max = 8;  // send() reports the ICMP errors of this many earlier datagrams before it sends
constexpr std::size_t unanswered_bytes_max = 256 * 1024;

}  // namespace

// --- DatagramPeer ---

Task<DatagramPeer> DatagramPeer::find(Target target, Duration limit) {
  DatagramPeer peer;
  const std::string host = target.host.empty() ? "localhost" : target.host;
  peer.others_ = co_await within(limit, "resolve", target.text(), look_up(host, target.ports.first));
  std::ranges::reverse(peer.others_);
  std::optional<Error> failure;
  while (!peer.transport_ && !peer.others_.empty()) {
    try {
      peer.go_on();
    } catch (const Error& error) {
      if (!failure) failure = error;
    }
  }
  if (!peer.transport_) throw Error(failure->kind(), "connect to", target.text(), failure->what());
  co_return peer;
}

bool DatagramPeer::go_on() {
  if (others_.empty()) return false;
  const Endpoint to = others_.back();
  others_.pop_back();
  // NOLINTNEXTLINE(modernize-make-unique): it cannot be moved
  transport_.reset(new DatagramTransport(DatagramTransport::connect(to)));
  return true;
}

// --- DatagramRelay ---

DatagramRelay::DatagramRelay(std::string_view command, DatagramTransport& transport, StandardInput& input,
                             Transcript& transcript, const RelayOptions& options) noexcept
    : Relay(input, transcript, options), command_(command), transport_(&transport) {}

DatagramRelay::DatagramRelay(std::string_view command, DatagramPeer& peer, StandardInput& input, Transcript& transcript,
                             const RelayOptions& options) noexcept
    : DatagramRelay(command, peer.transport(), input, transcript, options) {
  alternatives_ = &peer;
}

std::string DatagramRelay::error_message_for(RelayEnd end) const {
  if (end != RelayEnd::idle) return {};
  return fmt::format("no traffic for {} (--idle)", format_duration(*options_.idle));
}

Exit DatagramRelay::exit_code_for(RelayEnd end) const noexcept {
  if (refused_) return unavailable;
  return end == RelayEnd::idle ? failed : done;
}

Task<> DatagramRelay::begin() {
  if (!connected()) co_return;
  peer_ = transport_->peer();
  has_peer_.set();
  co_await transcript_.connected(peer_.to_string());
}

Task<> DatagramRelay::wait_for_peer() { co_await has_peer_.wait(); }

Task<bool> DatagramRelay::finish_sending() {
  sending_ = true;
  co_await transport_->flush();
  sending_ = false;
  co_await transcript_.we_finished();
  co_return true;
}

// With --line, each line is a datagram.
Task<bool> DatagramRelay::send(BytesView bytes) {
  while (!bytes.empty()) {
    const std::size_t end = options_.lines ? bytes.text().find('\n') : std::string_view::npos;
    const std::size_t size = end == std::string_view::npos ? bytes.size() : end + 1;
    BytesView datagram = bytes.first(std::min(size, datagram_bytes_max));
    if (datagram.size() < size) datagram = datagram.first(datagram.size() - cut_character_bytes(datagram));
    keep_for_next_address(datagram);
    sending_ = true;
    co_await send_one(datagram);
    sending_ = false;
    last_active_ = Clock::now();
    co_await transcript_.sent_datagram(datagram);
    bytes = bytes.from(datagram.size());
  }
  co_return true;
}

// All sent datagrams must be sent again to the next address. Above the limit the relay keeps this address.
void DatagramRelay::keep_for_next_address(BytesView datagram) {
  if (alternatives_ == nullptr) return;
  unanswered_bytes_ += datagram.size();
  if (unanswered_bytes_ > unanswered_bytes_max) return stay();
  unanswered_.push_back(datagram.string());
}

void DatagramRelay::stay() noexcept {
  alternatives_ = nullptr;
  unanswered_.clear();
}

// send() on a connected UDP socket fails with ECONNREFUSED when an earlier datagram was refused: send again.
Task<> DatagramRelay::send_one(BytesView datagram) {
  const Datagram asked{.bytes = {}, .from = peer_, .length = 0, .to = reached_};  // members may change during the wait
  std::string refusal;
  for (int tries = 0; tries != refusals_max; ++tries) {
    try {
      co_await transport_->reply(asked, datagram);
      co_return;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::refused) throw;
      refusal = error.what();
    }
    co_await note_refusal(refusal);
  }
}

Task<> DatagramRelay::note_refusal(std::string text) {
  if (std::exchange(refused_, true)) co_return;
  complain(command_, text);
  co_await transcript_.failed(text);
}

// Sends everything again to the peer's next address. Not while the other task uses the transport.
Task<bool> DatagramRelay::go_on() {
  try {
    if (alternatives_ == nullptr || sending_ || !alternatives_->go_on()) co_return false;
  } catch (const Error&) {  // no route to that address: the caller reports the refusal
    co_return false;
  }
  transport_ = &alternatives_->transport();
  peer_ = transport_->peer();
  last_active_ = Clock::now();
  const std::vector<std::string> again = unanswered_;
  for (const std::string& datagram : again) co_await send_one(datagram);
  co_return true;
}

Task<> DatagramRelay::recv_all() {
  while (true) {
    Datagram datagram;
    std::string refusal;
    try {
      datagram = co_await transport_->recv_from();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::refused) throw;
      refusal = error.what();
    }
    if (!refusal.empty()) {
      const bool has_gone_on = co_await go_on();
      if (!has_gone_on) co_await note_refusal(refusal);
      continue;
    }
    refused_ = false;
    stay();
    const bool is_ours = co_await accept_from(datagram.from);
    if (!is_ours) continue;
    reached_ = datagram.to;
    last_active_ = Clock::now();
    changed_.set();
    co_await show(datagram.bytes);
  }
}

// Whether it is the peer, or may become it.
Task<bool> DatagramRelay::accept_from(const Address& from) {
  if (connected() || from == peer_) co_return true;
  if (has_peer_.is_set() && !options_.another_follows) co_return false;
  peer_ = from;
  has_peer_.set();
  co_await transcript_.connected(peer_.to_string());
  co_return true;
}

Task<> DatagramRelay::show(BytesView datagram) {
  const bool lacks_end = options_.form == Form::verbatim && options_.lines && !datagram.text().ends_with('\n');
  co_await transcript_.received_datagram(datagram);
  if (lacks_end) co_await transcript_.received("\n");
}

std::optional<TimePoint> DatagramRelay::due() const {
  std::optional<TimePoint> first;
  if (!has_peer_.is_set()) return first;
  const TimePoint last_active = std::max(last_active_, transcript_.last_busy());
  if (options_.idle) first = later(last_active, *options_.idle);
  if (we_finished_ && !options_.another_follows) {
    const TimePoint until = later(last_active, options_.wait);
    first = std::min(first.value_or(until), until);
  }
  return first;
}

std::unique_ptr<DatagramTransport> receive_at_any(std::string_view command, const std::vector<Address>& addresses) {
  for (const Address& address : addresses) {
    try {
      return std::make_unique<DatagramTransport>(address);
    } catch (const Error& error) {
      if (&address == &addresses.back() || !lacks_address(error.code().value())) throw;
      complain(command, fmt::format("{}; without it", error.what()));
    }
  }
  throw Error(ErrorKind::address, "receive at", {}, "the name has no address");
}

RelayOptions for_datagrams(RelayOptions options) {
  if (options.wait_is_failure) options.wait = std::chrono::seconds(1);
  options.wait_is_failure = false;
  return options;
}

}  // namespace coax::app
