// A race: the producer, the comments that keep the connection, the end of the client, and the drain of the server.
#include "coax/http/events.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/task/scope.hpp"

namespace coax::http {

namespace {

void require_one_line(std::string_view field, std::string_view text, std::string_view refused) {
  if (text.find_first_of(refused) == std::string_view::npos) return;
  throw Error(ErrorKind::invalid, "send an event with the", field, "it has a line end or a NUL");
}

// One line for each line of the text. A text that ends with a line end has an empty last line.
void append_lines(std::string& out, std::string_view start, std::string_view text) {
  while (true) {
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    out.append(start).append(text.substr(0, end)).append("\n");
    if (end == text.size()) return;
    text.remove_prefix(end + (text.substr(end).starts_with("\r\n") ? 2 : 1));
  }
}

Task<> keep_alive(EventWriter& events, std::optional<Duration> interval) {
  Event never;
  if (!interval) co_await never.wait();
  while (true) {
    co_await sleep(*interval);
    co_await events.comment("");
  }
}

struct EventStream {
  std::move_only_function<Task<>(EventWriter&)> producer;
  EventOptions options;
  std::string last_event_id;
  coax::Connection& connection;  // which outlives the response
};

Task<> run(EventStream stream, BodyWriter& body) {
  EventWriter events(body, std::move(stream.last_event_id));
  co_await race(stream.producer(events), keep_alive(events, stream.options.keep_alive), body.wait_disconnected(),
                stream.connection.wait_draining());
}

}  // namespace

void append_event(std::string& out, const ServerSentEvent& event) {
  using namespace std::string_view_literals;
  if (event.id) require_one_line("id", *event.id, "\r\n\0"sv);
  require_one_line("type", event.event, "\r\n"sv);
  if (event.retry && event.retry->count() < 0) {
    throw Error(ErrorKind::invalid, "send an event with the", "retry time", "it is negative");
  }
  if (event.id) out.append("id: ").append(*event.id).append("\n");
  if (!event.event.empty()) out.append("event: ").append(event.event).append("\n");
  if (event.retry) out += fmt::format("retry: {}\n", event.retry->count());
  if (event.data) append_lines(out, "data: ", *event.data);
  out += '\n';
}

Task<> EventWriter::send(ServerSentEvent event) {
  std::string text;
  append_event(text, event);
  co_await body_.send(text);
}

Task<> EventWriter::send(std::string_view data) { return send({.data = data}); }

Task<> EventWriter::comment(std::string_view text) {
  std::string lines;
  append_lines(lines, text.empty() ? ":" : ": ", text);
  co_await body_.send(lines);
}

Response events(Request& request, std::move_only_function<Task<>(EventWriter&)> producer, EventOptions options) {
  if (options.keep_alive && *options.keep_alive <= Duration::zero()) {
    throw Error(ErrorKind::invalid, "send events with the", "keep-alive time", "it is not above zero");
  }
  EventStream stream{.producer = std::move(producer),
                     .options = options,
                     .last_event_id = std::string(request.header("Last-Event-ID")),
                     .connection = request.connection()};
  auto run_it = [stream = std::move(stream)](BodyWriter& body) mutable { return run(std::move(stream), body); };
  return Response::stream("text/event-stream", std::move(run_it))
      .header("Cache-Control", "no-store")
      .header("X-Accel-Buffering", "no");
}

}  // namespace coax::http
