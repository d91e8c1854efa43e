// Requests and responses: the small parts.
#include "coax/http/message.hpp"

namespace coax::http {

namespace {

Response typed(std::string_view type, std::string body, int status) {
  return Response{.status = status, .headers = {{"Content-Type", std::string(type)}}, .body = std::move(body)};
}

}  // namespace

std::string_view Request::find(const Pairs& pairs, std::string_view name) noexcept {
  for (const auto& [key, value] : pairs) {
    if (key == name) return value;
  }
  return {};
}

Response Response::text(std::string body, int status) {
  return typed("text/plain; charset=utf-8", std::move(body), status);
}

Response Response::html(std::string body, int status) {
  return typed("text/html; charset=utf-8", std::move(body), status);
}

Response Response::json(std::string body, int status) { return typed("application/json", std::move(body), status); }

Response& Response::header(std::string name, std::string value) & {
  headers.emplace_back(std::move(name), std::move(value));
  return *this;
}

}  // namespace coax::http
