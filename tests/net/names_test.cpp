// Names to addresses and back. Nothing here needs a network: literals, localhost, and names that cannot exist.
#include "coax/net/names.hpp"

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <concepts>
#include <set>

#include "coax/net/idna.hpp"
#include "tests/support/blocking.hpp"

namespace names_test {

using namespace coax;
using namespace coax::test;

namespace {

// The resolver's reason of the ResolveError that it throws; 0: none.
template <class Call>
int resolver_says(Call call) {
  try {
    call();
  } catch (const ResolveError& error) {
    return error.reason();
  }
  return 0;
}

}  // namespace

TEST(Names, that_do_not_exist_whatever_a_name_server_says) {
  for (const std::string_view name : {"invalid", "a.invalid", "a.invalid."}) {
    EXPECT_THROW(address_info(name, "80"), ResolveError) << name;
    EXPECT_THROW(host_by_name(name), ResolveError) << name;
  }
}

TEST(Names, of_this_machine_for_the_older_call) {
  const HostEntry host = host_by_name("a.localhost");
  EXPECT_EQ(host.name, "a.localhost");
  EXPECT_EQ(host.addresses, std::vector<Endpoint>{*Endpoint::from_ip("127.0.0.1", 0)});
}

TEST(Names, re01_a_literal_has_one_entry_for_each_type_of_socket) {
  std::set<SocketType> types;
  for (const AddressInfo& info : address_info("127.0.0.1", "80")) {
    EXPECT_EQ(info.family, Family::v4);
    EXPECT_EQ(info.address.to_string(), "127.0.0.1:80");
    EXPECT_TRUE(types.insert(info.type).second);
  }
  EXPECT_TRUE(types.contains(SocketType::stream));
  EXPECT_TRUE(types.contains(SocketType::datagram));
  const auto tcp = address_info("::1", "80", {.type = SocketType::stream});
  ASSERT_EQ(tcp.size(), 1U);
  EXPECT_EQ(tcp[0].protocol, IPPROTO_TCP);
}

TEST(Names, re02_an_empty_host_is_the_wildcard_or_loopback) {
  const AddressHints v4{.family = Family::v4, .type = SocketType::stream};
  AddressHints passive = v4;
  passive.passive = true;
  EXPECT_EQ(address_info("", "80", passive).at(0).address.to_string(), "0.0.0.0:80");
  EXPECT_EQ(address_info("", "80", v4).at(0).address.to_string(), "127.0.0.1:80");
}

TEST(Names, re03_services_have_names) {
  EXPECT_EQ(address_info("127.0.0.1", "http").at(0).address.endpoint().port(), 80);
}

TEST(Names, re04_an_unknown_host_is_an_error_with_the_resolvers_reason) {
  // Which of these it is depends on whether a name server answers.
  const int reason = resolver_says([] { address_info("no-such-name.invalid", "80"); });
  EXPECT_TRUE(reason == EAI_NONAME || reason == EAI_AGAIN || reason == EAI_FAIL) << reason;
  EXPECT_EQ(resolver_says([] { resolve("no-such-name.invalid", 80); }), reason);
  EXPECT_EQ(kind_thrown([] { address_info("no-such-name.invalid", "80"); }), ErrorKind::address);
  static_assert(std::derived_from<ResolveError, Error> && std::derived_from<Error, std::system_error>);
}

TEST(Names, re05_numeric_hints_refuse_names_and_other_families) {
  EXPECT_EQ(resolver_says([] { address_info("localhost", "80", {.numeric_host = true}); }), EAI_NONAME);
  EXPECT_NE(resolver_says([] { address_info("::1", "80", {.family = Family::v4}); }), 0);
  EXPECT_NE(resolver_says([] { address_info("127.0.0.1", "http", {.numeric_service = true}); }), 0);
}

TEST(Names, re06_a_name_that_is_too_long_or_has_a_nul_is_refused) {
  EXPECT_EQ(kind_thrown([] { address_info(std::string(300, 'a'), "80"); }), ErrorKind::address);
  EXPECT_EQ(kind_thrown([] { resolve(std::string(300, 'a'), 80); }), ErrorKind::address);
  const std::string cut("localhost\0.example", 18);
  EXPECT_EQ(kind_thrown([&] { address_info(cut, "80"); }), ErrorKind::address);
  EXPECT_EQ(kind_thrown([&] { resolve(cut, 80); }), ErrorKind::address);
  EXPECT_EQ(kind_thrown([] { address_info("127.0.0.1", std::string_view("80\0", 3)); }), ErrorKind::address);
}

TEST(Names, re07_international_names_are_encoded) {
  EXPECT_EQ(ascii_name("b\xc3\xbc"
                       "cher.example"),
            "xn--bcher-kva.example");
  EXPECT_EQ(ascii_name("localhost"), "localhost");
  EXPECT_EQ(ascii_name("under_score.example"), "under_score.example");
  EXPECT_EQ(kind_thrown([] { ascii_name("\xff.example"); }), ErrorKind::address);
}

TEST(Names, re08_numeric_texts_of_addresses_and_the_older_ipv4_call) {
  const NameInfo info = name_info(*Endpoint::parse("127.0.0.1:80"), {.numeric = true});
  EXPECT_EQ(info.host, "127.0.0.1");
  EXPECT_EQ(info.service, "80");
  EXPECT_EQ(name_info(*Endpoint::parse("127.0.0.1:80")).service, "http");
  const HostEntry host = host_by_name("localhost");
  ASSERT_FALSE(host.addresses.empty());
  for (const Endpoint& address : host.addresses) EXPECT_EQ(address.family(), Endpoint::Family::v4);
  EXPECT_EQ(host.addresses[0].ip(), "127.0.0.1");
  EXPECT_NE(resolver_says([] { host_by_name("::1"); }), 0);
  EXPECT_EQ(host_by_address(*Endpoint::from_ip("127.0.0.1", 0)).name, "localhost");
  EXPECT_FALSE(fully_qualified_name().empty());
  EXPECT_FALSE(fully_qualified_name("localhost").empty());
}

TEST(Names, re09_only_the_loose_form_accepts_short_addresses) {
  for (const char* text : {"127.0.0.1", "::1", "2001:db8::7"}) EXPECT_EQ(Endpoint::from_ip(text, 0)->ip(), text);
  for (const char* text : {"127.1", "256.0.0.1", "::g", "1.2.3.4.5", ""})
    EXPECT_FALSE(Endpoint::from_ip(text, 0)) << text;
  EXPECT_EQ(loose_ipv4("127.1")->ip(), "127.0.0.1");
  EXPECT_EQ(loose_ipv4("0x7f000001")->ip(), "127.0.0.1");
  for (const char* text : {"", "300.1", "127.0.0.1 and more", "name"}) EXPECT_FALSE(loose_ipv4(text)) << text;
}

// Ports are std::uint16_t in host byte order everywhere; the application never converts them.
TEST(Names, re10_no_number_is_turned_around_by_hand) {
  static_assert(std::same_as<decltype(Endpoint().port()), std::uint16_t>);
  static_assert(!std::is_constructible_v<std::uint16_t, std::string>);
  const Address address = *Endpoint::parse("127.0.0.1:258");
  EXPECT_EQ(address.native()[2], std::byte{1}) << "network order";
  EXPECT_EQ(address.native()[3], std::byte{2});
}

TEST(Names, re11_services_and_protocols_are_found_both_ways) {
  EXPECT_EQ(service_port("http", "tcp"), 80);
  EXPECT_EQ(service_port("domain"), 53);
  EXPECT_EQ(service_name(80, "tcp"), "http");
  EXPECT_EQ(protocol_number("tcp"), IPPROTO_TCP);
  EXPECT_EQ(protocol_number("udp"), IPPROTO_UDP);
  EXPECT_EQ(kind_thrown([] { service_port("no-such-service"); }), ErrorKind::address);
  EXPECT_EQ(kind_thrown([] { service_name(1, "no-such-protocol"); }), ErrorKind::address);
  EXPECT_EQ(kind_thrown([] { protocol_number("no-such-protocol"); }), ErrorKind::address);
}

TEST(Names, re12_interfaces_agree_by_name_and_number) {
  const auto all = interfaces();
  EXPECT_TRUE(std::ranges::any_of(all, [](const Interface& one) { return one.name == "lo"; }));
  for (const Interface& one : all) {
    EXPECT_EQ(interface_index(one.name), one.index);
    EXPECT_EQ(interface_name(one.index), one.name);
  }
  EXPECT_EQ(reason_of([] { interface_index("no-such-if"); }), ENODEV);
  EXPECT_EQ(reason_of([] { interface_name(4'000'000'000U); }), ENXIO);
}

}  // namespace names_test
