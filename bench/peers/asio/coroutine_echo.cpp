// coroutine_echo PORT [BUFFER]: the echo server that a C++ programmer writes with Boost.Asio's coroutines; a peer.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>
#include <string>

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

asio::awaitable<void> echo(tcp::socket peer, std::size_t size) {
  const auto bytes = std::make_unique_for_overwrite<char[]>(size);
  try {
    while (true) {
      const std::size_t count = co_await peer.async_read_some(asio::buffer(bytes.get(), size), asio::use_awaitable);
      co_await asio::async_write(peer, asio::buffer(bytes.get(), count), asio::use_awaitable);
    }
  } catch (const boost::system::system_error&) {  // the peer has finished
  }
}

asio::awaitable<void> serve(tcp::acceptor acceptor, std::size_t size) {
  while (true) {
    tcp::socket peer = co_await acceptor.async_accept(asio::use_awaitable);
    peer.set_option(tcp::no_delay(true));
    asio::co_spawn(acceptor.get_executor(), echo(std::move(peer), size), asio::detached);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 2) return std::fprintf(stderr, "usage: coroutine_echo PORT [BUFFER]\n"), 2;
    asio::io_context loop(1);
    const auto port = static_cast<asio::ip::port_type>(std::stoul(argv[1]));
    tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), port});
    asio::co_spawn(loop, serve(std::move(acceptor), argc > 2 ? std::stoul(argv[2]) : 65536), asio::detached);
    loop.run();
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "coroutine_echo: %s\n", error.what()), 1;
  }
}
