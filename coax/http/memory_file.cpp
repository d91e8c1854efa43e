// Files that are part of the program, with conditional requests (RFC 9110, section 13).
#include <fmt/core.h>

#include <chrono>

#include "coax/http/conditional_private.hpp"
#include "coax/http/router.hpp"
#include "coax/http/site_private.hpp"

namespace coax::http {

namespace {

// FNV-1a: it only has to tell one build's page from another's.
std::string etag_of(std::string_view body) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : body) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  return fmt::format("\"{:016x}\"", hash);
}

}  // namespace

Router& Router::file(const MemoryFile& file) {
  return get(file.path, [file, etag = etag_of(file.body)](Request& request) {
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    const Precondition precondition = check_preconditions(request.fields(), {.etag = etag}, now);
    if (precondition == Precondition::failed) return error_response(request, 412);
    Response response{.headers = {{"Cache-Control", "no-cache"}, {"ETag", etag}},
                      .content_type = Literal::of(file.content_type)};
    if (precondition == Precondition::not_modified) {
      response.status = 304;
      return response;
    }
    response.body = StaticBytes(file.body);
    return response;
  });
}

}  // namespace coax::http
