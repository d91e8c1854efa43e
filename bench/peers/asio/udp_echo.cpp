// udp_echo PORT: an echo server for datagrams on Boost.Asio with completion handlers, its cheapest form; a peer.
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <cstdio>
#include <string>

namespace asio = boost::asio;
using asio::ip::udp;
using boost::system::error_code;

namespace {

class Echo {
 public:
  Echo(asio::io_context& loop, asio::ip::port_type port) : socket_(loop, {asio::ip::address_v4::loopback(), port}) {}
  void read() {
    socket_.async_receive_from(asio::buffer(bytes_), peer_, [this](error_code error, std::size_t count) {
      if (error) return read();
      socket_.async_send_to(asio::buffer(bytes_, count), peer_, [this](error_code, std::size_t) { read(); });
    });
  }

 private:
  udp::socket socket_;
  udp::endpoint peer_;
  std::array<char, 65536> bytes_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 2) return std::fprintf(stderr, "usage: udp_echo PORT\n"), 2;
    asio::io_context loop(1);
    Echo echo(loop, static_cast<asio::ip::port_type>(std::stoul(argv[1])));
    echo.read();
    loop.run();
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "udp_echo: %s\n", error.what()), 1;
  }
}
