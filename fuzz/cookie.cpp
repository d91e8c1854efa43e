// Invariant: any value that is written as a cookie is read again, and its field has nothing but visible ASCII; a name
// is read once; signed and sealed values are accepted only unchanged; a preference is one of the offers.
#include "coax/http/cookie.hpp"

#include <set>

#include "coax/codec/token.hpp"
#include "coax/http/negotiate.hpp"
#include "coax/http/secret_cookie.hpp"
#include "fuzz/input.hpp"

namespace {

using coax::fuzz::require;
using namespace std::chrono_literals;

coax::http::Pairs parse(std::string_view text) {
  const coax::http::Field field{.name = "Cookie", .value = text};
  return coax::http::parse_cookies(coax::http::Fields(std::span(&field, 1)));
}

void check_secrets(std::string_view input) {
  static const coax::http::CookieKeys keys({std::string(32, 'a'), std::string(32, 'b')});
  const auto now = std::chrono::system_clock::from_time_t(1'700'000'000);
  require(!keys.verify("a", input, now) && !keys.open("a", input, now));
  const std::string text = keys.sign("a", input, 1h, now);
  require(keys.verify("a", text, now) == input && !keys.verify("b", text, now) && !keys.open("a", text, now));
  const std::string sealed = keys.seal("a", input, 1h, now);
  require(keys.open("a", sealed, now) == input && !keys.open("b", sealed, now) && !keys.verify("a", sealed, now));
}

void check_preferences(std::string_view input) {
  const auto is_one_of = [](std::string_view best, std::initializer_list<std::string_view> offers) {
    require(best.empty() || std::ranges::find(offers, best) != offers.end());
  };
  is_one_of(coax::http::preferred(input, {"text/html", "application/json"}), {"text/html", "application/json"});
  is_one_of(coax::http::preferred_encoding(input, {"gzip"}), {"gzip", "identity"});
  is_one_of(coax::http::preferred_language(input, {"en", "de-AT"}), {"en", "de-AT"});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = coax::fuzz::text_of(data, size);
  std::set<std::string> names;
  for (const auto& [name, value] : parse(input)) {
    require(coax::http1::is_token(name) && names.insert(name).second);
  }
  if (size <= 1000) {
    const std::string field = coax::http::format_set_cookie({.name = "a", .value = std::string(input)});
    require(std::ranges::all_of(field, [](char c) { return c >= ' ' && c < '\x7F'; }));
    const auto read = parse(std::string_view(field).substr(0, field.find(';')));
    require(read.size() == 1 && read[0].first == "a" && read[0].second == input);
  }
  check_secrets(input);
  check_preferences(input);
  return 0;
}
