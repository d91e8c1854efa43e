// Sec-WebSocket-Extensions (RFC 6455, section 9.1) and the parameters of permessage-deflate (RFC 7692, section 7.1).
#include "coax/codec/websocket_deflate.hpp"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "coax/base/text.hpp"
#include "coax/codec/token.hpp"

namespace coax::ws {

namespace {

constexpr std::uint8_t window_bits_max = 15;

struct Parameter {
  std::string_view name;
  std::optional<std::string_view> value;
};

struct Extension {
  std::string_view name;
  std::vector<Parameter> parameters;
};

// A value may be quoted, and is a token without the quotes, too.
std::optional<Parameter> parse_parameter(std::string_view text) {
  const std::size_t equals = text.find('=');
  Parameter parameter{.name = trim(text.substr(0, equals)), .value = {}};
  if (equals != std::string_view::npos) {
    std::string_view value = trim(text.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    if (!http1::is_token(value)) return std::nullopt;
    parameter.value = value;
  }
  if (!http1::is_token(parameter.name)) return std::nullopt;
  return parameter;
}

std::optional<Extension> parse_extension(std::string_view text) {
  std::size_t end = std::min(text.find(';'), text.size());
  Extension extension{.name = trim(text.substr(0, end)), .parameters = {}};
  if (!http1::is_token(extension.name)) return std::nullopt;
  while (end < text.size()) {
    const std::size_t begin = end + 1;
    end = std::min(text.find(';', begin), text.size());
    const auto parameter = parse_parameter(text.substr(begin, end - begin));
    if (!parameter) return std::nullopt;
    extension.parameters.push_back(*parameter);
  }
  return extension;
}

// Nothing when a field is malformed.
std::optional<std::vector<Extension>> parse_extensions(const http1::Head& head) {
  std::vector<Extension> extensions;
  bool is_malformed = false;
  for (const http1::Field& field : head.fields) {
    if (!equal_ignoring_case(field.name, "Sec-WebSocket-Extensions")) continue;
    http1::for_each_word(field.value, [&](std::string_view word) {
      auto extension = parse_extension(word);
      is_malformed = is_malformed || !extension;
      if (extension) extensions.push_back(std::move(*extension));
    });
  }
  if (is_malformed) return std::nullopt;
  return extensions;
}

// The parameters of an extension that is permessage-deflate.
struct Deflate {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  std::optional<std::uint8_t> server_max_window_bits;
  std::optional<std::uint8_t> client_max_window_bits;
  bool has_client_max_window_bits = false;  // in an offer it may be without a value

  // Nothing when a parameter is unknown, malformed, or there twice.
  static std::optional<Deflate> read(const Extension& extension, bool is_offer) {
    Deflate result;
    for (const Parameter& parameter : extension.parameters) {
      if (!result.add(parameter, is_offer)) return std::nullopt;
    }
    return result;
  }

 private:
  bool add(const Parameter& parameter, bool is_offer) {
    const std::string_view name = parameter.name;
    if (name == "server_no_context_takeover") {
      return !parameter.value && !std::exchange(server_no_context_takeover, true);
    }
    if (name == "client_no_context_takeover") {
      return !parameter.value && !std::exchange(client_no_context_takeover, true);
    }
    if (name == "server_max_window_bits") return set(server_max_window_bits, parameter.value);
    if (name != "client_max_window_bits" || std::exchange(has_client_max_window_bits, true)) return false;
    return set(client_max_window_bits, parameter.value) || (is_offer && !parameter.value);
  }
  // Decimal, 8 to 15, without leading zeros.
  static bool set(std::optional<std::uint8_t>& bits, std::optional<std::string_view> text) {
    if (bits || !text || text->starts_with('0')) return false;
    std::uint8_t value = 0;
    const char* const end = text->data() + text->size();
    const auto [stop, error] = std::from_chars(text->data(), end, value);
    if (error != std::errc() || stop != end || value < 8 || value > window_bits_max) return false;
    bits = value;
    return true;
  }
};

void add_bits(std::string& text, std::string_view name, std::uint8_t bits) {
  text.append("; ").append(name).append("=").append(std::to_string(bits));
}

constexpr std::string_view extension_name = "permessage-deflate";

// Nothing when this server cannot accept the offer.
std::optional<DeflateAnswer> answer(const Deflate& offer, const DeflateParameters& wanted) {
  DeflateParameters agreed = wanted;
  DeflateSide& server = agreed.server;
  DeflateSide& client = agreed.client;
  server.window_bits = std::max(server.window_bits, deflate_window_bits_min);
  if (offer.server_max_window_bits) {
    if (*offer.server_max_window_bits < deflate_window_bits_min) return std::nullopt;
    server.window_bits = std::min(server.window_bits, *offer.server_max_window_bits);
  }
  if (offer.server_no_context_takeover) server.context_takeover = false;
  if (offer.client_no_context_takeover) client.context_takeover = false;
  // Only a client that has offered it can be limited (section 7.1.2.2).
  if (!offer.has_client_max_window_bits) client.window_bits = window_bits_max;
  client.window_bits = std::min(client.window_bits, offer.client_max_window_bits.value_or(window_bits_max));
  std::string text(extension_name);
  if (!server.context_takeover) text.append("; server_no_context_takeover");
  if (!client.context_takeover) text.append("; client_no_context_takeover");
  if (offer.server_max_window_bits || server.window_bits < window_bits_max) {
    add_bits(text, "server_max_window_bits", server.window_bits);
  }
  if (client.window_bits < window_bits_max) add_bits(text, "client_max_window_bits", client.window_bits);
  return DeflateAnswer{agreed, std::move(text)};
}

}  // namespace

std::expected<std::optional<DeflateAnswer>, http1::Failure> answer_deflate(const http1::Head& request,
                                                                           const DeflateParameters& wanted) {
  const auto extensions = parse_extensions(request);
  if (!extensions) return std::unexpected(http1::Failure{400, "a malformed Sec-WebSocket-Extensions"});
  for (const Extension& extension : *extensions) {
    if (extension.name != extension_name) continue;
    const auto offer = Deflate::read(extension, true);
    if (auto result = offer ? answer(*offer, wanted) : std::nullopt) return result;
  }
  return std::nullopt;
}

std::string deflate_offer(const DeflateParameters& wanted) {
  std::string text(extension_name);
  if (!wanted.server.context_takeover) text.append("; server_no_context_takeover");
  if (!wanted.client.context_takeover) text.append("; client_no_context_takeover");
  if (wanted.server.window_bits < window_bits_max) add_bits(text, "server_max_window_bits", wanted.server.window_bits);
  if (wanted.client.window_bits < window_bits_max) {
    add_bits(text, "client_max_window_bits", wanted.client.window_bits);
  } else {
    text.append("; client_max_window_bits");
  }
  return text;
}

std::expected<std::optional<DeflateParameters>, std::string_view> check_deflate_answer(
    const http1::Head& response, const std::optional<DeflateParameters>& wanted) {
  const auto extensions = parse_extensions(response);
  if (!extensions) return std::unexpected("a malformed Sec-WebSocket-Extensions");
  if (extensions->empty()) return std::nullopt;
  if (!wanted || extensions->size() != 1 || extensions->front().name != extension_name) {
    return std::unexpected("an extension that was not offered");
  }
  const auto answer = Deflate::read(extensions->front(), false);
  if (!answer) return std::unexpected("invalid parameters of permessage-deflate");
  // What the client has asked of the server must be there; a limit for the client may be lower than offered.
  if (!wanted->server.context_takeover && !answer->server_no_context_takeover) {
    return std::unexpected("permessage-deflate without server_no_context_takeover");
  }
  const std::uint8_t server_bits = answer->server_max_window_bits.value_or(window_bits_max);
  const std::uint8_t client_bits = answer->client_max_window_bits.value_or(window_bits_max);
  if (server_bits > wanted->server.window_bits) {
    return std::unexpected("permessage-deflate with a larger server_max_window_bits than offered");
  }
  if (answer->client_max_window_bits && client_bits > wanted->client.window_bits) {
    return std::unexpected("permessage-deflate with a larger client_max_window_bits than offered");
  }
  return DeflateParameters{
      .server = {.context_takeover = !answer->server_no_context_takeover, .window_bits = server_bits},
      .client = {.context_takeover = wanted->client.context_takeover && !answer->client_no_context_takeover,
                 .window_bits = std::min(client_bits, wanted->client.window_bits)}};
}

}  // namespace coax::ws
