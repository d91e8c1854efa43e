// Invariant: the parts of a multipart body, and its end or error, do not depend on how the bytes are split; names are
// valid UTF-8, and file names are base names; writing fields and decoding them returns the same fields (RFC 7578).
#include "coax/codec/multipart.hpp"

#include <string>

#include "coax/base/text.hpp"
#include "coax/codec/parameters.hpp"
#include "coax/codec/urlencoded.hpp"
#include "fuzz/input.hpp"

namespace {

using coax::fuzz::require;
using coax::http::MultipartDecoder;
using coax::http::MultipartEvent;
using coax::http::MultipartPart;

void check_part(const MultipartPart& part) {
  require(coax::is_utf8(part.name) && coax::is_utf8(part.content_type));
  if (!part.filename) return;
  const std::string& name = *part.filename;
  require(coax::is_utf8(name) && !coax::has_control(name) && name != "." && name != "..");
  require(name.find_first_of("/\\") == std::string::npos);
}

struct Body {
  std::string text;     // of all events
  std::string content;  // of the last part
  friend bool operator==(const Body&, const Body&) = default;
};

Body decode(const coax::fuzz::Pieces& pieces) {
  MultipartDecoder decoder("b", {.parts_max = 20, .head_bytes_max = 300});
  Body body;
  bool in_part = false;
  for (const auto& piece : pieces) {
    decoder.feed(std::span(piece));
    while (true) {
      const auto event = decoder.next();
      if (!event) {
        body.text += event.error().reason;
        require(!decoder.finish());
        return body;
      }
      if (!*event) break;
      switch ((*event)->kind) {
        case MultipartEvent::Kind::part:
          require(!in_part);
          check_part(decoder.part());
          in_part = true;
          body.text += "[" + decoder.part().name + "|" + decoder.part().filename.value_or("-") + "]";
          body.content.clear();
          break;
        case MultipartEvent::Kind::data:
          require(in_part && !(*event)->data.empty());
          body.text += (*event)->data.text();
          body.content += (*event)->data.text();
          break;
        case MultipartEvent::Kind::part_end: require(std::exchange(in_part, false)); break;
        case MultipartEvent::Kind::end:
          require(!in_part && decoder.finish());
          body.text += "end";
          break;
      }
    }
  }
  if (const auto end = decoder.finish(); !end) body.text += end.error().reason;
  return body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = coax::fuzz::text_of(data, size);
  coax::fuzz::require_same_however_cut(input, decode);
  // Any content comes back, unless it has a boundary of its own.
  if (!input.contains("--b")) {
    const std::string head = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n";
    const Body body = decode(coax::fuzz::cut(head + std::string(input) + "\r\n--b--", 5));
    require(body.content == input && body.text.ends_with("end"));
  }
  using coax::http::Backslash;
  for (const Backslash backslash : {Backslash::path, Backslash::form, Backslash::pair}) {
    if (const auto parsed = coax::http::parse_parameters(input, backslash)) require(!parsed->value.empty());
  }
  if (const auto decoded = coax::http::decode_extended_value(input)) require(coax::is_utf8(*decoded));
  if (const auto boundary = coax::http::multipart_boundary(input))
    require(!boundary->empty() && boundary->size() <= 70);
  const auto fields = coax::http::parse_urlencoded(input, 10);
  if (!fields) return 0;
  require(fields->size() <= 10);
  for (const auto& [name, value] : *fields) require(coax::is_utf8(name) && coax::is_utf8(value));
  return 0;
}
