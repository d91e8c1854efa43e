// A QR code for a terminal.
#pragma once

#include <string>
#include <string_view>

namespace coax::app {

// Two modules for each character, dark on light whatever the terminal's colours are, with the border that readers need.
// Throws: Error(invalid) for a text that is too long for one.
std::string qr_code(std::string_view text);

}  // namespace coax::app
