// callback_echo PORT [BUFFER]: an echo server on Boost.Asio with completion handlers, its cheapest form; a peer.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>
#include <string>

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket peer, std::size_t bytes)
      : peer_(std::move(peer)), bytes_(std::make_unique_for_overwrite<char[]>(bytes)), buffer_(bytes_.get(), bytes) {}
  void read() {
    peer_.async_read_some(buffer_, [self = shared_from_this()](error_code error, std::size_t count) {
      if (!error) self->write(count);
    });
  }

 private:
  // Without this async_write sends 64 KiB at a time.
  static std::size_t in_one(error_code error, std::size_t) { return error ? 0 : SIZE_MAX; }
  void write(std::size_t count) {
    asio::async_write(peer_, asio::buffer(buffer_, count), in_one,
                      [self = shared_from_this()](error_code error, std::size_t) {
                        if (!error) self->read();
                      });
  }

  tcp::socket peer_;
  std::unique_ptr<char[]> bytes_;
  asio::mutable_buffer buffer_;
};

void accept(tcp::acceptor& acceptor, std::size_t bytes) {
  acceptor.async_accept([&acceptor, bytes](error_code error, tcp::socket peer) {
    if (!error) {
      peer.set_option(tcp::no_delay(true));
      std::make_shared<Session>(std::move(peer), bytes)->read();
    }
    accept(acceptor, bytes);
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 2) return std::fprintf(stderr, "usage: callback_echo PORT [BUFFER]\n"), 2;
    asio::io_context loop(1);
    const auto port = static_cast<asio::ip::port_type>(std::stoul(argv[1]));
    tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), port});
    accept(acceptor, argc > 2 ? std::stoul(argv[2]) : 65536);
    loop.run();
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "callback_echo: %s\n", error.what()), 1;
  }
}
