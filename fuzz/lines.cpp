// Invariant: the lines do not depend on how the bytes are split, none has an LF or is above the limit, and no byte is
// lost.
#include "coax/codec/lines.hpp"

#include "fuzz/input.hpp"

namespace {

using coax::LineEvent;

std::vector<std::string> decode(coax::fuzz::Pieces pieces, std::size_t line_bytes_max) {
  coax::LineDecoder lines(line_bytes_max);
  std::vector<std::string> events;
  const auto keep = [&](const LineEvent& event) {
    coax::fuzz::require(event.bytes.size() <= line_bytes_max && !event.bytes.text().contains('\n'));
    events.push_back(event.kind == LineEvent::Kind::too_long ? "\n" : event.bytes.string());
  };
  for (auto& piece : pieces) {
    lines.feed(std::span(piece));
    while (const auto event = lines.next()) keep(*event);
    std::vector<char>().swap(piece);
  }
  const std::size_t ends = events.size();
  if (const auto rest = lines.rest()) keep(*rest);
  events.push_back(std::to_string(ends) + (lines.saw_line_end() ? " ends" : " and no end"));
  return events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = coax::fuzz::text_of(data, size);
  for (const std::size_t line_bytes_max : {std::size_t{4}, size}) {
    coax::fuzz::require_same_however_cut(
        input, [&](coax::fuzz::Pieces pieces) { return decode(std::move(pieces), line_bytes_max); });
  }
  // Without a limit: the lines, each with its end, are the input; only CRs before LFs may be missing.
  std::string joined;
  auto events = decode(coax::fuzz::cut(input, 1), size);
  events.pop_back();
  for (const std::string& event : events) joined += event + "\n";
  std::string expected;
  for (std::size_t index = 0; index < input.size(); ++index) {
    if (!input.substr(index).starts_with("\r\n")) expected += input[index];
  }
  if (!input.empty() && !input.ends_with('\n')) expected += '\n';
  coax::fuzz::require(joined == expected);
  return 0;
}
