// save HOST PORT FILE [BYTES] [TIME]: stores all bytes of a server, up to its end, as a new file in this folder.
#include "coax/coax.hpp"

using namespace coax::literals;
using namespace std::chrono_literals;

void save(const coax::Arguments& words) {
  const std::size_t bytes_max = words.size("BYTES", 64_MiB);
  auto server = coax::Socket::connect_to(words.address(), {.timeout = words.duration("TIME", 10s)});
  coax::NewFile file(".");
  std::size_t received = 0;
  while (const coax::BytesView bytes = server.recv()) {
    received += bytes.size();
    if (received > bytes_max) throw std::runtime_error("the server sends more than " + coax::format_size(bytes_max));
    file.write(bytes);
  }
  file.commit(words["FILE"]);
  coax::print_line("stored {} bytes as {}", received, words["FILE"]);
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT FILE [BYTES] [TIME]", save); }
