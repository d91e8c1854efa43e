// read_secret(): reads a password from the terminal without showing it.
#pragma once

#include <string>
#include <string_view>

#include "coax/base/compiler.hpp"

namespace coax {

// Reads a line of standard input. At a terminal it prints the prompt on standard error and turns the echo off; a signal
// that ends or stops the process restores the echo first.
// Throws: Error(disconnected) at the end of the input, Error(invalid) for a line above 1 KiB.
std::string read_secret(std::string_view prompt);

}  // namespace coax
