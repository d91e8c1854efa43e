// Content negotiation (RFC 9110, section 12): which of the forms that a server has a client prefers.
//
//   const std::string_view type = http::preferred(request.header("Accept"), {"text/html", "application/json"});
//   if (type.empty()) return Response::text("406 Not Acceptable\n", 406).header("Vary", "Accept");
//
// A response that depends on one of these fields names it in Vary, so that caches keep the forms apart.
#pragma once

#include <initializer_list>
#include <string_view>

#include "coax/base/compiler.hpp"

namespace coax::http {

// Of offers with the same weight, the one that the client names most exactly ("text/html" before "text/*"), then the
// first one. A missing or malformed field: any is acceptable.
// Returns: one of the offers; empty: none is acceptable. Lifetime: that of the offers.

// Accept (section 12.5.1). A range with parameters, "text/html;level=1", is for offers that have these; but
// "application/json;charset=utf-8" is also for an offer without a charset.
std::string_view preferred(std::string_view accept, std::initializer_list<std::string_view> offers);

// Accept-Encoding (section 12.5.3). "identity", no encoding, is always an offer, the last one; it is also the answer to
// a missing or malformed field.
std::string_view preferred_encoding(std::string_view accept_encoding, std::initializer_list<std::string_view> offers);

// Accept-Language (section 12.5.4): the range "de" is for the offer "de-AT" (RFC 4647, section 3.3.1), and if no range
// is for an offer, "de-AT" is for "de" (section 3.4). Empty when no offer matches: use the site's own language then.
std::string_view preferred_language(std::string_view accept_language, std::initializer_list<std::string_view> offers);

}  // namespace coax::http
