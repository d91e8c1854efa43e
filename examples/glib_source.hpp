// A GSource that drives a coax::Loop: GLib waits, the loop dispatches. For GTK programs, too.
#pragma once

#include <glib.h>

#include <algorithm>
#include <chrono>

#include "coax/loop/loop.hpp"

// On the thread that runs the context (null: the default one). Destroyed before the loop.
class LoopSource {
 public:
  explicit LoopSource(coax::Loop& loop, GMainContext* context = nullptr)
      : source_(reinterpret_cast<Source*>(g_source_new(&functions, sizeof(Source)))) {
    source_->loop = &loop;
    source_->descriptor = g_source_add_unix_fd(&source_->base, loop.poll_descriptor(), G_IO_IN);
    g_source_attach(&source_->base, context);
  }
  LoopSource(const LoopSource&) = delete;
  LoopSource& operator=(const LoopSource&) = delete;
  ~LoopSource() {
    g_source_destroy(&source_->base);
    g_source_unref(&source_->base);
  }

 private:
  struct Source {
    GSource base;
    coax::Loop* loop;
    gpointer descriptor;
  };
  static Source& of(GSource* source) { return *reinterpret_cast<Source*>(source); }

  // Before GLib waits: is there work at once, and how long may it wait?
  static gboolean prepare(GSource* source, gint* milliseconds) {
    const auto timeout = of(source).loop->poll_timeout();
    const auto limit = std::chrono::milliseconds(G_MAXINT);
    *milliseconds = timeout ? int(std::min(std::chrono::ceil<std::chrono::milliseconds>(*timeout), limit).count()) : -1;
    return *milliseconds == 0;
  }
  // After it has waited.
  static gboolean check(GSource* source) {
    return g_source_query_unix_fd(source, of(source).descriptor) != 0 ||
           of(source).loop->poll_timeout() == coax::Duration::zero();
  }
  // Exceptions of posted functions must not pass through GLib: noexcept ends the program.
  static gboolean dispatch(GSource* source, GSourceFunc, gpointer) noexcept {
    of(source).loop->run_once();
    return G_SOURCE_CONTINUE;
  }
  static inline GSourceFuncs functions{prepare, check, dispatch, nullptr, nullptr, nullptr};

  Source* source_;
};
