// Half blocks, with black and white as colours of their own: a terminal with a dark ground would invert the code, which
// some readers do not accept.
#include "app/console/qr_code.hpp"

#include <qrencode.h>

#include <cerrno>
#include <memory>

#include "coax/base/error.hpp"

namespace coax::app {

std::string qr_code(std::string_view text) {
  const std::string copy(text);
  const std::unique_ptr<QRcode, decltype(&QRcode_free)> code(QRcode_encodeString8bit(copy.c_str(), 0, QR_ECLEVEL_L),
                                                             QRcode_free);
  if (!code) throw Error(errno, "make a QR code of", text);
  constexpr int border = 2;
  const auto is_dark = [&](int x, int y) {
    const bool is_inside = x >= 0 && y >= 0 && x < code->width && y < code->width;
    return is_inside && (code->data[y * code->width + x] & 1U) != 0;
  };
  std::string out;
  for (int y = -border; y < code->width + border; y += 2) {
    out += "  \x1b[38;2;0;0;0;48;2;255;255;255m";
    for (int x = -border; x < code->width + border; ++x) {
      const bool upper = is_dark(x, y);
      const bool lower = is_dark(x, y + 1);
      out += upper && lower ? "█" : upper ? "▀" : lower ? "▄" : " ";
    }
    out += "\x1b[0m\n";
  }
  return out;
}

}  // namespace coax::app
