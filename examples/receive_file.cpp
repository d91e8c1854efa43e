// receive_file PORT FOLDER [HOST]: answers `NAME:SIZE` with `OK`, then receives that many bytes and the end of the
// stream. Only plain file names are accepted, the file appears in the folder when it is complete, and no file is
// replaced.
#include <algorithm>

#include "coax/coax.hpp"

// Byte by byte, as a file may follow at once; for senders without line ends a pause is one.
std::string read_header(coax::Socket& sender) {
  std::string header;
  for (bool more = true; more && !header.ends_with('\n') && header.size() < 300;) {
    const coax::BytesView byte = sender.recv(1);
    header += byte.text();
    more = byte && coax::wait_for(sender, coax::Events::readable, std::chrono::milliseconds(500)) != coax::Events::none;
  }
  return std::string(coax::trim(header));
}

void receive(coax::Socket& sender, const std::string& folder) {
  const std::string header = read_header(sender);
  const std::string name = header.substr(0, header.rfind(':'));
  const std::string size = header.substr(std::min(name.size() + 1, header.size()));
  const auto bytes_max = coax::parse_size(size + "B");
  if (!coax::is_plain_file_name(name)) throw std::runtime_error("that is not a plain file name");
  if (!bytes_max || *bytes_max > 1 << 30) throw std::runtime_error("that is no size of at most 1 GiB");
  coax::NewFile file(folder);
  sender.send("OK");
  for (std::size_t left = *bytes_max; left > 0;) {
    const coax::BytesView bytes = sender.recv(std::min(left, std::size_t{64} << 10));
    if (!bytes) throw std::runtime_error("the file is cut off");
    file.write(bytes);
    left -= bytes.size();
  }
  if (sender.recv()) throw std::runtime_error("more bytes came than were announced");
  file.commit(name);
  coax::print_line("Received {} ({} bytes)", name, size);
}

void serve(const coax::Arguments& given) {
  const std::string folder(given["FOLDER"]);
  coax::serve_on_threads(given.address(), [&](coax::Socket& sender) {
    try {
      receive(sender, folder);
    } catch (const std::system_error& error) {
      sender.send(fmt::format("Error: {}\n", error.code().message()));
    } catch (const std::runtime_error& error) {
      sender.send(fmt::format("Error: {}\n", error.what()));
    }
  });
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT FOLDER [HOST]", serve); }
