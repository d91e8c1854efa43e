// load VERB --port PORT ...: the load generator of bench/run.py: one thread, raw epoll. Prints one line of JSON: the
// messages of the measured interval, their CPU time and latencies. Unexpected, missing or surplus bytes from the server
// are an error; so is a server without progress for --stall seconds.
#include "bench/broadcast.hpp"
#include "bench/closed_loop.hpp"
#include "bench/datagrams.hpp"
#include "bench/download.hpp"
#include "bench/generator.hpp"
#include "bench/handshakes.hpp"
#include "bench/idle.hpp"
#include "bench/open_loop.hpp"

namespace {

constexpr const char* usage =
    "usage: load echo      --port P [--connections N] [--bytes B] [--depth D]       each connection keeps D under way\n"
    "       load udp       --port P [--connections N] [--bytes B] [--depth D] [--joined]\n"
    "                                                                               the same with datagrams; joined: "
    "D\n"
    "                                                                               pass the kernel as one "
    "(UDP_SEGMENT)\n"
    "       load open      --port P [--connections N] [--bytes B] [--rate R]        R messages a second over all\n"
    "       load http      --port P [--connections N] [--depth D] [--path /hello] [--body 'Hello world!']\n"
    "       load download  --port P [--connections N] [--path /] [--bytes 65536]    a file that `load pattern` has "
    "made;\n"
    "                                                                               a message is a block of 64 KiB\n"
    "       load pattern   [--bytes 65536]                                          prints that file\n"
    "       load websocket --port P [--connections N] [--depth D] [--bytes 100] [--deflate]\n"
    "       load broadcast --port P [--subscribers N] [--bytes B] [--in-flight K] [--websocket [--join | --deflate]]\n"
    "                                                                               one member publishes to all\n"
    "       load idle      --port P [--connections N] [--websocket] [--join] [--http]\n"
    "                                                                               holds them until stdin is closed\n"
    "       load handshakes --port P [--connections N] [--resume] [--http]          TLS: opens, asks once, closes\n"
    "all:   [--host 127.0.0.1] [--stall 10]; all but idle: [--seconds 2] [--warm-up 0.5] [--server-pid PID[,PID]]\n"
    "--tls: over TLS, for echo, open, http, download and idle; it accepts any certificate\n"
    "--join speaks the hub's protocol (docs/protocols.md); without it idle expects an echo server, over a WebSocket "
    "at\n"
    "/, and broadcast over a WebSocket a room at /room that gives each message to all as it is.\n";

int run(int argc, char** argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  const bench::Options options(argc, argv);
  if (verb == "echo") return bench::run_echo(options);
  if (verb == "udp") return bench::run_datagrams(options);
  if (verb == "open") return bench::run_open(options);
  if (verb == "http") return bench::run_http(options);
  if (verb == "download") return bench::run_download(options);
  if (verb == "pattern") return bench::run_pattern(options);
  if (verb == "websocket") return bench::run_websocket(options);
  if (verb == "broadcast") return bench::run_broadcast(options);
  if (verb == "idle") return bench::run_idle(options);
  if (verb == "handshakes") return bench::run_handshakes(options);
  std::fputs(usage, stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  return bench::guarded("load", [&] { return run(argc, argv); });
}
