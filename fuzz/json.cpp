// Invariant: accepted JSON is UTF-8, is also accepted on one line, and inside an array; the position of an error is
// within the text or at its end.
#include "coax/codec/json.hpp"

#include "coax/base/text.hpp"
#include "fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using coax::check_json;
  using coax::fuzz::require;
  const std::vector<char> block =
      size == 0 ? std::vector<char>() : coax::fuzz::cut(coax::fuzz::text_of(data, size), size)[0];
  const coax::BytesView text = std::span(block);
  const auto fault = check_json(text, 20);
  if (fault) {
    require(fault->at <= size && !fault->reason.empty());
    return 0;
  }
  require(coax::is_utf8(text));
  const std::string line = coax::json_on_one_line(text);
  require(line.size() == size && !line.contains('\n') && !line.contains('\r') && !check_json(line, 20));
  require(!check_json("[" + line + "," + line + "]", 21));
  require(check_json(line + "x", 20).has_value());
  return 0;
}
