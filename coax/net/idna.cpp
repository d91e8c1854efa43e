// The Unicode tables are libidn2's.
#include "coax/net/idna.hpp"

#include <idn2.h>

#include <algorithm>
#include <memory>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"

namespace coax {

std::string ascii_name(std::string_view name) {
  constexpr std::size_t name_bytes_max = 253;
  if (name.find('\0') != std::string_view::npos) {
    throw Error(ErrorKind::address, "resolve", {}, "a host name has a NUL byte inside");
  }
  std::string ascii(name);
  if (std::ranges::any_of(name, [](char byte) { return static_cast<unsigned char>(byte) >= 0x80; })) {
    char* found = nullptr;
    const int failure = idn2_to_ascii_8z(ascii.c_str(), &found, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    const std::unique_ptr<char, decltype(&idn2_free)> owner(found, idn2_free);
    if (failure != IDN2_OK) {
      throw Error(ErrorKind::address, "resolve", has_control(name) ? "" : name, idn2_strerror(failure));
    }
    ascii = found;
  }
  if (ascii.size() > name_bytes_max + (ascii.ends_with('.') ? 1 : 0)) {
    throw Error(ErrorKind::address, "resolve", ascii.substr(0, 40) + "...", "a host name has at most 253 bytes");
  }
  return ascii;
}

}  // namespace coax
