// How commands answer: what goes wrong is told in one line on standard error with the exit code that belongs to it, and
// what was found goes to standard output, as text or as JSON.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "app/commands.hpp"
#include "coax/base/units.hpp"

namespace coax::app {

// An argument that is wrong: nothing was tried.
struct WrongUsage {
  std::string text;
};

// "coax NAME: text" on standard error.
void complain(std::string_view command, std::string_view text);
// What body() returns. WrongUsage becomes `usage`, another Error `otherwise`; both are told.
int reported(std::string_view command, int otherwise, const std::function<int()>& body);

// One line on standard output, which was flushed: a reader of a pipe has it at once.
void print_json(const boost::json::value& value);

// Of the option `name`; throws WrongUsage that says how it is written.
Duration duration_of(std::string_view name, const std::string& text);
std::size_t size_of(std::string_view name, const std::string& text);

}  // namespace coax::app
