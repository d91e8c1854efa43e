// Invariant: parsing an address and formatting it returns the same address, its port is between 0 and 65535, and a
// network contains its first and its last address.
#include <string>

#include "coax/net/endpoint.hpp"
#include "coax/net/network.hpp"
#include "fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using coax::Endpoint;
  using coax::fuzz::require;
  const std::string_view text = coax::fuzz::text_of(data, size);
  if (const auto endpoint = Endpoint::parse(text)) require(Endpoint::parse(endpoint->to_string()) == endpoint);
  if (const auto endpoint = Endpoint::from_ip(text, 80)) require(Endpoint::from_ip(endpoint->ip(), 80) == endpoint);
  if (const auto place = coax::parse_host_port(text)) {
    require(place->host.size() <= size && (!place->port || text.contains(std::to_string(*place->port))));
  }
  try {
    const auto network = coax::Network::parse(text);
    require(network.contains(network.first()) && network.contains(network.last()) && network.contains(network));
    require(coax::Network::parse(network.to_string()) == network);
  } catch (const coax::Error& error) {
    require(error.kind() == coax::ErrorKind::address);
  }
  return 0;
}
