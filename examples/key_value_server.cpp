// key_value_server PORT [HOST]: the protocol of redis-cli and redis-benchmark (RESP): PING, GET, SET, DEL, INCR.
#include <charconv>
#include <climits>
#include <iterator>
#include <sstream>
#include <unordered_map>

#include "coax/coax.hpp"

std::unordered_map<std::string, std::string> store;  // all clients are on one loop, thus on one thread

long number(std::string_view text, long most) {
  long value = 0;
  const auto [end, failure] = std::from_chars(text.begin(), text.end(), value);
  if (failure == std::errc() && end == text.end() && value <= most) return value;
  throw std::invalid_argument("value is not an integer or out of range");
}

// Of "*3" words, of "$5" bytes.
std::size_t count_of(std::optional<coax::BytesView> line, char kind, long most) {
  const long count = line && line->text().starts_with(kind) ? number(line->text().substr(1), most) : -1;
  return count >= 0 ? static_cast<std::size_t>(count) : throw std::invalid_argument("this is not RESP");
}

const std::unordered_map<std::string, std::size_t> words_of{
    {"ping", 1}, {"get", 2}, {"set", 3}, {"del", 2}, {"incr", 2}};

std::string answer(const std::vector<std::string>& words) try {
  const std::string name = coax::fold_case(words[0]);
  if (!words_of.contains(name)) return fmt::format("-ERR unknown command '{}'\r\n", coax::printable(name));
  if (words.size() != words_of.at(name)) return fmt::format("-ERR wrong number of arguments for '{}'\r\n", name);
  if (name == "ping") return "+PONG\r\n";
  if (name == "set") return store[words[1]] = words[2], "+OK\r\n";
  if (name == "del") return fmt::format(":{}\r\n", store.erase(words[1]));
  const auto found = store.find(words[1]);
  if (name == "get" && found == store.end()) return "$-1\r\n";
  if (name == "get") return fmt::format("${}\r\n{}\r\n", found->second.size(), found->second);
  const long value = found == store.end() ? 1 : number(found->second, LONG_MAX - 1) + 1;
  store[words[1]] = std::to_string(value);
  return fmt::format(":{}\r\n", value);
} catch (const std::invalid_argument& error) {
  return fmt::format("-ERR {}\r\n", error.what());
}

coax::Task<std::vector<std::string>> recv_command(coax::Reader& reader, coax::BytesView head) {
  if (!head.text().starts_with('*')) {  // "PING\r\n", an inline command
    std::istringstream line(head.string());
    co_return {std::istream_iterator<std::string>(line), {}};
  }
  std::vector<std::string> words(count_of(head, '*', 1024));
  for (std::string& word : words) {
    const auto size = co_await reader.line();
    word = (co_await reader.exactly(count_of(size, '$', 1 << 20))).text();
    if (co_await reader.exactly(2) != "\r\n") throw std::invalid_argument("this is not RESP");
  }
  co_return words;
}

coax::Task<> serve_client(coax::Stream& client) {
  coax::Reader reader(client);
  try {
    while (const auto head = co_await reader.line()) {
      const auto words = co_await recv_command(reader, *head);
      if (!words.empty()) co_await client.send(answer(words));
    }
    co_return;
  } catch (const std::invalid_argument&) {  // answered below: a catch block cannot wait
  }
  co_await client.send("-ERR Protocol error\r\n");
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]",
                       [](auto a) { return coax::serve({.listen = a.address()}, serve_client); });
}
