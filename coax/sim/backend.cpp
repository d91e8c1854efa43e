// The simulated back-end: slots and operations as in epoll's, on the world of network_private.hpp instead of a kernel.
//
// A poll() takes a microsecond of the world's time, so that busy polling sees time pass. When no event is due and the
// loop would sleep, time jumps to the next event or to the end of the wait. The thread really waits, for a signal, only
// when no event is left; a loop without signal handlers reports a deadlock before that.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/loop/datagrams.hpp"
#include "coax/loop/readiness_private.hpp"
#include "coax/net/accept_error.hpp"
#include "coax/sim/network_private.hpp"

namespace coax {

namespace {
constexpr Duration poll_takes = std::chrono::microseconds(1);
// beyond any descriptor of the kernel, so that close(2) cannot hit one by mistake
constexpr int first_native = 1'000'000;
}  // namespace

struct SimSlot {
  std::uint32_t generation = 0;
  bool open = false;
  bool resets = false;  // when it is closed
  Endpoint host;        // whose descriptor it is
  Endpoint from;        // the source address for connect; none: not set
  sim::Handle end;
  sim::Listener* listener = nullptr;
  sim::DatagramSocket* datagrams = nullptr;
  Op* reader = nullptr;
  Op* writer = nullptr;
};

class SimBackend final : public ReadinessBackend<SimBackend, SimSlot>, private sim::Observer {
 public:
  explicit SimBackend(std::shared_ptr<SimNetwork> network);
  ~SimBackend() override;

  bool poll(std::optional<TimePoint> until) noexcept override;
  void wake() noexcept override;

  std::expected<Descriptor, int> open(Family family) override;
  std::expected<Descriptor, int> open_datagrams(const Address& at, const Address& peer,
                                                const DatagramOptions& options) override;
  std::expected<Descriptor, int> listen(const Address& at, const ListenOptions& options) override;
  std::expected<Descriptor, int> adopt(int native) override;
  void discard(int native) noexcept override;
  void close(Descriptor descriptor) noexcept override;
  int shutdown_send(Descriptor descriptor) noexcept override;
  int set_option(Descriptor descriptor, const SocketOption& option) noexcept override;
  int get_option(Descriptor descriptor, int level, int name, std::span<std::byte> value) const noexcept override;
  [[nodiscard]] Address local(Descriptor descriptor) const noexcept override;
  [[nodiscard]] Address peer(Descriptor descriptor) const noexcept override;

  [[nodiscard]] TimePoint now() const noexcept override { return world_.now(); }
  [[nodiscard]] const char* name() const noexcept override { return "sim"; }
  [[nodiscard]] bool is_simulated() const noexcept override { return true; }
  [[nodiscard]] bool may_go_on() const noexcept override { return woken_ || world_.next(); }
  [[nodiscard]] SimNetwork& network() noexcept { return *network_; }

 private:
  friend ReadinessBackend;
  using Slot = SimSlot;

  void ready(Descriptor descriptor) noexcept override;
  Slot& take_slot(const Endpoint& host, Descriptor& descriptor);
  bool perform(Slot& slot, Op& op);  // true: completed
  bool perform_recv(Slot& slot, Op& op);
  bool perform_accept(Slot& slot, Op& op);
  bool perform_connect(Slot& slot, Op& op);
  bool perform_recv_batch(const Slot& slot, Op& op);
  static void withdraw(const Slot& slot) noexcept;
  void wait_for_wake() noexcept;

  static bool finish_unless_blocked(Op& op, std::int32_t result) noexcept {
    return result != -EAGAIN && finish_now(op, result);
  }

  std::shared_ptr<SimNetwork> network_;
  SimNetwork::World& world_;
  int wake_;
  std::atomic<bool> woken_ = false;
  std::map<int, sim::Handle> natives_;  // accepted and not yet adopted
  int next_native_ = first_native;
};

SimBackend::SimBackend(std::shared_ptr<SimNetwork> network)
    : network_(std::move(network)), world_(*network_->world_), wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (wake_ < 0) throw Error(errno, "make an event loop", "sim", "raise the limit on open files (ulimit -n)");
  note_turn();
}

SimBackend::~SimBackend() {
  slots_.for_each([this](Descriptor descriptor) { close(descriptor); });
  ::close(wake_);
}

void SimBackend::withdraw(const Slot& slot) noexcept {
  if (slot.end && slot.writer == nullptr) slot.end.end().waits_to_send = false;
}

bool SimBackend::poll(std::optional<TimePoint> until) noexcept {
  world_.advance(world_.now() + poll_takes);
  const auto event = world_.next();
  const bool is_due = event && *event <= world_.now();
  if (!is_due && !woken_.exchange(false)) {
    if (!event && !until) {
      wait_for_wake();
    } else {
      world_.advance(std::min(event.value_or(TimePoint::max()), until.value_or(TimePoint::max())));
    }
  }
  note_turn();
  return world_.deliver(*this);
}

