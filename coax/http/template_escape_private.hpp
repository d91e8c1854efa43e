// Escaping for each place of HTML where an expression may stand.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "coax/http/template_expression_private.hpp"

namespace coax::http::templates {

// How a value is written: first for what reads the text of the attribute or script, then for HTML around that.
struct Escape {
  enum class Inner : std::uint8_t {
    none,
    url_start,      // a whole address, or its beginning: the scheme is checked
    url_unsure,     // after a beginning that may be one of a scheme: a colon is encoded
    url_path,       // before a query: what an address may contain is kept
    url_query,      // a part of a query or fragment: all but letters, digits and - . _ ~ is encoded
    url_list,       // addresses with sizes (srcset)
    url_list_path,  // the path of one of them: as url_path, and a comma is encoded
    json,           // a value of a script
    script_text,    // within a string of a script
    style,          // a word or number of a style sheet
  };
  enum class Outer : std::uint8_t { none, html, unquoted };
  Inner inner = Inner::none;
  Outer outer = Outer::none;
  friend bool operator==(const Escape&, const Escape&) = default;
};

// & < > " '
void append_html(std::string& text, std::string_view value);
// As forms encode it: a space is '+'.
void append_form_encoded(std::string& text, std::string_view value);
// `spare` is memory that is used again from call to call. Throws: Fault, Error.
void append_escaped(std::string& text, const Value& value, Escape escape, Budget& budget, std::string& spare);

}  // namespace coax::http::templates
