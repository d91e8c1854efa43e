// udp_echo PORT: an echo server for datagrams on libuv, which receives up to 20 with one system call; a peer. An answer
// is sent at once, and dropped when the kernel has no room.
#include <uv.h>

#include <array>
#include <cstdio>
#include <string>

namespace {

std::array<char, 20 * 65536> buffer;

void lend(uv_handle_t*, std::size_t, uv_buf_t* to) { *to = uv_buf_init(buffer.data(), buffer.size()); }

void received(uv_udp_t* socket, ssize_t count, const uv_buf_t* bytes, const sockaddr* peer, unsigned) {
  if (count < 0 || peer == nullptr) return;
  const uv_buf_t answer = uv_buf_init(bytes->base, static_cast<unsigned>(count));
  uv_udp_try_send(socket, &answer, 1, peer);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: udp_echo PORT\n"), 2;
  uv_loop_t* const loop = uv_default_loop();
  uv_udp_t socket;
  sockaddr_in at{};
  uv_ip4_addr("127.0.0.1", std::stoi(argv[1]), &at);
  int error = uv_udp_init_ex(loop, &socket, AF_INET | UV_UDP_RECVMMSG);
  if (error == 0) error = uv_udp_bind(&socket, reinterpret_cast<const sockaddr*>(&at), 0);
  if (error == 0) error = uv_udp_recv_start(&socket, lend, received);
  if (error != 0) return std::fprintf(stderr, "udp_echo: %s\n", uv_strerror(error)), 1;
  return uv_run(loop, UV_RUN_DEFAULT);
}
