// send_file HOST PORT FILE: sends `NAME:SIZE`, waits for `OK` in any pieces, then sends the bytes and half-closes. Any
// other answer of the receiver is an error.
#include <fcntl.h>

#include <cerrno>
#include <filesystem>

#include "coax/coax.hpp"

void send(const coax::Arguments& given) {
  const std::filesystem::path path = given["FILE"];
  const coax::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw coax::Error(errno, "open", path.string());
  const std::uint64_t size = std::filesystem::file_size(path);
  auto server = coax::Socket::connect_to(given.address(), {.timeout = std::chrono::seconds(30)});
  server.send(fmt::format("{}:{}\n", path.filename().string(), size));
  const std::string answer = server.recv_exactly(2);
  if (answer != "OK") throw std::runtime_error("the receiver said " + coax::printable(answer + server.recv().string()));
  for (std::uint64_t sent = 0, more = size; more > 0 && sent < size; sent += more) {
    more = server.send_file(file.native(), sent, 1 << 20);
  }
  server.shutdown_send();
  if (auto reason = server.recv()) throw std::runtime_error("the receiver said " + coax::printable(reason));
  coax::print_line("Sent {} ({} bytes)", coax::printable(path.filename().string()), size);
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT FILE", send); }