void SimBackend::wait_for_wake() noexcept {
  pollfd waiting{.fd = wake_, .events = POLLIN, .revents = 0};
  ::poll(&waiting, 1, -1);
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(wake_, &count, sizeof count);
  woken_ = false;
}

void SimBackend::wake() noexcept {
  woken_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
}

void SimBackend::ready(Descriptor descriptor) noexcept { retry(descriptor, slots_.find(descriptor)); }

bool SimBackend::perform(Slot& slot, Op& op) {
  switch (op.kind) {
    case Op::Kind::recv: return perform_recv(slot, op);
    case Op::Kind::recv_into: return finish_unless_blocked(op, world_.recv(slot.end, {op.into().data, op.into().size}));
    case Op::Kind::accept: return perform_accept(slot, op);
    case Op::Kind::send: return finish_unless_blocked(op, world_.send(slot.end, {op.gather().list, op.gather().count}));
    case Op::Kind::connect: return perform_connect(slot, op);
    case Op::Kind::recv_batch: return perform_recv_batch(slot, op);
    case Op::Kind::send_batch: return finish_unless_blocked(op, world_.send(*slot.datagrams, *op.outgoing()));
  }
  return finish_now(op, -EINVAL);
}

bool SimBackend::perform_recv(Slot& slot, Op& op) {
  LentBuffer* const buffer = buffers().take();
  const std::int32_t got = world_.recv(slot.end, {buffer->data(), buffer->size()});
  op.lent().buffer = got > 0 ? buffer : nullptr;
  if (got == static_cast<std::int32_t>(buffer->size())) buffers().filled(*buffer);
  if (op.lent().buffer == nullptr) buffers().give_back(buffer);
  return finish_unless_blocked(op, got);
}

bool SimBackend::perform_accept(Slot& slot, Op& op) {
  if (slot.listener == nullptr) return finish_now(op, -EINVAL);
  auto& queue = slot.listener->queue;
  if (queue.empty()) return false;
  while (const int reason = world_.take_accept_failure(queue.front().end().local.host_key())) {
    if (classify_accept_error(reason) != AcceptError::retry) return finish_now(op, -reason);
    world_.close(queue.front(), true);
    queue.pop_front();
    if (queue.empty()) return false;
  }
  if (!world_.take_descriptor(queue.front().end().local.host_key())) return finish_now(op, -EMFILE);
  const int native = next_native_++;
  if (op.endpoint() != nullptr) *op.endpoint() = world_.address_at(queue.front().end().peer).endpoint();
  natives_.emplace(native, std::move(queue.front()));
  queue.pop_front();
  return finish_now(op, native);
}

bool SimBackend::perform_connect(Slot& slot, Op& op) {
  if (op.state != Op::State::submitted) {
    if (slot.end || slot.listener != nullptr) return finish_now(op, -EISCONN);
    Endpoint to = op.address()->endpoint().unmapped();
    if (const auto name = op.address()->unix_name()) {
      to = world_.place_of(*name);
      if (!world_.has_listener(to)) return finish_now(op, name->is_abstract() ? -ECONNREFUSED : -ENOENT);
    }
    slot.end = world_.connect(slot.from, to);
    slot.end.end().owner = op.descriptor;
    return false;
  }
  sim::End& end = slot.end.end();
  if (end.established) return finish_now(op, 0);
  return end.dead && finish_now(op, -std::exchange(end.error, 0));
}

bool SimBackend::perform_recv_batch(const Slot& slot, Op& op) {
  ReceiveBatch* const batch = ReceiveBatch::take();
  const std::int32_t count = world_.recv(*slot.datagrams, *batch);
  op.incoming().lent = count > 0 ? batch : nullptr;
  if (count <= 0) ReceiveBatch::give_back(batch);
  return finish_unless_blocked(op, count);
}

SimBackend::Slot& SimBackend::take_slot(const Endpoint& host, Descriptor& descriptor) {
  descriptor = slots_.take();
  Slot& slot = *slots_.find(descriptor);
  slot.host = host;
  return slot;
}

std::expected<Descriptor, int> SimBackend::open(Family family) {
  if (family != Family::v4 && family != Family::v6 && family != Family::local) return std::unexpected(EAFNOSUPPORT);
  const Endpoint from = family == Family::local ? Endpoint() : world_.take_next_from(family);
  if (!world_.take_descriptor(from.host_key())) return std::unexpected(EMFILE);
  Descriptor descriptor;
  take_slot(from.host_key(), descriptor).from = from;
  return descriptor;
}

