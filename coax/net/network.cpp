// Address blocks, and the purpose of an address.
#include "coax/net/network.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "coax/base/error.hpp"

namespace coax {

namespace {

using Bits = std::array<std::uint8_t, 16>;

unsigned width_of(Endpoint::Family family) noexcept { return family == Endpoint::Family::v4 ? 32 : 128; }

// The byte of a mask at `index`: ones in the first `prefix_length` bits.
std::uint8_t mask_at(std::size_t index, unsigned prefix_length) noexcept {
  const std::size_t before = index * 8;
  if (prefix_length >= before + 8) return 0xff;
  return prefix_length <= before ? std::uint8_t{0} : static_cast<std::uint8_t>(0xff00U >> (prefix_length - before));
}

Endpoint masked(const Endpoint& address, unsigned prefix_length, bool ones) {
  const std::span<const std::uint8_t> from = address.address();
  Bits bits{};
  for (std::size_t index = 0; index < from.size(); ++index) {
    const std::uint8_t mask = mask_at(index, prefix_length);
    bits[index] = static_cast<std::uint8_t>((from[index] & mask) | (ones ? ~mask & 0xff : 0));
  }
  return Endpoint::from_address(std::span(bits).first(from.size()), 0);
}

[[noreturn]] void refuse(std::string_view text, std::string_view reason) {
  throw Error(ErrorKind::address, "read the network", text, reason);
}

}  // namespace

Network Network::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = Endpoint::from_ip(text.substr(0, slash), 0);
  if (!address) refuse(text, "give ADDRESS/LENGTH, as in 10.0.0.0/8 or 2001:db8::/32; the address is no IP address");
  unsigned length = width_of(address->family());
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    const bool whole = failure == std::errc{} && end == digits.data() + digits.size() && !digits.empty();
    if (!whole || length > width_of(address->family())) {
      refuse(text, fmt::format("the length of the prefix is a number from 0 to {}", width_of(address->family())));
    }
  }
  const Network network = around(*address, length);
  if (std::ranges::equal(network.first_.address(), address->address())) return network;
  refuse(text, fmt::format("the address has bits beyond the prefix; {} was probably meant", network.to_string()));
}

Network Network::around(const Endpoint& address, unsigned prefix_length) {
  return {masked(address, prefix_length, false), prefix_length};
}

bool Network::contains(const Endpoint& address) const noexcept {
  const Endpoint plain = family() == Endpoint::Family::v4 ? address.unmapped() : address;
  if (plain.family() != family()) return false;
  const auto ours = first_.address();
  const auto theirs = plain.address();
  for (std::size_t index = 0; index < ours.size(); ++index) {
    if ((theirs[index] & mask_at(index, prefix_length_)) != ours[index]) return false;
  }
  return true;
}

bool Network::contains(const Network& other) const noexcept {
  return other.family() == family() && other.prefix_length_ >= prefix_length_ && contains(other.first_);
}

Endpoint Network::last() const noexcept { return masked(first_, prefix_length_, true); }

std::string Network::to_string() const { return fmt::format("{}/{}", first_.ip(), prefix_length_); }

// --- the purpose of an address: the IANA registries of special-purpose addresses ---

namespace {

bool is_in(std::span<const Network> networks, const Endpoint& address) noexcept {
  return std::ranges::any_of(networks, [&](const Network& network) { return network.contains(address); });
}

std::vector<Network> networks(std::initializer_list<std::string_view> texts) {
  std::vector<Network> result;
  for (const std::string_view text : texts) result.push_back(Network::parse(text));
  return result;
}

}  // namespace

bool Endpoint::is_private() const {
  static const auto inside = networks(
      {"0.0.0.0/8",    "10.0.0.0/8",     "127.0.0.0/8",    "169.254.0.0/16",  "172.16.0.0/12",  "192.0.0.0/24",
       "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15",  "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
       "::1/128",      "::/128",         "64:ff9b:1::/48", "100::/64",        "2001::/23",      "2001:db8::/32",
       "2002::/16",    "3fff::/20",      "fc00::/7",       "fe80::/10"});
  static const auto outside = networks({"192.0.0.9/32", "192.0.0.10/32", "2001:1::1/128", "2001:1::2/128",
                                        "2001:3::/32", "2001:4:112::/48", "2001:20::/28", "2001:30::/28"});
  const Endpoint plain = unmapped();
  return is_in(inside, plain) && !is_in(outside, plain);
}

bool Endpoint::is_global() const {
  static const Network shared = Network::parse("100.64.0.0/10");
  return family_ != Family::none && !is_private() && !shared.contains(*this);
}

bool Endpoint::is_link_local() const {
  static const auto link = networks({"169.254.0.0/16", "fe80::/10"});
  return is_in(link, unmapped());
}

bool Endpoint::is_multicast() const {
  static const auto groups = networks({"224.0.0.0/4", "ff00::/8"});
  return is_in(groups, unmapped());
}

}  // namespace coax
