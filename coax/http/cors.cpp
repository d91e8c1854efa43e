// Cross-Origin Resource Sharing (WHATWG Fetch, section 3.3).
#include <fmt/core.h>

#include <algorithm>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/codec/token.hpp"
#include "coax/codec/url.hpp"
#include "coax/http/middleware.hpp"
#include "coax/http/middleware_private.hpp"
#include "coax/http/site_private.hpp"

namespace coax::http {

namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view reason) {
  throw Error(ErrorKind::invalid, "allow other origins", text, reason);
}

// As a browser sends it: in lower case, without a path. Browsers compare it byte by byte.
bool is_origin(std::string_view text) {
  if (text == "null") return true;
  const std::size_t end = text.find("://");
  if (end == std::string_view::npos || end == 0 || end + 3 == text.size()) return false;
  const auto is_in_origin = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || std::string_view("-._:[]+").contains(c);
  };
  return std::ranges::all_of(text.substr(0, end), is_in_origin) &&
         std::ranges::all_of(text.substr(end + 3), is_in_origin);
}

class Cors {
 public:
  explicit Cors(CorsOptions options) : options_(std::move(options)) {
    is_any_ = std::ranges::count(options_.origins, "*") != 0;
    if (is_any_ && options_.credentials) refuse("*", "with credentials, every origin has to be listed");
    for (const std::string& origin : options_.origins) {
      if (origin != "*" && !is_origin(origin)) refuse(origin, "an origin is written https://host or https://host:port");
    }
    for (const auto* names : {&options_.methods, &options_.headers, &options_.exposed}) {
      for (const std::string& name : *names) {
        if (!http1::is_token(name)) refuse(name, "that is no name of a method or header");
      }
    }
  }

  Task<Response> answer(Request& request, Next next) const {
    const bool is_preflight =
        request.method() == "OPTIONS" && request.fields().count("Access-Control-Request-Method") != 0;
    const auto origin = request.fields().find_only("Origin");
    if (is_preflight && origin) co_return preflight(*origin, Dispatch::refusal(next));
    Response response = co_await next.answered(request);
    allow(response, origin);
    const std::string exposed = join(options_.exposed);
    if (origin && is_allowed(*origin) && !exposed.empty()) {
      response.header("Access-Control-Expose-Headers", exposed);
    }
    co_return response;
  }

 private:
  [[nodiscard]] bool is_allowed(std::string_view origin) const {
    return is_any_ || std::ranges::count(options_.origins, origin) != 0;
  }

  // Caches must not give the response for one origin to another, nor to requests without one.
  void allow(Response& response, std::optional<std::string_view> origin) const {
    if (!is_any_) response.header("Vary", "Origin");
    if (!origin || !is_allowed(*origin)) return;
    response.header("Access-Control-Allow-Origin", is_any_ ? "*" : std::string(*origin));
    if (options_.credentials) response.header("Access-Control-Allow-Credentials", "true");
  }

  // `automatic`: the response of the server to OPTIONS, which has the methods of the routes at the path; null when a
  // route answers OPTIONS by itself.
  [[nodiscard]] Response preflight(std::string_view origin, const Response* automatic) const {
    Response response{.status = is_allowed(origin) ? 204 : 403};
    allow(response, origin);
    if (!is_allowed(origin)) return response;
    const std::string* const allow = automatic != nullptr ? find_header(*automatic, "Allow") : nullptr;
    const std::string methods = join(allow != nullptr ? methods_in(*allow) : options_.methods);
    if (!methods.empty()) response.header("Access-Control-Allow-Methods", methods);
    if (!options_.headers.empty()) response.header("Access-Control-Allow-Headers", join(options_.headers));
    response.header("Access-Control-Max-Age", std::to_string(options_.max_age.count()));
    return response;
  }

  [[nodiscard]] std::vector<std::string> methods_in(std::string_view allow) const {
    std::vector<std::string> common;
    http1::for_each_word(allow, [&](std::string_view method) {
      if (std::ranges::count(options_.methods, method) != 0) common.emplace_back(method);
    });
    return common;
  }

  CorsOptions options_;
  bool is_any_ = false;
};

}  // namespace

Middleware cors(CorsOptions options) {
  return [cors = Cors(std::move(options))](Request& request, Next next) { return cors.answer(request, next); };
}

}  // namespace coax::http
