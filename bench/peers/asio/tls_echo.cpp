// tls_echo PORT CERT KEY [BUFFER]: an echo server on Boost.Asio's ssl::stream with completion handlers; a peer.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>
#include <string>

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket peer, asio::ssl::context& context, std::size_t bytes)
      : peer_(std::move(peer), context),
        bytes_(std::make_unique_for_overwrite<char[]>(bytes)),
        buffer_(bytes_.get(), bytes) {}
  void shake_hands() {
    peer_.async_handshake(asio::ssl::stream_base::server, [self = shared_from_this()](error_code error) {
      if (!error) self->read();
    });
  }

 private:
  void read() {
    peer_.async_read_some(buffer_, [self = shared_from_this()](error_code error, std::size_t count) {
      if (!error) return self->write(count);
      if (error == asio::error::eof) self->end();
    });
  }
  void write(std::size_t count) {
    asio::async_write(peer_, asio::buffer(buffer_, count), [self = shared_from_this()](error_code error, std::size_t) {
      if (!error) self->read();
    });
  }
  void end() {
    peer_.async_shutdown([self = shared_from_this()](error_code) {});
  }

  asio::ssl::stream<tcp::socket> peer_;
  std::unique_ptr<char[]> bytes_;
  asio::mutable_buffer buffer_;
};

void accept(tcp::acceptor& acceptor, asio::ssl::context& context, std::size_t bytes) {
  acceptor.async_accept([&acceptor, &context, bytes](error_code error, tcp::socket peer) {
    if (!error) {
      peer.set_option(tcp::no_delay(true));
      std::make_shared<Session>(std::move(peer), context, bytes)->shake_hands();
    }
    accept(acceptor, context, bytes);
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 4) return std::fprintf(stderr, "usage: tls_echo PORT CERT KEY [BUFFER]\n"), 2;
    asio::io_context loop(1);
    asio::ssl::context context(asio::ssl::context::tls_server);
    context.use_certificate_chain_file(argv[2]);
    context.use_private_key_file(argv[3], asio::ssl::context::pem);
    SSL_CTX_set_mode(context.native_handle(), SSL_MODE_RELEASE_BUFFERS);
    const auto port = static_cast<asio::ip::port_type>(std::stoul(argv[1]));
    tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), port});
    accept(acceptor, context, argc > 4 ? std::stoul(argv[4]) : 16384);
    loop.run();
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "tls_echo: %s\n", error.what()), 1;
  }
}
