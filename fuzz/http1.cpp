// Invariant: the message, or its refusal, does not depend on how the bytes are split, nor on whether they are lent; an
// accepted head has no control characters, has one length at most and, written again, is parsed as the same head.
#include "coax/codec/http1.hpp"

#include "coax/codec/token.hpp"
#include "fuzz/input.hpp"

namespace {

using coax::fuzz::require;
using coax::http1::Head;

constexpr coax::http1::Limits limits{
    .start_line_bytes_max = 200, .head_bytes_max = 400, .fields_max = 8, .body_bytes_max = 50};

std::string text_of(const Head& head) {
  std::string text = std::string(head.method) + " " + std::string(head.target) + " " + std::to_string(head.status);
  for (const auto& [name, value] : head.fields) {
    require(coax::http1::is_token(name) && std::ranges::all_of(value, coax::http1::is_field_char));
    text.append("\n").append(name).append("=").append(value);
  }
  require(!(head.chunked && head.content_length) && head.fields.size() <= limits.fields_max);
  return text + (head.keep_alive ? "\nkeep" : "\nclose");
}

void require_same_when_written_again(const Head& head) {
  std::string written;
  if (head.status == 0) {
    coax::http1::append_request_head(written, head.method, head.target, head.fields);
    coax::http1::RequestParser parser;
    const bool has_host = head.find("Host").has_value();
    require(parser.feed(written).has_value() == (has_host && parser.head_done()));
    if (has_host && head.version_minor == 1) require(text_of(parser.head()) == text_of(head));
  } else {
    coax::http1::append_response_head(written, head.status, head.fields);
    coax::http1::ResponseParser parser("HEAD");  // its length may be above the limit of a body that is read
    require(parser.feed(written).has_value() && parser.head_done());
  }
}

// A single piece is lent.
template <class Parser>
std::vector<std::string> decode(coax::fuzz::Pieces pieces, Parser& parser, auto reset) {
  std::vector<std::string> messages;
  const bool lent = pieces.size() == 1;
  for (auto& piece : pieces) {
    for (coax::BytesView rest = std::span(piece); rest;) {
      const auto taken = lent ? parser.feed_lent(rest) : parser.feed(rest);
      if (!taken) {
        messages.push_back(std::to_string(taken.error().status) + std::string(taken.error().reason));
        return messages;
      }
      rest = rest.from(*taken);
      require(parser.body().size() <= limits.body_bytes_max && (parser.done() || !rest));
      if (!parser.done()) continue;
      require_same_when_written_again(parser.head());
      messages.push_back(text_of(parser.head()) + "\n" + parser.body());
      reset();
    }
    if (lent) parser.keep();
    std::vector<char>().swap(piece);
  }
  messages.push_back(parser.head_done() ? "in the body " + parser.body()
                     : parser.started() ? "in the head"
                                        : "between");
  return messages;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = coax::fuzz::text_of(data, size);
  coax::fuzz::require_same_however_cut(input, [](coax::fuzz::Pieces pieces) {
    coax::http1::RequestParser parser(limits);
    return decode(std::move(pieces), parser, [&] { parser.reset(); });
  });
  for (const std::string_view method : {"GET", "HEAD", "CONNECT"}) {
    coax::fuzz::require_same_however_cut(input, [&](coax::fuzz::Pieces pieces) {
      coax::http1::ResponseParser parser(method, limits);
      return decode(std::move(pieces), parser, [&] { parser.reset(method); });
    });
  }
  return 0;
}
