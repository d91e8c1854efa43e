// send_file HOST PORT FILE: `NAME:SIZE`, waits for `OK` however it arrives, then the bytes and the end. Anything else
// from the receiver is an error.
#include <fcntl.h>

#include <cerrno>
#include <filesystem>

#include "coax/coax.hpp"

using namespace coax::literals;

void send(const coax::Arguments& given) {
  const std::filesystem::path path = given["FILE"];
  const coax::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw coax::Error(errno, "open", path.string());
  const std::uint64_t size = std::filesystem::file_size(path);
  auto server = coax::Socket::connect_to(given.where(), {.timeout = std::chrono::seconds(30)});
  const auto refused = [&](const std::string& reason) {
    return coax::Error(coax::ErrorKind::protocol, "send a file to", given.where(), coax::printable(coax::trim(reason)));
  };
  server.send(fmt::format("{}:{}\n", path.filename().string(), size));
  const std::string answer = server.recv_exactly(2);
  if (answer != "OK") throw refused(answer + server.recv().string());
  for (std::uint64_t sent = 0, more = size; more > 0 && sent < size; sent += more) {
    more = server.send_file(file.native(), sent, 1_MiB);
  }
  server.finish();
  if (const coax::Bytes complaint = server.recv()) throw refused(complaint.string());
  coax::print_line("Sent {} ({} bytes)", coax::printable(path.filename().string()), size);
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT FILE", send); }
