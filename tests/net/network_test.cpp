// Address blocks, and the purpose of an address.
#include "coax/net/network.hpp"

#include <gtest/gtest.h>

#include "coax/base/error.hpp"

namespace network_test {

using coax::Endpoint;
using coax::Error;
using coax::Network;

namespace {

Endpoint ip(std::string_view address) { return *Endpoint::from_ip(address, 80); }

std::string refusal(std::string_view text) {
  try {
    Network::parse(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), coax::ErrorKind::address);
    return error.what();
  }
  return "";
}

}  // namespace

TEST(Network, reads_and_writes_the_usual_form) {
  for (const std::string text :
       {"10.0.0.0/8", "0.0.0.0/0", "192.168.1.128/25", "1.2.3.4/32", "2001:db8::/32", "::/0", "::1/128", "fe80::/10"}) {
    EXPECT_EQ(Network::parse(text).to_string(), text);
  }
  EXPECT_EQ(Network::parse("1.2.3.4").to_string(), "1.2.3.4/32");
  EXPECT_EQ(Network::parse("::1").to_string(), "::1/128");
}

TEST(Network, says_what_is_wrong_and_what_was_meant) {
  EXPECT_EQ(refusal("10.0.0.1/8"),
            "read the network 10.0.0.1/8: the address has bits beyond the prefix; 10.0.0.0/8 was probably meant");
  EXPECT_EQ(refusal("10.0.0.0/33"), "read the network 10.0.0.0/33: the length of the prefix is a number from 0 to 32");
  EXPECT_EQ(refusal("::/129"), "read the network ::/129: the length of the prefix is a number from 0 to 128");
  for (const std::string_view text : {"10.0.0.0/", "10.0.0.0/x", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/ 8", "/8", "",
                                      "10.0.0/8", "example.org/8", "10.0.0.0/4294967300"}) {
    EXPECT_NE(refusal(text), "") << text;
  }
}

TEST(Network, contains_what_shares_its_first_bits) {
  const Network network = Network::parse("192.168.1.128/25");
  EXPECT_TRUE(network.contains(ip("192.168.1.128")));
  EXPECT_TRUE(network.contains(ip("192.168.1.255")));
  EXPECT_TRUE(network.contains(ip("::ffff:192.168.1.200")));
  EXPECT_FALSE(network.contains(ip("192.168.1.127")));
  EXPECT_FALSE(network.contains(ip("192.168.2.128")));
  EXPECT_FALSE(network.contains(ip("::1")));
  EXPECT_FALSE(network.contains(Endpoint()));
  EXPECT_EQ(network.last().ip(), "192.168.1.255");
  EXPECT_TRUE(Network::parse("0.0.0.0/0").contains(ip("255.255.255.255")));
  EXPECT_TRUE(Network::parse("2001:db8::/33").contains(ip("2001:db8:7fff::1")));
  EXPECT_FALSE(Network::parse("2001:db8::/33").contains(ip("2001:db8:8000::1")));
  EXPECT_FALSE(Network::parse("::/0").contains(ip("1.2.3.4")));
}

TEST(Network, contains_and_overlaps_others) {
  const Network all = Network::parse("10.0.0.0/8");
  const Network part = Network::parse("10.1.0.0/16");
  EXPECT_TRUE(all.contains(part));
  EXPECT_FALSE(part.contains(all));
  EXPECT_TRUE(part.overlaps(all));
  EXPECT_FALSE(part.overlaps(Network::parse("10.2.0.0/16")));
  EXPECT_EQ(Network::around(ip("10.1.2.3"), 16), part);
}

TEST(Endpoint, tells_what_its_address_is_for) {
  for (const auto* text :
       {"10.1.2.3", "172.31.255.255", "192.168.0.1", "127.0.0.1", "169.254.1.1", "192.0.2.1", "0.0.0.0",
        "255.255.255.255", "::1", "::", "fc00::1", "fd12::1", "fe80::1", "2001:db8::1", "::ffff:10.0.0.1"}) {
    EXPECT_TRUE(ip(text).is_private()) << text;
    EXPECT_FALSE(ip(text).is_global()) << text;
  }
  for (const auto* text :
       {"8.8.8.8", "172.32.0.0", "192.0.0.9", "224.0.0.1", "2606:4700::1111", "2001:20::1", "::ffff:8.8.8.8"}) {
    EXPECT_FALSE(ip(text).is_private()) << text;
    EXPECT_TRUE(ip(text).is_global()) << text;
  }
  EXPECT_FALSE(ip("100.64.0.1").is_private());
  EXPECT_FALSE(ip("100.64.0.1").is_global());
  EXPECT_TRUE(ip("169.254.0.1").is_link_local());
  EXPECT_TRUE(ip("fe80::1").is_link_local());
  EXPECT_FALSE(ip("fec0::1").is_link_local());
  EXPECT_TRUE(ip("239.255.0.1").is_multicast());
  EXPECT_TRUE(ip("ff02::1").is_multicast());
  EXPECT_FALSE(ip("240.0.0.1").is_multicast());
  EXPECT_FALSE(Endpoint().is_global());
}

}  // namespace network_test
