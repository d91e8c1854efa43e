// Requests and responses: the small parts.
#include "coax/http/message.hpp"

namespace coax::http {

std::string_view Request::query(std::string_view name) const noexcept {
  for (const auto& [key, value] : query_) {
    if (key == name) return value;
  }
  return {};
}

// The path has as many segments as the pattern, since the route was found.
std::string_view Request::parameter(std::string_view name) const noexcept {
  std::string_view rest = segments_;
  for (const std::string& segment : pattern_) {
    rest.remove_prefix(1);  // '/'
    const std::string_view value = rest.substr(0, rest.find('/'));
    if (is_parameter(segment) && std::string_view(segment).substr(1, segment.size() - 2) == name) {
      return values_.substr(segments_.size() - rest.size(), value.size());
    }
    rest.remove_prefix(value.size());
  }
  return {};
}

Response& Response::header(std::string name, std::string value) & {
  headers.emplace_back(std::move(name), std::move(value));
  return *this;
}

}  // namespace coax::http
