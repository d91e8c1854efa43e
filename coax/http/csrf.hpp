// Protection from cross-site request forgery: pages of other sites that let a visitor's browser send requests here,
// with the visitor's cookies.
//
//   app.use(http::sessions()).use(http::csrf_protection());
//
// That is enough for all browsers since 2023. Tokens protect users of older ones, too:
//   page:     <input type="hidden" name="_csrf" value="{{ token }}">   with http::csrf_token(request)
//   handler:  http::check_csrf(request, form);
#pragma once

#include <string>
#include <vector>

#include "coax/http/form.hpp"
#include "coax/http/router.hpp"

namespace coax::http {

struct CsrfOptions {
  std::vector<std::string> origins = {};  // "https://app.example": other origins whose pages may send requests
};

// Answers 403 to unsafe methods (RFC 9110, section 9.2.1) from pages of other origins: by Sec-Fetch-Site (W3C Fetch
// Metadata), or, without it, by Origin, which must be that of Host. Requests with neither are not from a browser of
// today, and pass.
Middleware csrf_protection(CsrfOptions options = {});

// The visitor's token, with another mask each time, so that the length of a compressed response reveals nothing about
// it (BREACH). It is valid until the user logs in or out. It makes no session: a visitor without one gets a cookie,
// "__Host-csrf" over TLS, otherwise "csrf".
// Throws: Error(invalid) without the middleware http::sessions().
std::string csrf_token(Request& request);

// The token has to be in the header X-CSRF-Token or, with a form, in its field "_csrf".
// Throws: StatusError(403): there is no token, which is a fault of the page; or it is not, or no longer, one of this
// visitor; as csrf_token().
void check_csrf(Request& request);
void check_csrf(Request& request, const Form& form);

}  // namespace coax::http
