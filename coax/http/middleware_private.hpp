// For middleware: the response of the rest, and its headers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "coax/http/router.hpp"

namespace coax::http {

const std::string* find_header(const Response& response, std::string_view name) noexcept;
// Unless the response has it.
void add_header(Response& response, std::string_view name, std::string_view value);
// Throws: Error(invalid) when the value cannot be one of a header.
void require_field_value(std::string_view name, std::string_view value);
// Throws: Error(invalid) for a realm that cannot be quoted.
void require_realm(std::string_view realm);
// The refusal of a login, with WWW-Authenticate.
Response challenge(Request& request, int status, std::string_view reason, std::string header);
// The bytes of the address, or of the IPv6 /64, that limits for each address count by.
std::string address_key(const Endpoint& peer);
// The values of all fields of that name as one list (RFC 9110, section 5.3).
std::string joined(const Fields& fields, std::string_view name);
std::string join(const std::vector<std::string>& words);

}  // namespace coax::http
