// LineEditor: the line that is being typed: keys in, text and cursor out, with a history. Pure: it draws nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "app/console/keys.hpp"

namespace coax::app {

class LineEditor {
 public:
  enum class Result : std::uint8_t { edited, entered, ended };
  // entered: text() is the line, and take() begins the next. ended: the end of the input, on an empty line.
  Result apply(const Key& key);

  // Valid UTF-8 without controls other than line ends (of a paste).
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  // In bytes, between two grapheme clusters.
  [[nodiscard]] std::size_t cursor() const noexcept { return cursor_; }
  // Returns the text and adds it to the history; the line is then empty.
  std::string take();

 private:
  static constexpr std::size_t history_max = 500;
  static constexpr std::size_t text_bytes_max = 1 << 20;

  void insert(const std::string& text);
  void erase(std::size_t from, std::size_t to);
  void kill(std::size_t from, std::size_t to);
  void transpose();
  void look_up(std::size_t at);
  [[nodiscard]] std::size_t word_left() const;
  [[nodiscard]] std::size_t word_right() const;
  [[nodiscard]] std::size_t blank_left() const;
  [[nodiscard]] std::size_t line_start() const;
  [[nodiscard]] std::size_t line_end() const;

  std::string text_;
  std::size_t cursor_ = 0;
  std::string killed_;
  std::deque<std::string> history_;
  std::size_t history_at_ = 0;  // history_.size(): the current line
  std::string draft_;           // the current line, while another one is shown
};

}  // namespace coax::app
