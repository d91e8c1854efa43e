// Files that are part of the program, with conditional requests (RFC 9110, section 13).
#include <fmt/core.h>

#include <algorithm>

#include "coax/base/text.hpp"
#include "coax/http/router.hpp"

namespace coax::http {

namespace {

// FNV-1a: it only has to tell one build's page from another's.
std::string etag_of(std::string_view body) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : body) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  return fmt::format("\"{:016x}\"", hash);
}

// If-Match and If-None-Match (RFC 9110, section 13.1): a list, compared strongly or weakly; "*" is any.
enum class Compare : std::uint8_t { strongly, weakly };
bool names_etag(std::string_view list, std::string_view etag, Compare compare) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view each = trim(list.substr(0, comma));
    if (compare == Compare::weakly && each.starts_with("W/")) each.remove_prefix(2);
    if (each == etag || each == "*") return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

}  // namespace

Router& Router::file(const MemoryFile& file) {
  return get(file.path, [file, etag = etag_of(file.body)](Request& request) {
    Response response{.headers = {{"Cache-Control", "no-cache"}, {"ETag", etag}}};
    const std::string_view wanted = request.header("If-Match");
    if (!wanted.empty() && !names_etag(wanted, etag, Compare::strongly)) {
      return Response::text("412 Precondition Failed\n", 412);
    }
    if (names_etag(request.header("If-None-Match"), etag, Compare::weakly)) {
      response.status = 304;
      return response;
    }
    response.content_type = Literal::of(file.content_type);
    response.body = StaticBytes(file.body);
    return response;
  });
}

}  // namespace coax::http
