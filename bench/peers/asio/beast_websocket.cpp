// beast_websocket PORT [HOST]: WebSockets on Boost.Beast with completion handlers: /room sends each message to all its
// members, any other path is an echo. It compresses for clients that offer it. The messages of a member are sent one by
// one, as in Beast's own example of a chat; a peer.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <cstdio>
#include <deque>
#include <set>
#include <string>

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

using Shared = std::shared_ptr<const std::string>;
class Session;
std::set<std::shared_ptr<Session>> room;

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(tcp::socket peer) : socket_(std::move(peer)) {
    websocket::permessage_deflate deflate;
    deflate.server_enable = true;
    socket_.set_option(deflate);
    socket_.text(true);
  }
  void start() {
    http::async_read(socket_.next_layer(), buffer_, request_,
                     [self = shared_from_this()](error_code error, std::size_t) {
                       if (!error) self->accept();
                     });
  }

 private:
  void accept() {
    socket_.async_accept(request_, [self = shared_from_this()](error_code error) {
      if (error) return;
      self->is_member_ = self->request_.target() == "/room";
      if (self->is_member_) room.insert(self);
      self->read();
    });
  }
  void read() {
    socket_.async_read(buffer_, [self = shared_from_this()](error_code error, std::size_t) {
      if (error) {
        room.erase(self);
        return;
      }
      self->take();
    });
  }
  void take() {
    const auto text = std::make_shared<const std::string>(boost::beast::buffers_to_string(buffer_.data()));
    buffer_.consume(buffer_.size());
    if (is_member_) {
      for (const auto& member : room) member->say(text);
    } else {
      say(text);
    }
    read();
  }
  void say(const Shared& text) {
    waiting_.push_back(text);
    if (waiting_.size() == 1) write();
  }
  void write() {
    socket_.async_write(asio::buffer(*waiting_.front()), [self = shared_from_this()](error_code error, std::size_t) {
      if (error) return;
      self->waiting_.pop_front();
      if (!self->waiting_.empty()) self->write();
    });
  }

  websocket::stream<tcp::socket> socket_;
  boost::beast::flat_buffer buffer_;
  http::request<http::empty_body> request_;
  bool is_member_ = false;
  std::deque<Shared> waiting_;
};

void accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](error_code error, tcp::socket peer) {
    if (!error) {
      peer.set_option(tcp::no_delay(true));
      std::make_shared<Session>(std::move(peer))->start();
    }
    accept(acceptor);
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 2) return std::fprintf(stderr, "usage: beast_websocket PORT [HOST]\n"), 2;
    asio::io_context loop(1);
    const auto port = static_cast<asio::ip::port_type>(std::stoul(argv[1]));
    tcp::acceptor acceptor(loop, {asio::ip::make_address(argc > 2 ? argv[2] : "127.0.0.1"), port});
    accept(acceptor);
    loop.run();
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "beast_websocket: %s\n", error.what()), 1;
  }
}
