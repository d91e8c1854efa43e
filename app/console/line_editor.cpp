// Words are letters, digits and all characters above ASCII, as in readline.
#include "app/console/line_editor.hpp"

#include <algorithm>
#include <utility>

#include "app/console/display.hpp"
#include "coax/base/text.hpp"

namespace coax::app {

namespace {

bool is_of_word(char byte) {
  const bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
  return is_letter || (byte >= '0' && byte <= '9') || static_cast<unsigned char>(byte) >= 0x80;
}

// The end and the beginning of the cluster around `at`; `at` itself when it is between two.
std::size_t cluster_end(std::string_view text, std::size_t at) {
  return at == 0 ? 0 : next_cluster(text, previous_cluster(text, at));
}
std::size_t cluster_start(std::string_view text, std::size_t at) {
  return cluster_end(text, at) == at ? at : previous_cluster(text, at);
}

bool is_blank(char byte) { return byte == ' ' || byte == '\n'; }

}  // namespace

LineEditor::Result LineEditor::apply(const Key& key) {
  switch (key.kind) {
    case Key::Kind::text: insert(key.text); break;
    case Key::Kind::enter: return Result::entered;
    case Key::Kind::end_of_input:
      if (text_.empty()) return Result::ended;
      [[fallthrough]];
    case Key::Kind::erase: erase(cursor_, next_cluster(text_, cursor_)); break;
    case Key::Kind::backspace: erase(previous_cluster(text_, cursor_), cursor_); break;
    case Key::Kind::left: cursor_ = previous_cluster(text_, cursor_); break;
    case Key::Kind::right: cursor_ = next_cluster(text_, cursor_); break;
    case Key::Kind::word_left: cursor_ = word_left(); break;
    case Key::Kind::word_right: cursor_ = word_right(); break;
    case Key::Kind::home: cursor_ = line_start(); break;
    case Key::Kind::end: cursor_ = line_end(); break;
    case Key::Kind::previous:
      if (history_at_ != 0) look_up(history_at_ - 1);
      break;
    case Key::Kind::next:
      if (history_at_ != history_.size()) look_up(history_at_ + 1);
      break;
    case Key::Kind::backspace_word: kill(blank_left(), cursor_); break;
    case Key::Kind::erase_word: kill(cursor_, word_right()); break;
    case Key::Kind::kill_to_start: kill(line_start(), cursor_); break;
    case Key::Kind::kill_to_end: kill(cursor_, line_end()); break;
    case Key::Kind::yank: insert(killed_); break;
    case Key::Kind::transpose: transpose(); break;
    case Key::Kind::redraw: break;
  }
  return Result::edited;
}

std::string LineEditor::take() {
  std::string line = std::exchange(text_, {});
  cursor_ = 0;
  if (!line.empty()) {
    std::erase(history_, line);
    history_.push_back(line);
    if (history_.size() > history_max) history_.pop_front();
  }
  history_at_ = history_.size();
  return line;
}

// A tab expands to the next multiple of eight columns. Characters that the hub refuses (bidirectional controls) are
// dropped.
void LineEditor::insert(const std::string& text) {
  if (text_.size() + text.size() > text_bytes_max) return;
  std::string fit = text;
  if (text == "\t") {
    constexpr std::size_t tabbed_bytes_max = 4096;
    const std::size_t start = line_start();
    // Counting columns is linear in the line: above this length a tab is a single space.
    const bool has_columns = cursor_ - start <= tabbed_bytes_max;
    const int column = has_columns ? columns_of(std::string_view(text_).substr(start, cursor_ - start)) % 8 : 7;
    fit.assign(static_cast<std::size_t>(8 - column), ' ');
  } else if (text != "\n" && has_control(text) && text != killed_) {
    return;
  }
  text_.insert(cursor_, fit);
  cursor_ += fit.size();
  // A combining mark to the right of the cursor may join the inserted text.
  cursor_ = cluster_end(text_, cursor_);
}

// The text before and after the gap may form one cluster now.
void LineEditor::erase(std::size_t from, std::size_t to) {
  text_.erase(from, to - from);
  cursor_ = cluster_end(text_, from);
}

void LineEditor::kill(std::size_t from, std::size_t to) {
  if (from == to) return;
  killed_ = text_.substr(from, to - from);
  erase(from, to);
}

void LineEditor::transpose() {
  if (cursor_ == text_.size()) cursor_ = previous_cluster(text_, cursor_);
  const std::size_t before = previous_cluster(text_, cursor_);
  const std::size_t after = next_cluster(text_, cursor_);
  if (before == cursor_ || after == cursor_) return;
  std::rotate(text_.begin() + static_cast<std::ptrdiff_t>(before), text_.begin() + static_cast<std::ptrdiff_t>(cursor_),
              text_.begin() + static_cast<std::ptrdiff_t>(after));
  cursor_ = after;
}

void LineEditor::look_up(std::size_t at) {
  if (history_at_ == history_.size()) draft_ = text_;
  history_at_ = at;
  text_ = at == history_.size() ? draft_ : history_[at];
  cursor_ = text_.size();
}

std::size_t LineEditor::word_left() const {
  std::size_t at = cursor_;
  while (at != 0 && !is_of_word(text_[at - 1])) --at;
  while (at != 0 && is_of_word(text_[at - 1])) --at;
  return cluster_start(text_, at);
}

std::size_t LineEditor::word_right() const {
  std::size_t at = cursor_;
  while (at != text_.size() && !is_of_word(text_[at])) ++at;
  while (at != text_.size() && is_of_word(text_[at])) ++at;
  return cluster_end(text_, at);
}

std::size_t LineEditor::blank_left() const {
  std::size_t at = cursor_;
  while (at != 0 && is_blank(text_[at - 1])) --at;
  while (at != 0 && !is_blank(text_[at - 1])) --at;
  return cluster_start(text_, at);
}

// The line of the cursor, in a paste of several lines.
std::size_t LineEditor::line_start() const {
  return cursor_ == 0 ? 0 : text_.rfind('\n', cursor_ - 1) + 1;  // npos + 1 is 0
}

std::size_t LineEditor::line_end() const { return std::min(text_.find('\n', cursor_), text_.size()); }

}  // namespace coax::app
