// The client behind proxies: X-Forwarded-For and its like, Forwarded (RFC 7239). Each proxy appends the peer that it
// has seen, so the list is read from its end, for as long as the address is one of ours.
#include <algorithm>

#include "coax/base/text.hpp"
#include "coax/codec/token.hpp"
#include "coax/http/middleware.hpp"
#include "coax/http/middleware_private.hpp"
#include "coax/http/site_private.hpp"
#include "coax/http/status_error.hpp"

namespace coax::http {

namespace {

// What one proxy says about its peer. Empty: nothing.
struct Hop {
  std::string address;
  std::string scheme;
  std::string host;
};

// An element of the list of all fields of that name.
std::vector<std::string_view> list_of(const Request& request, std::string_view name) {
  std::vector<std::string_view> out;
  for (const Field& field : request.fields()) {
    if (!equal_ignoring_case(field.name, name)) continue;
    http1::for_each_word(field.value, [&](std::string_view word) { out.push_back(word); });
  }
  return out;
}

// Proxies that replace a list, instead of appending to it, leave fewer elements: then the first is for all hops left of
// it.
std::string_view element_from_end(const std::vector<std::string_view>& list, std::size_t index) {
  return list.empty() ? "" : list[list.size() - 1 - std::min(index, list.size() - 1)];
}

std::vector<Hop> hops_of_x_forwarded(const Request& request) {
  const auto addresses = list_of(request, "X-Forwarded-For");
  const auto schemes = list_of(request, "X-Forwarded-Proto");
  const auto hosts = list_of(request, "X-Forwarded-Host");
  const std::size_t count = std::max<std::size_t>(addresses.size(), schemes.empty() && hosts.empty() ? 0 : 1);
  std::vector<Hop> hops;
  for (std::size_t i = 0; i < count; ++i) {
    hops.push_back({.address = i < addresses.size() ? std::string(element_from_end(addresses, i)) : "",
                    .scheme = std::string(element_from_end(schemes, i)),
                    .host = std::string(element_from_end(hosts, i))});
  }
  return hops;
}

// --- Forwarded (RFC 7239, section 4) ---

[[noreturn]] void refuse_forwarded() {
  throw StatusError(400, "read", "the field Forwarded", "the field Forwarded is malformed");
}

class ForwardedReader {
 public:
  explicit ForwardedReader(std::string_view text) : text_(text) {}

  // The elements in their order.
  std::vector<Hop> read() {
    std::vector<Hop> hops;
    while (true) {
      skip_space();
      if (text_.empty()) return hops;
      if (pop(',')) continue;  // an empty element
      hops.push_back(read_element());
      skip_space();
      if (!text_.empty() && !pop(',')) refuse_forwarded();
    }
  }

 private:
  Hop read_element() {
    Hop hop;
    do {
      skip_space();
      const std::string name = read_token();
      if (!pop('=')) refuse_forwarded();
      const std::string value = !text_.empty() && text_[0] == '"' ? read_quoted() : read_token();
      std::string* const place = equal_ignoring_case(name, "for")     ? &hop.address
                                 : equal_ignoring_case(name, "proto") ? &hop.scheme
                                 : equal_ignoring_case(name, "host")  ? &hop.host
                                                                      : nullptr;
      if (place != nullptr && !place->empty()) refuse_forwarded();  // each parameter once
      if (place != nullptr) *place = value;
      skip_space();
    } while (pop(';'));
    return hop;
  }

  std::string read_token() {
    const auto end = std::ranges::find_if_not(text_, http1::is_token_char);
    const auto size = static_cast<std::size_t>(end - text_.begin());
    if (size == 0) refuse_forwarded();
    std::string token(text_.substr(0, size));
    text_.remove_prefix(size);
    return token;
  }

  std::string read_quoted() {
    std::string out;
    for (text_.remove_prefix(1); !text_.empty() && text_[0] != '"'; text_.remove_prefix(1)) {
      if (text_[0] == '\\' && text_.size() > 1) text_.remove_prefix(1);
      out += text_[0];
    }
    if (!pop('"')) refuse_forwarded();
    return out;
  }

  bool pop(char c) noexcept {
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void skip_space() noexcept { text_.remove_prefix(std::min(text_.find_first_not_of(" \t"), text_.size())); }

  std::string_view text_;
};

std::vector<Hop> hops_of_forwarded(const Request& request) {
  std::vector<Hop> hops;
  for (const Field& field : request.fields()) {
    if (!equal_ignoring_case(field.name, "Forwarded")) continue;
    for (Hop& hop : ForwardedReader(field.value).read()) hops.push_back(std::move(hop));
  }
  std::ranges::reverse(hops);
  return hops;
}

// --- the client ---

// With a port, too; nothing for "unknown" and "_hidden" (RFC 7239, section 6).
std::optional<Endpoint> endpoint_of(std::string_view text) {
  if (const auto plain = Endpoint::from_ip(text, 0)) return plain;
  return Endpoint::parse(text);
}

bool is_host(std::string_view text) {
  static constexpr http1::WordChars is_host_char("-._:[]");
  return !text.empty() && text.size() <= 255 && std::ranges::all_of(text, is_host_char) && parse_host_port(text);
}

class Proxies {
 public:
  explicit Proxies(ProxyOptions options) : options_(std::move(options)) {}

  void apply(Request& request) const {
    Endpoint client = request.peer();
    if (!is_trusted(client)) return;
    const std::vector<Hop> hops =
        options_.header == ProxyOptions::Header::forwarded ? hops_of_forwarded(request) : hops_of_x_forwarded(request);
    const Hop* last = nullptr;
    for (const Hop& hop : hops) {
      last = &hop;
      const auto address = endpoint_of(hop.address);
      if (!address) break;
      client = address->unmapped();
      if (!is_trusted(client)) break;
    }
    if (last == nullptr) return;
    request.set_peer(client);
    if (equal_ignoring_case(last->scheme, "https")) request.set_secure(true);
    if (equal_ignoring_case(last->scheme, "http")) request.set_secure(false);
    if (options_.host && is_host(last->host)) request.set_host(last->host);
  }

 private:
  [[nodiscard]] bool is_trusted(const Endpoint& peer) const {
    if (peer.family() == Endpoint::Family::none) return options_.local_sockets;
    return std::ranges::any_of(options_.networks, [&](const Network& network) { return network.contains(peer); });
  }

  ProxyOptions options_;
};

}  // namespace

Middleware trusted_proxies(ProxyOptions options) {
  return [proxies = Proxies(std::move(options))](Request& request, Next next) -> Task<Response> {
    try {
      proxies.apply(request);
    } catch (const StatusError& error) {
      co_return refusal_of(error, request);
    }
    co_return co_await next.answered(request);
  };
}

}  // namespace coax::http
