// Transcript: what coax listen and coax connect tell about a connection: the peer's bytes as they are, made fit for a
// terminal, as a hex dump of both directions, or every event as JSON.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "app/console/standard_io.hpp"
#include "coax/base/bytes.hpp"
#include "coax/base/units.hpp"

namespace coax::app {

enum class Form : std::uint8_t { verbatim, hex, json };

// Blocks of whole lines out of pieces that are cut anywhere. A line above line_bytes_max is passed on in parts.
class LineBlocks {
 public:
  explicit LineBlocks(bool crlf = false) noexcept : crlf_(crlf) {}

  // The lines that are complete, with their ends; may be empty. Valid until the next call.
  BytesView feed(BytesView piece);
  // What stands without an end, with the end that it lacks or as it is.
  BytesView rest(bool with_end);

 private:
  static constexpr std::size_t line_bytes_max = 64 << 10;
  BytesView give(std::size_t size);

  bool crlf_;              // ends that are LF become CRLF
  char last_ = '\n';       // of all that was fed
  std::string held_;       // the line that is not complete
  std::size_t given_ = 0;  // how much of held_ was lent by the last call
};

// Text for a terminal out of pieces that are cut anywhere: line ends and tabs stay, other control characters and what
// is not UTF-8 become \xNN.
class PrintableText {
 public:
  std::string feed(BytesView piece);
  std::string rest();

 private:
  static std::string convert(std::string_view text);
  std::string held_;  // half a character, or a CR whose LF may follow
};

class Transcript {
 public:
  // lines: what is received is told line by line; verbatim, the last one gets the end that it lacks.
  Transcript(Form form, bool lines);

  // For limits on the peer's silence, which do not count while the reader of standard output holds us up.
  [[nodiscard]] TimePoint last_busy() const noexcept { return output_.last_busy(); }

  // What happens, in its order. Each throws what StandardOutput::write() throws.
  Task<> listening(std::string address);
  Task<> connected(std::string peer);  // the first of a connection, and closed() the last
  Task<> received(BytesView bytes);
  Task<> sent(BytesView bytes);
  // A datagram is an event of its own: it may be empty, and none goes on in the next.
  Task<> received_datagram(BytesView bytes);
  Task<> sent_datagram(BytesView bytes);
  Task<> we_finished();  // nothing more goes to the peer
  Task<> peer_finished();
  Task<> closed(std::string_view why);
  Task<> failed(std::string text);

 private:
  struct Direction {
    char mark;
    std::uint64_t bytes = 0;
    std::uint64_t shown = 0;  // fewer while a line is not complete
    std::string cut = {};     // JSON: the beginning of a character; shown with its rest, or at the end
  };
  Task<> show(BytesView bytes, Direction& direction);
  Task<> show_events(BytesView bytes, Direction& direction);
  Task<> show_event(BytesView bytes, const Direction& direction);
  Task<> show_datagram(BytesView bytes, Direction& direction);
  Task<> show_cut(Direction& direction);
  // A line of JSON; empty in the other forms.
  [[nodiscard]] std::string event(std::string_view name, boost::json::object rest) const;

  StandardOutput output_;
  Form form_;
  bool lines_;
  bool is_terminal_;
  std::uint64_t connections_ = 0;
  std::string peer_;  // of the present connection, as what follows
  TimePoint began_;
  Direction in_{'<'};
  Direction out_{'>'};
  PrintableText printable_;
  LineBlocks blocks_;
};

// "> 00000000  68 65 6c 6c 6f 0a                                 |hello.|" for each 16 bytes.
std::string hex_dump(BytesView bytes, char direction, std::uint64_t offset);

}  // namespace coax::app
