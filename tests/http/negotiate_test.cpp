// Content negotiation: a field and offers in, the preferred offer out.
#include "coax/http/negotiate.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace negotiate_test {

using coax::http::preferred;
using coax::http::preferred_encoding;
using coax::http::preferred_language;

namespace {

using Table = std::vector<std::pair<std::string_view, std::string_view>>;

}  // namespace

TEST(Preferred, is_by_weight_and_then_by_the_order_of_offers) {
  const Table table{
      {"", "text/html"},
      {"*/*", "text/html"},
      {"application/json", "application/json"},
      {"APPLICATION/JSON", "application/json"},
      {"text/*", "text/html"},
      {"text/html;q=0.5, application/json", "application/json"},
      {"text/html;q=0.500,application/json;q=0.4", "text/html"},
      {"text/html , application/json", "text/html"},
      {"application/json, text/html", "text/html"},
      {"text/html;q=0, */*", "application/json"},
      {"*/*;q=0.1, application/*", "application/json"},
      {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", "text/html"},
      {"application/json, text/plain, */*", "application/json"},
      {",, application/json ,,", "application/json"},
      {"image/png", ""},
      {"text/html;q=0,application/json;q=0.000", ""},
      {"*/*;q=0", ""},
      {"application/json;a=\",text/html\", image/png", ""},
  };
  for (const auto& [accept, expected] : table) {
    const std::string_view best = preferred(accept, {"text/html", "application/json"});
    EXPECT_EQ(best, expected) << accept;
  }
  EXPECT_EQ(preferred("*/*", {}), "");
}

TEST(Preferred, the_most_specific_range_gives_the_weight) {  // the example of RFC 9110, section 12.5.1
  const std::string_view accept =
      "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5";
  const auto is_better = [&](std::string_view one, std::string_view other) {
    return preferred(accept, {one, other}) == one && preferred(accept, {other, one}) == one;
  };
  EXPECT_TRUE(is_better("text/plain;format=flowed", "text/plain"));
  EXPECT_TRUE(is_better("text/plain", "image/jpeg"));
  EXPECT_TRUE(is_better("image/jpeg", "text/plain; format=\"fixed\""));
  EXPECT_TRUE(is_better("text/plain;format=fixed", "text/html"));
  EXPECT_EQ(preferred("text/html;level=1", {"text/html"}), "");
  EXPECT_EQ(preferred("application/json; charset=utf-8", {"application/json"}), "application/json");
  EXPECT_EQ(preferred("text/html;charset=latin1", {"text/html;charset=utf-8"}), "");
  EXPECT_EQ(preferred("text/html;charset=utf-8;level=1", {"text/html"}), "");
  EXPECT_EQ(preferred("text/html", {"text/html; charset=utf-8"}), "text/html; charset=utf-8");
}

TEST(Preferred, a_malformed_field_means_anything) {
  for (const std::string_view accept : {"application", "application/", "/json", "*/json", "application/json;q=2",
                                        "application/json;q=1.001", "application/json;q=.5", "application/json;q=-1",
                                        "application/json;q=0.1234", "application/json;q=", "application/json;q=0,5",
                                        "application/json;x", "application/json;a=\"", "a b/c", "*", "\x01"}) {
    EXPECT_EQ(preferred(accept, {"text/html", "application/json"}), "text/html") << accept;
  }
}

TEST(PreferredEncoding, is_identity_unless_another_is_accepted) {
  const Table table{
      {"", "identity"},
      {"gzip", "gzip"},
      {"x-gzip", "gzip"},
      {"gzip, deflate, br, zstd", "br"},
      {"GZIP;q=1.0, br;q=0.9", "gzip"},
      {"gzip;q=0", "identity"},
      {"deflate", "identity"},
      {"*", "br"},
      {"*;q=0", ""},
      {"identity;q=0", ""},
      {"identity;q=0, gzip", "gzip"},
      {"*;q=0, gzip", "gzip"},
      {"*;q=0, identity", "identity"},
      {"br;q=0, *", "gzip"},
      {"gzip;q=0.5, identity", "identity"},
      {"gzip;q=0.5, identity;q=0.5", "gzip"},
      {"identity;q=0.5, *;q=0", "identity"},
      {"gzip;q=x", "identity"},
      {"g zip", "identity"},
  };
  for (const auto& [accepted, expected] : table) {
    const std::string_view best = preferred_encoding(accepted, {"br", "gzip"});
    EXPECT_EQ(best, expected) << accepted;
  }
}

TEST(PreferredLanguage, is_a_longer_tag_or_else_a_shorter_one) {
  const Table table{
      {"", "en"},
      {"de", "de-AT"},
      {"DE-at", "de-AT"},
      {"de-AT-1996", "de-AT"},
      {"fr-CH", "fr"},
      {"fr-CH, de;q=0.5", "de-AT"},
      {"en;q=0.8, fr", "fr"},
      {"es, *;q=0.1", "en"},
      {"en;q=0, *", "de-AT"},
      {"es", ""},
      {"d", ""},
      {"frx", ""},
      {"fr;q=0, fr-CH", ""},
      {"de;q=2", "en"},
      {"*", "en"},
  };
  for (const auto& [accepted, expected] : table) {
    const std::string_view best = preferred_language(accepted, {"en", "de-AT", "fr"});
    EXPECT_EQ(best, expected) << accepted;
  }
}

}  // namespace negotiate_test
