// glib_loop PORT [HOST]: an echo server inside GLib's main loop, as in a GTK program, beside a timer of GLib.
#include <glib-unix.h>

#include "coax/coax.hpp"
#include "examples/glib_source.hpp"

namespace {

coax::Task<> echo(coax::Stream& client) {
  while (const auto bytes = co_await client.recv()) co_await client.send(bytes);
}

gboolean tick(gpointer seconds) {
  coax::print_line("{} s", ++*static_cast<int*>(seconds));
  return G_SOURCE_CONTINUE;
}

struct Application {
  GMainLoop* main_loop = g_main_loop_new(nullptr, FALSE);
  coax::Loop loop;
  LoopSource source{loop};
  coax::LoopTasks tasks{loop};

  ~Application() { g_main_loop_unref(main_loop); }
};

// SIGINT: the server closes its connections, and then the main loop ends.
gboolean quit(gpointer data) {
  auto& application = *static_cast<Application*>(data);
  application.tasks.cancel();
  application.tasks.when_empty([&application] { g_main_loop_quit(application.main_loop); });
  return G_SOURCE_CONTINUE;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    g_printerr("usage: glib_loop PORT [HOST]\n");
    return 2;
  }
  Application application;
  coax::ServeOptions options{.listen = std::string(argc > 2 ? argv[2] : "127.0.0.1") + ":" + argv[1]};
  options.on_listen = [](const coax::Address& at) { coax::print_line("listening on {}", at.to_string()); };
  application.tasks.start(coax::serve(options, echo));
  int seconds = 0;
  g_timeout_add_seconds(1, tick, &seconds);
  g_unix_signal_add(SIGINT, quit, &application);
  g_main_loop_run(application.main_loop);
}
