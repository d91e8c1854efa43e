// Endpoints from and to text, and the purpose of an address.
#include "coax/net/endpoint.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <set>

#include "coax/base/error.hpp"

namespace endpoint_test {

using coax::Endpoint;
using coax::NativeAddress;
using coax::parse_host_port;

namespace {

Endpoint ip(std::string_view address) { return *Endpoint::from_ip(address, 1); }

std::string host_key(std::string_view address) { return ip(address).host_key().ip(); }

}  // namespace

TEST(Endpoint, reads_and_writes_the_usual_form) {
  for (const std::string text : {"127.0.0.1:80", "0.0.0.0:0", "255.255.255.255:65535", "[::]:7", "[::1]:80",
                                 "[2001:db8::1]:443", "[::ffff:10.0.0.1]:1"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->to_string(), text);
  }
  EXPECT_EQ(Endpoint::parse("[2001:DB8:0:0:0:0:0:1]:1")->to_string(), "[2001:db8::1]:1");
  EXPECT_EQ(Endpoint().to_string(), "?:0");
}

TEST(Endpoint, is_nothing_else) {
  for (const std::string_view text : {"",
                                      ":",
                                      ":80",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:65536",
                                      "127.0.0.1:-1",
                                      "127.0.0.1:+1",
                                      "127.0.0.1: 1",
                                      "127.0.0.1:1 ",
                                      "127.0.0.1:0x1",
                                      "127.0.0.1:99999999999999999999",
                                      "127.1:80",
                                      "1.2.3.4.5:80",
                                      "256.0.0.1:80",
                                      "localhost:80",
                                      "::1:80",
                                      "[::1]",
                                      "[::1]:",
                                      "[::1]80",
                                      "[::1:80",
                                      "::1]:80",
                                      "[::1]:80]",
                                      "[]:80",
                                      "[:::]:80",
                                      "[127.0.0.1%lo]:80",
                                      "[fe80::1%no-such-interface]:80",
                                      "[fe80::1%]:80",
                                      "127.0.0.1:80:80"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
  EXPECT_FALSE(Endpoint::from_ip(std::string_view("127.0.0.1\0.evil", 14), 1));
  EXPECT_FALSE(Endpoint::from_ip(std::string_view("::1%lo\0x", 8), 1));
}

TEST(Endpoint, may_have_brackets_without_a_port) {
  EXPECT_EQ(ip("[::1]"), ip("::1"));
  EXPECT_EQ(ip("[::1]").port(), 1);
  EXPECT_EQ(ip("127.0.0.1").family(), Endpoint::Family::v4);
  EXPECT_EQ(ip("::1").family(), Endpoint::Family::v6);
}

TEST(Endpoint, keeps_the_interface_of_a_link_local_address) {
  const auto endpoint = Endpoint::parse("[fe80::1%lo]:80");
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->to_string(), "[fe80::1%lo]:80");
  EXPECT_NE(endpoint, Endpoint::parse("[fe80::1]:80"));
}

TEST(Endpoint, passes_through_what_the_kernel_takes) {
  for (const std::string_view text : {"10.1.2.3:4567", "[2001:db8::1]:80", "[fe80::1%lo]:80"}) {
    const Endpoint endpoint = *Endpoint::parse(text);
    NativeAddress native;
    const unsigned length = endpoint.to_native(native);
    EXPECT_EQ(length, endpoint.family() == Endpoint::Family::v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    EXPECT_EQ(Endpoint::from_native(native.get()), endpoint);
  }
  const sockaddr_un other{.sun_family = AF_UNIX, .sun_path = {}};
  EXPECT_EQ(Endpoint::from_native(reinterpret_cast<const sockaddr*>(&other)).family(), Endpoint::Family::none);
}

TEST(Endpoint, is_ordered_and_equal_by_all_that_it_has) {
  const std::set<Endpoint> all{*Endpoint::parse("127.0.0.1:1"), *Endpoint::parse("127.0.0.1:2"),
                               *Endpoint::parse("127.0.0.2:1"), *Endpoint::parse("[::1]:1"),
                               *Endpoint::parse("127.0.0.1:1")};
  EXPECT_EQ(all.size(), 4U);
}

TEST(Endpoint, knows_loopback) {
  for (const std::string_view address : {"127.0.0.1", "127.0.0.0", "127.255.255.255", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(ip(address).is_loopback()) << address;
  }
  for (const std::string_view address : {"128.0.0.1", "126.255.255.255", "0.0.0.0", "::", "::2", "::ffff:128.0.0.1",
                                         "::127.0.0.1", "7f00::1", "1::ffff:127.0.0.1"}) {
    EXPECT_FALSE(ip(address).is_loopback()) << address;
  }
  EXPECT_FALSE(Endpoint().is_loopback());
}

TEST(Endpoint, knows_the_wildcard) {
  EXPECT_TRUE(ip("0.0.0.0").is_wildcard());
  EXPECT_TRUE(ip("::").is_wildcard());
  EXPECT_FALSE(ip("0.0.0.1").is_wildcard());
  EXPECT_FALSE(ip("::1").is_wildcard());
  EXPECT_FALSE(Endpoint().is_wildcard());
}

TEST(Endpoint, counts_hosts_by_ipv4_address_and_ipv6_network) {
  EXPECT_EQ(host_key("10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(host_key("::ffff:10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(host_key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
  EXPECT_EQ(host_key("2001:db8:1:2::"), "2001:db8:1:2::");
  EXPECT_EQ(host_key("::1"), "::1");
  EXPECT_EQ(ip("10.1.2.3").host_key(), Endpoint::from_ip("10.1.2.3", 9)->host_key());
  EXPECT_EQ(ip("::ffff:10.1.2.3").host_key(), ip("10.1.2.3").host_key());
  EXPECT_EQ(ip("2001:db8:1:2::1").host_key(), ip("2001:db8:1:2:ffff::").host_key());
  EXPECT_NE(ip("2001:db8:1:2::1").host_key(), ip("2001:db8:1:3::1").host_key());
  EXPECT_NE(ip("10.1.2.3").host_key(), ip("10.1.2.4").host_key());
  EXPECT_NE(ip("fe80::1%lo").host_key(), ip("fe80::1").host_key());
}

// --- host and port ---

TEST(HostPort, is_split_at_the_last_colon_outside_brackets) {
  const auto split = [](std::string_view text) -> std::string {
    const auto parts = parse_host_port(text);
    if (!parts) return "nothing";
    return parts->host + "|" + (parts->port ? std::to_string(*parts->port) : "none");
  };
  EXPECT_EQ(split("example.org:80"), "example.org|80");
  EXPECT_EQ(split("example.org"), "example.org|none");
  EXPECT_EQ(split("127.0.0.1:0"), "127.0.0.1|0");
  EXPECT_EQ(split(":8080"), "|8080");
  EXPECT_EQ(split("[::1]:80"), "::1|80");
  EXPECT_EQ(split("[::1]"), "::1|none");
  EXPECT_EQ(split("::1"), "::1|none");
  EXPECT_EQ(split("2001:db8::1:80"), "2001:db8::1:80|none");
  EXPECT_EQ(split("*:80"), "*|80");
  for (const std::string_view text :
       {"", ":", "host:", "host:port", "host:65536", "host:-1", "[::1", "[::1]x", "[::1]:"}) {
    EXPECT_EQ(split(text), "nothing") << text;
  }
}

TEST(Resolve, takes_addresses_as_they_are_and_asks_for_names) {
  EXPECT_EQ(coax::resolve("127.0.0.1", 80), std::vector{*Endpoint::parse("127.0.0.1:80")});
  EXPECT_EQ(coax::resolve("::1", 80), std::vector{*Endpoint::parse("[::1]:80")});
  EXPECT_EQ(coax::resolve("", 80), std::vector{*Endpoint::parse("[::]:80")});
  EXPECT_EQ(coax::resolve("*", 80), std::vector{*Endpoint::parse("[::]:80")});
  for (const Endpoint& endpoint : coax::resolve("localhost", 80)) {
    EXPECT_TRUE(endpoint.is_loopback());
    EXPECT_EQ(endpoint.port(), 80);
  }
}

TEST(Resolve, says_why_a_name_means_nothing) {
  for (const std::string& name : {std::string("no such host"), std::string("a\0b", 3)}) {
    try {
      coax::resolve(name, 80);
      ADD_FAILURE() << name;
    } catch (const coax::Error& error) {
      EXPECT_EQ(error.kind(), coax::ErrorKind::address);
    }
  }
}

TEST(InterleaveFamilies, gives_each_family_its_turn_and_keeps_the_order_in_each) {
  const auto mixed = [](std::initializer_list<std::string_view> texts) {
    std::vector<Endpoint> addresses;
    for (const std::string_view text : texts) addresses.push_back(*Endpoint::from_ip(text, 80));
    std::string result;
    for (const Endpoint& address : coax::interleave_families(addresses)) result += address.ip() + " ";
    return result;
  };
  EXPECT_EQ(mixed({"::1", "::2", "::3", "1.0.0.1", "1.0.0.2"}), "::1 1.0.0.1 ::2 1.0.0.2 ::3 ");
  EXPECT_EQ(mixed({"1.0.0.1", "1.0.0.2", "::1"}), "1.0.0.1 ::1 1.0.0.2 ");
  EXPECT_EQ(mixed({"::1", "1.0.0.1", "1.0.0.2", "1.0.0.3"}), "::1 1.0.0.1 1.0.0.2 1.0.0.3 ");
  EXPECT_EQ(mixed({"1.0.0.2", "1.0.0.1"}), "1.0.0.2 1.0.0.1 ");
  EXPECT_EQ(mixed({}), "");
}

}  // namespace endpoint_test
