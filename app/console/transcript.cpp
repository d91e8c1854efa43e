// A transcript is written through one StandardOutput, whose calls wait for the reader: the receiving task then does not
// read from the peer, so that nothing accumulates here.
#include "app/console/transcript.hpp"

#include <fmt/chrono.h>
#include <fmt/core.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "app/console/display.hpp"
#include "app/console/report.hpp"
#include "coax/base/text.hpp"

namespace coax::app {

// --- lines ---

BytesView LineBlocks::feed(BytesView piece) {
  held_.erase(0, std::exchange(given_, 0));
  const std::size_t before = held_.size();
  for (const char byte : piece) {
    if (crlf_ && byte == '\n' && last_ != '\r') held_ += '\r';
    held_ += last_ = byte;
  }
  const std::size_t end = held_.rfind('\n');
  if (end != std::string::npos && end >= before) return give(end + 1);
  return give(held_.size() > line_bytes_max ? held_.size() : 0);
}

BytesView LineBlocks::rest(bool with_end) {
  held_.erase(0, std::exchange(given_, 0));
  if (last_ != '\n' && with_end) held_ += crlf_ ? "\r\n" : "\n";
  last_ = '\n';
  return give(held_.size());
}

BytesView LineBlocks::give(std::size_t size) {
  given_ = size;
  return {held_.data(), size};
}

// --- for a terminal ---

namespace {

// How many bytes at the end may be the start of a character, or of a line end.
std::size_t unfinished_bytes(std::string_view text) { return text.ends_with('\r') ? 1 : cut_character_bytes(text); }

}  // namespace

std::string PrintableText::feed(BytesView piece) {
  held_.append(piece);
  const std::size_t keep = unfinished_bytes(held_);
  std::string text = convert(std::string_view(held_).substr(0, held_.size() - keep));
  held_.erase(0, held_.size() - keep);
  return text;
}

std::string PrintableText::rest() { return convert(std::exchange(held_, {})); }

std::string PrintableText::convert(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\n\t"), text.size());
    std::string_view plain = text.substr(0, end);
    const bool is_line = end < text.size() && text[end] == '\n';
    if (is_line && plain.ends_with('\r')) plain.remove_suffix(1);
    out += printable(plain, SIZE_MAX);
    if (end < text.size()) out += text[end];
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

// --- forms ---

std::string hex_dump(BytesView bytes, char direction, std::uint64_t offset) {
  constexpr std::size_t row_bytes = 16;
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += row_bytes) {
    const BytesView row = bytes.from(at).first(std::min(row_bytes, bytes.size() - at));
    std::string digits;
    std::string text;
    for (const char byte : row) {
      digits += fmt::format("{:02x} ", static_cast<unsigned char>(byte));
      text += byte >= ' ' && byte <= '~' ? byte : '.';
    }
    out += fmt::format("{} {:08x}  {:<48} |{}|\n", direction, offset + at, digits, text);
  }
  return out;
}

namespace {

std::string base64(BytesView bytes) {
  std::string out((bytes.size() + 2) / 3 * 4, '\0');
  // It writes a NUL at the end, where the string has its own.
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes.octets(), static_cast<int>(bytes.size()));
  return out;
}

// RFC 3339, in UTC, to the microsecond.
std::string time_now() {
  using namespace std::chrono;
  const auto now = floor<microseconds>(system_clock::now());
  const auto second = floor<seconds>(now);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(system_clock::to_time_t(second)),
                     (now - second).count());
}

}  // namespace

Transcript::Transcript(Form form, bool lines)
    : form_(form), lines_(lines), is_terminal_(form == Form::verbatim && ::isatty(STDOUT_FILENO) == 1) {}

std::string Transcript::event(std::string_view name, boost::json::object rest) const {
  if (form_ != Form::json) return {};
  boost::json::object object{{"time", time_now()}, {"event", name}};
  if (connections_ != 0) object["connection"] = connections_;
  if (!peer_.empty()) object["peer"] = peer_;
  for (auto& each : rest) object.insert_or_assign(each.key(), std::move(each.value()));
  return json_text(object) + "\n";
}

Task<> Transcript::listening(std::string address) {
  const std::string line = event("listening", {{"address", address}});
  co_await output_.write(line);
}

Task<> Transcript::connected(std::string peer) {
  ++connections_;
  peer_ = std::move(peer);
  began_ = Clock::now();
  in_ = {'<'};
  out_ = {'>'};
  printable_ = {};
  blocks_ = LineBlocks();
  const std::string line = event("connected", {});
  co_await output_.write(line);
}

Task<> Transcript::received(BytesView bytes) {
  in_.bytes += bytes.size();
  const BytesView shown = lines_ ? blocks_.feed(bytes) : bytes;
  co_await show(shown, in_);
}

Task<> Transcript::sent(BytesView bytes) {
  out_.bytes += bytes.size();
  if (form_ != Form::verbatim) co_await show(bytes, out_);
}

