// key_value_server PORT [HOST]: what redis-cli and redis-benchmark speak (RESP): PING, GET, SET, DEL, INCR.
#include <charconv>
#include <unordered_map>

#include "coax/coax.hpp"

std::unordered_map<std::string, std::string> store;  // all clients are on one loop, thus on one thread

long number(std::string_view text) {
  long value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) throw std::runtime_error("that is no number");
  return value;
}

std::string bulk(const std::string& text) { return fmt::format("${}\r\n{}\r\n", text.size(), text); }

const std::unordered_map<std::string, std::size_t> words_of{
    {"ping", 1}, {"get", 2}, {"set", 3}, {"del", 2}, {"incr", 2}};

std::string answer(const std::vector<std::string>& words) {
  const std::string name = coax::fold_case(words[0]);
  if (!words_of.contains(name)) return fmt::format("-ERR unknown command '{}'\r\n", coax::printable(name));
  if (words.size() != words_of.at(name)) return fmt::format("-ERR wrong number of arguments for '{}'\r\n", name);
  if (name == "ping") return "+PONG\r\n";
  if (name == "get") return store.contains(words[1]) ? bulk(store[words[1]]) : "$-1\r\n";
  if (name == "set") return store[words[1]] = words[2], "+OK\r\n";
  if (name == "del") return fmt::format(":{}\r\n", store.erase(words[1]));
  std::string& value = store.try_emplace(words[1], "0").first->second;
  value = std::to_string(number(value) + 1);
  return fmt::format(":{}\r\n", value);
}

coax::Task<> serve_client(coax::Stream& client) {
  coax::Reader reader(client);
  while (const auto head = co_await reader.line()) {
    std::vector<std::string> words(static_cast<std::size_t>(std::clamp(number(head->from(1)), 1L, 1024L)));
    for (std::string& word : words) {
      const long size = number((co_await reader.line()).value_or("").text().substr(1));
      word = (co_await reader.exactly(static_cast<std::size_t>(std::clamp(size, 0L, 1L << 20)))).text();
      co_await reader.exactly(2);
    }
    std::string text;
    try {
      text = answer(words);
    } catch (const std::exception& error) {
      text = fmt::format("-ERR {}\r\n", error.what());
    }
    co_await client.send(text);
  }
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]",
                       [](auto a) { return coax::serve({.listen = a.where()}, serve_client); });
}