std::expected<Descriptor, int> SimBackend::open_datagrams(const Address& at, const Address& peer,
                                                          const DatagramOptions& options) {
  const Endpoint where = at.endpoint();
  const Endpoint whom = peer.endpoint();
  const Family family = at.family() != Family::none ? at.family() : peer.family();
  if (family != Family::v4 && family != Family::v6) return std::unexpected(EAFNOSUPPORT);
  const bool takes_any = at.family() == Family::none || where.is_wildcard();
  const Endpoint from = takes_any ? world_.take_next_from(family) : Endpoint();
  const Endpoint host = (takes_any ? from : where).host_key();
  if (!world_.take_descriptor(host)) return std::unexpected(EMFILE);
  const auto socket = world_.open_datagrams(where, whom, from, options);
  if (!socket) {
    world_.return_descriptor(host);
    return std::unexpected(socket.error());
  }
  Descriptor descriptor;
  take_slot(host, descriptor).datagrams = *socket;
  (*socket)->owner = descriptor;
  return descriptor;
}

std::expected<Descriptor, int> SimBackend::listen(const Address& at, const ListenOptions& options) {
  const auto name = at.unix_name();
  const Endpoint where = name ? world_.place_of(*name) : at.endpoint();
  if (where.family() == Endpoint::Family::none) return std::unexpected(EAFNOSUPPORT);
  const Endpoint host = where.host_key();
  if (!world_.take_descriptor(host)) return std::unexpected(EMFILE);
  const auto listener = world_.listen(where, options);
  if (!listener) {
    world_.return_descriptor(host);
    return std::unexpected(listener.error());
  }
  Descriptor descriptor;
  take_slot(host, descriptor).listener = *listener;
  (*listener)->owner = descriptor;
  return descriptor;
}

std::expected<Descriptor, int> SimBackend::adopt(int native) {
  auto found = natives_.extract(native);
  if (found.empty()) return std::unexpected(EBADF);
  Descriptor descriptor;
  Slot& slot = take_slot(found.mapped().end().local.host_key(), descriptor);
  slot.end = std::move(found.mapped());
  slot.end.end().owner = descriptor;
  return descriptor;
}

void SimBackend::discard(int native) noexcept {
  if (const auto descriptor = adopt(native)) close(*descriptor);
}

void SimBackend::close(Descriptor descriptor) noexcept {
  Slot* slot = slots_.find(descriptor);
  if (slot == nullptr) return;
  world_.return_descriptor(slot->host);
  if (slot->end) world_.close(slot->end, slot->resets);
  if (slot->listener != nullptr) world_.close(*slot->listener);
  if (slot->datagrams != nullptr) world_.close(*slot->datagrams);
  finish_waiting(*slot);
  slots_.release(descriptor);
}

int SimBackend::shutdown_send(Descriptor descriptor) noexcept {
  const Slot* slot = slots_.find(descriptor);
  if (slot == nullptr) return EBADF;
  return slot->end ? world_.finish(slot->end) : EPIPE;
}

int SimBackend::set_option(Descriptor descriptor, const SocketOption& option) noexcept {
  Slot* slot = slots_.find(descriptor);
  if (slot == nullptr) return EBADF;
  if (slot->datagrams != nullptr) return SimNetwork::World::set_option(*slot->datagrams, option);
  if (option.level == SOL_SOCKET && option.name == SO_LINGER && option.size == sizeof(linger)) {
    const auto& value = *static_cast<const linger*>(option.value);
    slot->resets = value.l_onoff != 0 && value.l_linger == 0;
  }
  return 0;  // other options have no effect here
}

int SimBackend::get_option(Descriptor descriptor, int level, int name, std::span<std::byte> value) const noexcept {
  const Slot* const slot = slots_.find(descriptor);
  if (slot == nullptr) return EBADF;
  if (level != SOL_SOCKET || name != SO_PEERCRED || value.size() != sizeof(ucred)) return ENOPROTOOPT;
  // every peer on this network is this process
  const ucred ours{.pid = ::getpid(), .uid = ::geteuid(), .gid = ::getegid()};
  std::ranges::copy(std::as_bytes(std::span(&ours, 1)), value.begin());
  return 0;
}

Address SimBackend::local(Descriptor descriptor) const noexcept {
  const Slot* slot = slots_.find(descriptor);
  if (slot == nullptr) return {};
  if (slot->listener != nullptr) return world_.address_at(slot->listener->at);
  if (slot->datagrams != nullptr) return slot->datagrams->at;
  return slot->end ? world_.address_at(slot->end.end().local) : Address();
}

Address SimBackend::peer(Descriptor descriptor) const noexcept {
  const Slot* slot = slots_.find(descriptor);
  if (slot != nullptr && slot->datagrams != nullptr) return slot->datagrams->peer;
  return slot != nullptr && slot->end && !slot->end.end().dead ? world_.address_at(slot->end.end().peer) : Address();
}

std::unique_ptr<Backend> make_sim_backend(std::shared_ptr<SimNetwork> network) {
  return std::make_unique<SimBackend>(std::move(network));
}

std::unique_ptr<Backend> make_sim_backend() {
  return make_sim_backend(std::make_shared<SimNetwork>(seed_from_environment().value_or(1)));
}

SimNetwork* SimNetwork::of(Backend& backend) noexcept {
  auto* const simulated = dynamic_cast<SimBackend*>(&backend);
  return simulated != nullptr ? &simulated->network() : nullptr;
}

}  // namespace coax
