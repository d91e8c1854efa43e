// chat PORT [HOST]: the tutorials' chat room on Boost.Asio: sends NICK, takes the first line as a nickname, and sends
// each later line to all, from shared bytes. The queue of a member is sent by one gathered write; a peer.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

using Shared = std::shared_ptr<const std::string>;
class Member;
std::set<std::shared_ptr<Member>> room;

class Member : public std::enable_shared_from_this<Member> {
 public:
  explicit Member(tcp::socket peer) : peer_(std::move(peer)) {}
  void start() {
    say(std::make_shared<const std::string>("NICK"));
    read();
  }
  // Written at the end of the current handler, so that its messages are sent together.
  void say(Shared text) {
    waiting_.push_back(std::move(text));
    if (waiting_.size() > 1 || !under_way_.empty()) return;
    asio::post(peer_.get_executor(), [self = shared_from_this()] { self->write(); });
  }

 private:
  void write() {
    under_way_.swap(waiting_);
    std::vector<asio::const_buffer> buffers;
    buffers.reserve(under_way_.size());
    for (const Shared& text : under_way_) buffers.emplace_back(asio::buffer(*text));
    asio::async_write(peer_, buffers, [self = shared_from_this()](error_code error, std::size_t) {
      self->under_way_.clear();
      if (error) return;
      if (!self->waiting_.empty()) self->write();
    });
  }
  void read() {
    peer_.async_read_some(asio::buffer(bytes_), [self = shared_from_this()](error_code error, std::size_t count) {
      if (error) {
        room.erase(self);
        return;
      }
      self->take({self->bytes_.data(), count});
      self->read();
    });
  }
  void take(std::string_view bytes) {
    begun_.append(bytes);
    const std::size_t end = begun_.rfind('\n') + 1;
    std::string lines = begun_.substr(0, end);
    begun_.erase(0, end);
    if (lines.empty()) return;
    if (!joined_) {
      joined_ = true;
      room.insert(shared_from_this());
      lines.erase(0, lines.find('\n') + 1);
    }
    if (lines.empty()) return;
    const auto text = std::make_shared<const std::string>(std::move(lines));
    for (const auto& member : room) member->say(text);
  }

  tcp::socket peer_;
  std::array<char, 16384> bytes_;
  std::string begun_;  // of a line
  bool joined_ = false;
  std::vector<Shared> waiting_;
  std::vector<Shared> under_way_;
};

void accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](error_code error, tcp::socket peer) {
    if (!error) {
      peer.set_option(tcp::no_delay(true));
      std::make_shared<Member>(std::move(peer))->start();
    }
    accept(acceptor);
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 2) return std::fprintf(stderr, "usage: chat PORT [HOST]\n"), 2;
    asio::io_context loop(1);
    const auto port = static_cast<asio::ip::port_type>(std::stoul(argv[1]));
    tcp::acceptor acceptor(loop, {asio::ip::make_address(argc > 2 ? argv[2] : "127.0.0.1"), port});
    accept(acceptor);
    loop.run();
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "chat: %s\n", error.what()), 1;
  }
}
