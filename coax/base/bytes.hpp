// BytesView: a view of bytes, the result of recv() and the argument of send(). It owns nothing; each function that
// returns one documents its lifetime.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "coax/base/compiler.hpp"

namespace coax {

// Bytes in one piece: std::vector<char>, std::array<std::byte, n>, std::vector<std::uint8_t>.
template <class Range>
concept ByteRange = std::ranges::contiguous_range<Range> && std::ranges::sized_range<Range> &&
                    (std::same_as<std::ranges::range_value_t<Range>, char> ||
                     std::same_as<std::ranges::range_value_t<Range>, std::byte> ||
                     std::same_as<std::ranges::range_value_t<Range>, std::uint8_t>) &&
                    !std::is_array_v<std::remove_cvref_t<Range>>;

class COAX_POINTER BytesView {
 public:
  constexpr BytesView() noexcept = default;
  constexpr BytesView(const char* data COAX_LIFETIMEBOUND, std::size_t size) noexcept : data_(data), size_(size) {}
  BytesView(const std::byte* data, std::size_t size) noexcept
      : data_(reinterpret_cast<const char*>(data)), size_(size) {}
  BytesView(const std::uint8_t* data, std::size_t size) noexcept
      : data_(reinterpret_cast<const char*>(data)), size_(size) {}
  constexpr BytesView(std::string_view text) noexcept : data_(text.data()), size_(text.size()) {}
  BytesView(const std::string& text COAX_LIFETIMEBOUND) noexcept : data_(text.data()), size_(text.size()) {}
  template <std::size_t N>
  constexpr BytesView(const char (&literal)[N]) noexcept : data_(literal), size_(N - 1) {}
  // A buffer is not a literal: pass how much of it is meant, BytesView(buffer, count) or std::span(buffer).
  template <std::size_t N>
  BytesView(char (&buffer)[N]) = delete;
  template <class Byte, std::size_t N>
    requires(sizeof(Byte) == 1)
  BytesView(std::span<Byte, N> bytes) noexcept
      : data_(reinterpret_cast<const char*>(bytes.data())), size_(bytes.size()) {}
  template <ByteRange Range>
    requires(!std::derived_from<std::remove_cvref_t<Range>, BytesView> &&
             !std::convertible_to<const std::remove_cvref_t<Range>&, std::string_view> &&
             !std::ranges::borrowed_range<std::remove_cvref_t<Range>>)
  BytesView(const Range& range COAX_LIFETIMEBOUND) noexcept
      : data_(reinterpret_cast<const char*>(std::ranges::data(range))), size_(std::ranges::size(range)) {}

  // False when it is empty, which from recv() means that the peer has shut down its side.
  constexpr explicit operator bool() const noexcept { return size_ != 0; }
  [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  [[nodiscard]] constexpr const char* data() const noexcept { return data_; }
  [[nodiscard]] const std::uint8_t* octets() const noexcept { return reinterpret_cast<const std::uint8_t*>(data_); }
  [[nodiscard]] constexpr std::string_view text() const noexcept { return {data_, size_}; }
  constexpr operator std::string_view() const noexcept { return text(); }
  // An owned copy.
  [[nodiscard]] std::string string() const { return {data_, size_}; }

  [[nodiscard]] constexpr BytesView first(std::size_t count) const noexcept { return {data_, count}; }
  [[nodiscard]] constexpr BytesView from(std::size_t offset) const noexcept { return {data_ + offset, size_ - offset}; }
  constexpr const char* begin() const noexcept { return data_; }
  constexpr const char* end() const noexcept { return data_ + size_; }
  friend constexpr bool operator==(const BytesView& left, const BytesView& right) noexcept {
    return left.text() == right.text();
  }
  template <class Other>
    requires(std::convertible_to<const Other&, BytesView> && !std::derived_from<Other, BytesView>)
  friend constexpr bool operator==(const BytesView& left, const Other& right) noexcept {
    return left.text() == BytesView(right).text();
  }
  constexpr char operator[](std::size_t index) const noexcept { return data_[index]; }

 private:
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

// The new size of a buffer for `count` bytes when `have` of it are full: it grows with the bytes received, not with the
// length that a peer announces.
constexpr std::size_t grown_towards(std::size_t count, std::size_t have) noexcept {
  constexpr std::size_t first = std::size_t{64} * 1024;
  return have > count / 2 ? count : std::min(count, std::max(first, 2 * have));
}

}  // namespace coax
