// The public class SimNetwork, and the parts of the world that are not packets: random numbers, hosts, conditions,
// outages.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/sim/network_private.hpp"

namespace coax {

// --- random numbers ---

SimRandom::SimRandom(std::uint64_t seed) noexcept {
  for (std::uint64_t& word : state_) {  // splitmix64, recommended by the authors of xoshiro for its initial state
    std::uint64_t mixed = seed += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    word = mixed ^ (mixed >> 31);
  }
}

std::uint64_t SimRandom::next() noexcept {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::size_t SimRandom::below(std::size_t count) noexcept {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::size_t>((static_cast<Wide>(next()) * count) >> 64);
}

bool SimRandom::chance(double probability) noexcept {
  return probability > 0 && static_cast<double>(next() >> 11) * 0x1p-53 < probability;
}

// --- SimNetwork ---

std::optional<std::uint64_t> seed_from_environment() {
  const char* const given = std::getenv("COAX_SEED");  // NOLINT(concurrency-mt-unsafe): never set by us
  if (given == nullptr || *given == '\0') return std::nullopt;
  const std::string_view text = given;
  std::uint64_t seed = 0;
  const auto [end, failure] = std::from_chars(text.begin(), text.end(), seed);
  if (failure == std::errc() && end == text.end()) return seed;
  throw Error(ErrorKind::invalid, "COAX_SEED", text, "it must be a whole number from 0 to 18446744073709551615");
}

namespace {

Endpoint address_of(std::string_view text) {
  const auto endpoint = Endpoint::from_ip(text, 0);
  if (!endpoint) throw Error(ErrorKind::invalid, "simulate", text, "a host is named by its IP address");
  return *endpoint;
}
Endpoint host_of(std::string_view text) { return address_of(text).host_key(); }

}  // namespace

SimNetwork::SimNetwork(std::uint64_t seed, const SimConditions& conditions)
    : world_(std::make_unique<World>(seed, conditions)) {}
SimNetwork::~SimNetwork() = default;

std::uint64_t SimNetwork::seed() const noexcept { return world_->seed(); }
TimePoint SimNetwork::now() const noexcept { return world_->now(); }
std::uint64_t SimNetwork::trace() const noexcept { return world_->trace(); }
SimRandom& SimNetwork::random() noexcept { return world_->random(); }
void SimNetwork::set_conditions(const SimConditions& conditions) { world_->set_conditions(conditions); }
void SimNetwork::set_conditions(std::string_view host, std::string_view other, const SimConditions& conditions) {
  world_->set_conditions(host_of(host), host_of(other), conditions);
}
void SimNetwork::partition(std::string_view host, std::string_view other) {
  world_->partition(host_of(host), host_of(other));
}
void SimNetwork::partition(std::string_view host) { world_->partition(host_of(host)); }
void SimNetwork::heal() { world_->heal(); }
void SimNetwork::reset(const Endpoint& client) { world_->reset(client); }
void SimNetwork::vanish(const Endpoint& client) { world_->vanish(client); }
void SimNetwork::limit_descriptors(std::string_view host, std::size_t most) {
  world_->limit_descriptors(host_of(host), most);
}
void SimNetwork::fail_accepts(std::string_view host, int errno_value, std::size_t count) {
  world_->fail_accepts(host_of(host), errno_value, count);
}
void SimNetwork::take_address_away(std::string_view host) { world_->take_address_away(host_of(host)); }
void SimNetwork::stop_process(Duration duration) { world_->advance(world_->now() + duration); }
std::size_t SimNetwork::descriptors(std::string_view host) const { return world_->descriptors(host_of(host)); }
void SimNetwork::connect_from(std::string_view address) { world_->connect_from(address_of(address)); }
void SimNetwork::connect_always_from(std::string_view address) { world_->connect_always_from(address_of(address)); }

// --- conditions and outages ---

void SimNetwork::World::set_conditions(const SimConditions& conditions) {
  conditions_ = conditions;
  pair_conditions_.clear();
}

void SimNetwork::World::set_conditions(const Endpoint& host, const Endpoint& other, const SimConditions& conditions) {
  pair_conditions_[std::minmax(host, other)] = conditions;
}

const SimConditions& SimNetwork::World::conditions_of(const Pair& hosts) const noexcept {
  const auto found = pair_conditions_.find(hosts);
  return found != pair_conditions_.end() ? found->second : conditions_;
}

const SimConditions& SimNetwork::World::conditions_of(const sim::Connection& connection) const noexcept {
  if (pair_conditions_.empty()) return conditions_;
  return conditions_of(std::minmax(connection.ends[0].local.host_key(), connection.ends[1].local.host_key()));
}

bool SimNetwork::World::is_down(const Pair& hosts) const noexcept {
  if (hosts.first == hosts.second) return false;
  return isolated_.contains(hosts.first) || isolated_.contains(hosts.second) || partitions_.contains(hosts);
}

bool SimNetwork::World::is_down(const sim::Connection& connection) const noexcept {
  if (connection.vanished) return true;
  if (partitions_.empty() && isolated_.empty()) return false;
  return is_down(std::minmax(connection.ends[0].local.host_key(), connection.ends[1].local.host_key()));
}

void SimNetwork::World::partition(const Endpoint& host, const Endpoint& other) {
  partitions_.insert(std::minmax(host, other));
  tell_outages();
}

void SimNetwork::World::partition(const Endpoint& host) {
  isolated_.insert(host);
  tell_outages();
}

void SimNetwork::World::heal() {
  partitions_.clear();
  isolated_.clear();
  tell_outages();
}

void SimNetwork::World::vanish(const Endpoint& client) {
  const auto found = connections_.find(client);
  if (found == connections_.end()) return;
  found->second->vanished = true;
  tell_outages();
}

void SimNetwork::World::tell_outages() {
  for (const auto& [client, connection] : connections_) {
    if (is_down(*connection) == connection->is_down) continue;
    connection->is_down = !connection->is_down;
    if (!connection->is_down) continue;
    ++connection->outage;
    for (const std::size_t side : {0U, 1U}) watch_outage({connection, side});
  }
}

// Packets detect an outage by themselves. An end with no packet under way detects it by keep-alive probes, the first
// after a minute of silence and the last a minute later; or because it keeps asking for room to send.
void SimNetwork::World::watch_outage(const sim::Handle& handle) {
  using namespace std::chrono_literals;
  const sim::End& end = handle.end();
  const std::uint64_t outage = handle.connection->outage;
  if (end.keep_alive) push(std::max(now_, end.last_heard + 60s) + 60s, sim::Event::Kind::keep_alive, handle, outage);
  if (end.waits_to_send) {
    push(now_ + conditions_of(*handle.connection).give_up, sim::Event::Kind::stuck, handle, outage);
  }
}

// --- Unix names ---

namespace {

// No host has an address of 100::/16 (reserved by the IETF). The number of the name identifies the host.
constexpr std::uint16_t unix_port = 1;  // connecting sockets have higher ones

bool is_place(const Endpoint& endpoint) noexcept {
  const auto bytes = endpoint.address();
  return bytes.size() == 16 && bytes[0] == 1 && bytes[1] == 0;
}

Endpoint place_number(std::size_t number) noexcept {
  std::array<std::uint8_t, 16> bytes{1};
  for (std::size_t at = 7; at >= 2; --at, number >>= 8) bytes[at] = static_cast<std::uint8_t>(number);
  return Endpoint::from_address(bytes, unix_port);
}

std::size_t number_of(const Endpoint& place) noexcept {
  std::size_t number = 0;
  for (std::size_t at = 2; at <= 7; ++at) number = number << 8 | place.address()[at];
  return number;
}

}  // namespace

Endpoint SimNetwork::World::place_of(const UnixName& name) {
  if (name.text().empty()) return place_of(UnixName::abstract(fmt::format("{:05x}", unix_names_.size())));
  const auto found = std::ranges::find(unix_names_, name);
  const Endpoint place = place_number(static_cast<std::size_t>(found - unix_names_.begin()));
  if (found == unix_names_.end()) unix_names_.push_back(name);
  return place;
}

Address SimNetwork::World::address_at(const Endpoint& endpoint) const {
  if (!is_place(endpoint)) return endpoint;
  return endpoint.port() == unix_port ? unix_names_[number_of(endpoint)] : UnixName("");
}

// --- hosts ---

std::size_t SimNetwork::World::descriptors(const Endpoint& host) const {
  const auto found = hosts_.find(host);
  return found == hosts_.end() ? 0 : found->second.descriptors;
}

bool SimNetwork::World::take_descriptor(const Endpoint& host) noexcept {
  Host& of = hosts_[host];
  if (of.descriptors >= of.descriptors_max) return false;
  ++of.descriptors;
  return true;
}

bool SimNetwork::World::is_taken(const Endpoint& at) const noexcept {
  return std::ranges::any_of(listeners_, [&](const auto& entry) {
    const Endpoint& other = entry.first;
    return other.port() == at.port() && (other == at || other.is_wildcard() || at.is_wildcard());
  });
}

int SimNetwork::World::take_accept_failure(const Endpoint& host) noexcept {
  Host& of = hosts_[host];
  if (of.accepts_to_fail == 0) return 0;
  --of.accepts_to_fail;
  return of.accept_failure;
}

Endpoint SimNetwork::World::free_port(const Endpoint& host) {
  Host& of = hosts_[host.host_key()];
  while (true) {
    const Endpoint at = *Endpoint::from_ip(host.ip(), of.next_port);
    of.next_port = of.next_port == 65'535 ? std::uint16_t{49'152} : static_cast<std::uint16_t>(of.next_port + 1);
    if (!is_taken(at) && !connections_.contains(at)) return at;
  }
}

std::expected<sim::Listener*, int> SimNetwork::World::listen(const Endpoint& at, const ListenOptions& options) {
  if (hosts_[at.host_key()].address_is_away) return std::unexpected(EADDRNOTAVAIL);
  const Endpoint where = at.port() == 0 ? free_port(at) : at;
  if (is_taken(where)) return std::unexpected(EADDRINUSE);
  sim::Listener& listener = listeners_[where];
  listener.at = where;
  listener.options = options;
  return &listener;
}

void SimNetwork::World::close(sim::Listener& listener) {
  for (const sim::Handle& waiting : listener.queue) {
    transmit(waiting, sim::Event::Kind::reset);
    waiting.end().dead = true;
    close(waiting);
  }
  listeners_.erase(Endpoint(listener.at));
}

sim::Listener* SimNetwork::World::find_listener(const Endpoint& to) noexcept {
  if (const auto exact = listeners_.find(to); exact != listeners_.end()) return &exact->second;
  for (auto& [at, listener] : listeners_) {
    const bool takes_family = at.family() == to.family() || listener.options.dual_stack;
    if (at.is_wildcard() && at.port() == to.port() && takes_family) return &listener;
  }
  return nullptr;
}

}  // namespace coax
