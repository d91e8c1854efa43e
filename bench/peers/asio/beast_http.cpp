// beast_http PORT [HOST]: GET with keep-alive on Boost.Beast with completion handlers; a peer. Pipelined requests are
// answered one by one, as in Beast's own examples.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cstdio>
#include <string>

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(tcp::socket peer) : peer_(std::move(peer)) {}
  void read() {
    request_ = {};
    http::async_read(peer_, buffer_, request_, [self = shared_from_this()](error_code error, std::size_t) {
      if (!error) self->answer();
    });
  }

 private:
  void answer() {
    const bool found = request_.method() == http::verb::get && request_.target() == "/hello";
    response_ = {found ? http::status::ok : http::status::not_found, request_.version()};
    response_.set(http::field::content_type, "text/plain; charset=utf-8");
    response_.keep_alive(request_.keep_alive());
    response_.body() = found ? "Hello world!" : "not found";
    response_.prepare_payload();
    http::async_write(peer_, response_, [self = shared_from_this()](error_code error, std::size_t) {
      if (!error && self->response_.keep_alive()) self->read();
    });
  }

  tcp::socket peer_;
  boost::beast::flat_buffer buffer_{65536};
  http::request<http::empty_body> request_;
  http::response<http::string_body> response_;
};

void accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](error_code error, tcp::socket peer) {
    if (!error) {
      peer.set_option(tcp::no_delay(true));
      std::make_shared<Session>(std::move(peer))->read();
    }
    accept(acceptor);
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 2) return std::fprintf(stderr, "usage: beast_http PORT [HOST]\n"), 2;
    asio::io_context loop(1);
    const auto port = static_cast<asio::ip::port_type>(std::stoul(argv[1]));
    tcp::acceptor acceptor(loop, {asio::ip::make_address(argc > 2 ? argv[2] : "127.0.0.1"), port});
    accept(acceptor);
    loop.run();
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "beast_http: %s\n", error.what()), 1;
  }
}
