// Transcript: the output of coax listen and coax connect for a connection: the peer's bytes unchanged, made printable
// for a terminal, as a hex dump of both directions, or every event as JSON.
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

// Blocks of complete lines from pieces that are split anywhere. A line above line_bytes_max is passed on in parts.
class LineBlocks {
 public:
  explicit LineBlocks(bool crlf = false) noexcept : crlf_(crlf) {}

  // The complete lines, with their ends; may be empty. Valid until the next call.
  BytesView feed(BytesView piece);
  // The bytes without a line end, unchanged or with the missing end.
  BytesView rest(bool with_end);

 private:
  static constexpr std::size_t line_bytes_max = 64 << 10;
  BytesView give(std::size_t size);

  bool crlf_;              // line ends that are LF become CRLF
  char last_ = '\n';       // of all fed bytes
  std::string held_;       // the incomplete line
  std::size_t given_ = 0;  // how much of held_ the last call returned
};

// Text for a terminal from pieces that are split anywhere: line ends and tabs are kept, other control characters and
// bytes that are not UTF-8 become \xNN.
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
  // lines: received bytes are printed line by line; verbatim, a missing last line end is added.
  Transcript(Form form, bool lines);

  // For limits on the peer's silence, which do not count while the reader of standard output blocks us.
  [[nodiscard]] TimePoint last_busy() const noexcept { return output_.last_busy(); }

  // The events, in their order. Throws: each as StandardOutput::write().
  Task<> listening(std::string address);
  Task<> connected(std::string peer);  // the first of a connection, and closed() the last
  Task<> received(BytesView bytes);
  Task<> sent(BytesView bytes);
  // A datagram is an event of its own: it may be empty, and is never continued by the next.
  Task<> received_datagram(BytesView bytes);
  Task<> sent_datagram(BytesView bytes);
  // A message of a WebSocket is an event of its own, too. `with_end`: verbatim, a line end is added.
  Task<> received_message(BytesView bytes, bool is_text, bool with_end);
  Task<> sent_message(BytesView bytes, bool is_text);
  Task<> we_finished();  // our side is shut down
  Task<> peer_finished();
  // The end of a WebSocket.
  Task<> peer_closed(std::uint16_t code, std::string reason);
  Task<> closed(std::string_view why);
  Task<> failed(std::string text);

 private:
  struct Direction {
    char mark;
    std::uint64_t bytes = 0;
    std::uint64_t shown = 0;  // fewer while a line is incomplete
    std::string cut = {};     // JSON: the start of a character; shown with its rest, or at the end
  };
  Task<> show(BytesView bytes, Direction& direction);
  Task<> show_events(BytesView bytes, Direction& direction);
  Task<> show_event(BytesView bytes, const Direction& direction, std::string_view kind = {});
  Task<> show_datagram(BytesView bytes, Direction& direction);
  Task<> show_cut(Direction& direction);
  // A line of JSON; empty in the other forms.
  [[nodiscard]] std::string event(std::string_view name, boost::json::object rest) const;

  StandardOutput output_;
  Form form_;
  bool lines_;
  bool is_terminal_;
  std::uint64_t connections_ = 0;
  std::string peer_;  // of the present connection, like the following members
  TimePoint began_;
  Direction in_{'<'};
  Direction out_{'>'};
  PrintableText printable_;
  LineBlocks blocks_;
};

// "> 00000000  68 65 6c 6c 6f 0a                                 |hello.|" for each 16 bytes.
std::string hex_dump(BytesView bytes, char direction, std::uint64_t offset);

}  // namespace coax::app
