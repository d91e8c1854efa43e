// CompactEndpoint gives back the endpoint that it was made of.
#include "coax/net/compact_endpoint.hpp"

#include <gtest/gtest.h>

namespace compact_endpoint_test {

using namespace coax;

TEST(CompactEndpoint, gives_back_every_kind_of_endpoint) {
  for (const char* text : {"0.0.0.0:0", "127.0.0.1:1", "255.255.255.255:65535", "1.2.3.4:80", "[::]:0", "[::1]:80",
                           "[fe80::1%lo]:443", "[::ffff:1.2.3.4]:65535"}) {
    const Endpoint endpoint = Endpoint::parse(text).value();
    const CompactEndpoint compact(endpoint);
    EXPECT_TRUE(compact) << text;
    EXPECT_EQ(compact.get(), endpoint) << text;
  }
  EXPECT_FALSE(CompactEndpoint(Endpoint()));
  EXPECT_EQ(CompactEndpoint(Endpoint()).get(), Endpoint());
}

TEST(CompactEndpoint, moved_leaves_none_behind) {
  CompactEndpoint first(Endpoint::parse("[2001:db8::1]:80").value());
  const CompactEndpoint second(std::move(first));
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): that is the test
  EXPECT_EQ(second.get().to_string(), "[2001:db8::1]:80");
}

}  // namespace compact_endpoint_test
