// Helpers of the datagram tests.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "coax/datagram/transport.hpp"
#include "tests/support/run.hpp"

namespace coax::test {

// A short text that is different for each number, with a size that is unrelated to the next one's.
inline std::string numbered(std::size_t number, std::size_t bytes_max = 300) {
  std::string text = fmt::format("{}:", number);
  const std::size_t size = number * 7919 % bytes_max;
  while (text.size() < size) text += static_cast<char>('a' + (number + text.size()) % 26);
  return text;
}

inline Task<> send_all_to(DatagramTransport& transport, const std::vector<std::string>& texts, const Address& to) {
  for (const std::string& text : texts) co_await transport.send_to(text, to);
}

// Receives `count` texts, in the order of their arrival.
inline Task<std::vector<std::string>> recv_texts(DatagramTransport& transport, std::size_t count) {
  std::vector<std::string> texts;
  while (texts.size() != count) {
    const Datagram datagram = co_await transport.recv_from();
    EXPECT_FALSE(datagram.truncated());
    texts.push_back(datagram.bytes.string());
  }
  co_return texts;
}

inline Task<> observe_recv_from(DatagramTransport& transport, std::string& end) {
  end = co_await outcome(transport.recv_from());
}

inline Task<> wait_turns(std::size_t turns) {
  for (; turns != 0; --turns) co_await next_turn();
}

// The text of the Error that a function throws, or "none".
template <class Function>
std::string text_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

}  // namespace coax::test