Task<> Transcript::show(BytesView bytes, Direction& direction) {
  const std::uint64_t offset = std::exchange(direction.shown, direction.shown + bytes.size());
  if (form_ == Form::json) co_return co_await show_events(bytes, direction);
  if (form_ == Form::verbatim && !is_terminal_) co_return co_await output_.write(bytes);
  const std::string text = form_ == Form::hex ? hex_dump(bytes, direction.mark, offset) : printable_.feed(bytes);
  co_await output_.write(text);
}

// A character that is split between two reads belongs to the next event.
Task<> Transcript::show_events(BytesView bytes, Direction& direction) {
  const std::string held = std::exchange(direction.cut, {}).append(bytes);
  BytesView rest(held);
  while (!rest.empty()) {
    const std::size_t end = lines_ ? rest.text().find('\n') : std::string_view::npos;
    BytesView part = rest.first(end == std::string_view::npos ? rest.size() : end + 1);
    const std::size_t cut = cut_character_bytes(part);
    if (cut != 0 && is_utf8(part.first(part.size() - cut))) {
      direction.cut = part.from(part.size() - cut).string();
      part = part.first(part.size() - cut);
      if (part.empty()) co_return;
      co_await show_event(part, direction);
      co_return;
    }
    co_await show_event(part, direction);
    rest = rest.from(part.size());
  }
}

Task<> Transcript::show_event(BytesView bytes, const Direction& direction, std::string_view kind) {
  boost::json::object what{{"bytes", bytes.size()}};
  if (!kind.empty()) what["kind"] = kind;
  if (is_utf8(bytes)) {
    what["text"] = bytes.text();
  } else {
    what["base64"] = base64(bytes);
  }
  const std::string line = event(direction.mark == '<' ? "received" : "sent", std::move(what));
  co_await output_.write(line);
}

// The stream ended within a character.
Task<> Transcript::show_cut(Direction& direction) {
  const std::string cut = std::exchange(direction.cut, {});
  if (!cut.empty()) co_await show_event(cut, direction);
}

// --- datagrams ---

Task<> Transcript::received_datagram(BytesView bytes) {
  in_.bytes += bytes.size();
  co_await show_datagram(bytes, in_);
}

Task<> Transcript::sent_datagram(BytesView bytes) {
  out_.bytes += bytes.size();
  if (form_ != Form::verbatim) co_await show_datagram(bytes, out_);
}

Task<> Transcript::show_datagram(BytesView bytes, Direction& direction) {
  if (form_ == Form::json) co_return co_await show_event(bytes, direction);
  if (!bytes.empty() || form_ != Form::hex) co_return co_await show(bytes, direction);
  const std::string row = fmt::format("{} {:08x}\n", direction.mark, direction.shown);
  co_await output_.write(row);
}

// --- messages of a WebSocket ---

Task<> Transcript::received_message(BytesView bytes, bool is_text, bool with_end) {
  in_.bytes += bytes.size();
  if (form_ == Form::json) co_return co_await show_event(bytes, in_, is_text ? "text" : "binary");
  if (form_ == Form::hex) co_return co_await show_datagram(bytes, in_);
  const std::string line = bytes.string() + (with_end ? "\n" : "");
  co_await show(line, in_);
}

Task<> Transcript::sent_message(BytesView bytes, bool is_text) {
  out_.bytes += bytes.size();
  if (form_ == Form::json) co_return co_await show_event(bytes, out_, is_text ? "text" : "binary");
  if (form_ == Form::hex) co_await show_datagram(bytes, out_);
}

// --- the end ---

Task<> Transcript::we_finished() {
  co_await show_cut(out_);
  const std::string line = event("finished", {{"by", "us"}});
  co_await output_.write(line);
}

Task<> Transcript::peer_finished() {
  const BytesView rest = blocks_.rest(form_ == Form::verbatim);
  co_await show(rest, in_);
  const std::string text = printable_.rest();
  co_await output_.write(text);
  co_await show_cut(in_);
  const std::string line = event("finished", {{"by", "peer"}});
  co_await output_.write(line);
}

Task<> Transcript::peer_closed(std::uint16_t code, std::string reason) {
  const std::string text = printable_.rest();
  co_await output_.write(text);
  const std::string line = event("finished", {{"by", "peer"}, {"code", code}, {"reason", reason}});
  co_await output_.write(line);
}

Task<> Transcript::closed(std::string_view why) {
  if (peer_.empty()) co_return;  // no datagram was received: there was no connection
  co_await show_cut(in_);
  co_await show_cut(out_);
  const double seconds = std::chrono::duration<double>(Clock::now() - began_).count();
  const std::string line =
      event("closed", {{"why", why}, {"received", in_.bytes}, {"sent", out_.bytes}, {"seconds", seconds}});
  peer_.clear();
  co_await output_.write(line);
}

Task<> Transcript::failed(std::string text) {
  const std::string line = event("error", {{"text", text}});
  co_await output_.write(line);
}

}  // namespace coax::app
