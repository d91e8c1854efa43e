// echo PORT [HOST]: an echo server on libevent's bufferevents; received bytes are moved to the output buffer without a
// copy; a peer.
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdio>
#include <string>

namespace {

void ended(bufferevent* peer, short, void*) { bufferevent_free(peer); }

void read(bufferevent* peer, void*) {
  evbuffer_add_buffer(bufferevent_get_output(peer), bufferevent_get_input(peer));
  // The peer must read first.
  if (evbuffer_get_length(bufferevent_get_output(peer)) > 1048576) bufferevent_disable(peer, EV_READ);
}

void wrote(bufferevent* peer, void*) { bufferevent_enable(peer, EV_READ); }

void accept(evconnlistener* listener, evutil_socket_t fd, sockaddr*, int, void*) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  bufferevent* const peer = bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
  if (peer == nullptr) return;
  bufferevent_set_max_single_read(peer, 65536);
  bufferevent_set_max_single_write(peer, 65536);
  bufferevent_setcb(peer, read, wrote, ended, nullptr);
  bufferevent_enable(peer, EV_READ | EV_WRITE);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: echo PORT [HOST]\n"), 2;
  std::signal(SIGPIPE, SIG_IGN);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoul(argv[1])));
  inet_pton(AF_INET, argc > 2 ? argv[2] : "127.0.0.1", &address.sin_addr);
  event_base* const base = event_base_new();
  evconnlistener* const listener =
      evconnlistener_new_bind(base, accept, nullptr, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 4096,
                              reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (listener == nullptr) return std::perror("echo: listen"), 1;
  return event_base_dispatch(base);
}
