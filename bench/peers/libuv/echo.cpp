// echo PORT [HOST]: an echo server on libuv, in its cheapest form: one buffer for all connections, and a write that
// tries the socket before it queues; a peer.
#include <uv.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

std::vector<char> bytes(512UL << 10);  // what was read is sent, or copied, before the next read

struct Write {
  uv_write_t request;
  std::string left;
};

void close(uv_stream_t* peer) {
  auto* const handle = reinterpret_cast<uv_handle_t*>(peer);
  if (uv_is_closing(handle) == 0)
    uv_close(handle, [](uv_handle_t* closed) { delete reinterpret_cast<uv_tcp_t*>(closed); });
}

void lend(uv_handle_t*, std::size_t, uv_buf_t* buffer) {
  *buffer = uv_buf_init(bytes.data(), static_cast<unsigned>(bytes.size()));
}

void read(uv_stream_t* peer, ssize_t count, const uv_buf_t* buffer);

void wrote(uv_write_t* request, int status) {
  auto* const write = static_cast<Write*>(request->data);
  uv_stream_t* const peer = request->handle;
  delete write;
  if (status < 0) return close(peer);
  uv_read_start(peer, lend, read);
}

// While bytes are unsent it does not receive: the peer must read first.
void read(uv_stream_t* peer, ssize_t count, const uv_buf_t* buffer) {
  if (count < 0) return close(peer);
  if (count == 0) return;
  uv_buf_t out = uv_buf_init(buffer->base, static_cast<unsigned>(count));
  const int sent = uv_try_write(peer, &out, 1);
  if (sent == count) return;
  if (sent < 0 && sent != UV_EAGAIN) return close(peer);
  const auto done = static_cast<std::size_t>(sent < 0 ? 0 : sent);
  auto* const write = new Write{.left = std::string(buffer->base + done, static_cast<std::size_t>(count) - done)};
  write->request.data = write;
  out = uv_buf_init(write->left.data(), static_cast<unsigned>(write->left.size()));
  uv_read_stop(peer);
  uv_write(&write->request, peer, &out, 1, wrote);
}

void accept(uv_stream_t* listener, int status) {
  if (status < 0) return;
  auto* const peer = new uv_tcp_t;
  auto* const stream = reinterpret_cast<uv_stream_t*>(peer);
  uv_tcp_init(listener->loop, peer);
  if (uv_accept(listener, stream) != 0) return close(stream);
  uv_tcp_nodelay(peer, 1);
  uv_read_start(stream, lend, read);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: echo PORT [HOST]\n"), 2;
  std::signal(SIGPIPE, SIG_IGN);
  uv_loop_t* const loop = uv_default_loop();
  uv_tcp_t listener;
  sockaddr_in address{};
  uv_tcp_init(loop, &listener);
  int error = uv_ip4_addr(argc > 2 ? argv[2] : "127.0.0.1", std::stoi(argv[1]), &address);
  if (error == 0) error = uv_tcp_bind(&listener, reinterpret_cast<const sockaddr*>(&address), 0);
  if (error == 0) error = uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096, accept);
  if (error != 0) return std::fprintf(stderr, "echo: %s\n", uv_strerror(error)), 1;
  return uv_run(loop, UV_RUN_DEFAULT);
}
