// events: server-sent events, the text/event-stream of the HTML standard (section 9.2), which a browser reads by
// EventSource.
//
//   app.get("/events", [](http::Request& request) {
//     return http::events(request, [](http::EventWriter& events) -> Task<> {
//       for (int number = 1;; ++number) {
//         co_await events.send(std::to_string(number));
//         co_await sleep(1s);
//       }
//     });
//   });
//
// A browser connects again after the end of a response, unless the page has called EventSource.close(), or the answer
// has the status 204.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "coax/base/units.hpp"
#include "coax/http/message.hpp"

namespace coax::http {

// Fields that are not there are not sent. Texts are UTF-8.
struct ServerSentEvent {
  // The browser sends the last one as Last-Event-ID when it connects again; an empty one makes it forget. It has no NUL
  // and no line end.
  std::optional<std::string_view> id = {};
  std::string_view event = {};  // its type, without a line end; empty: "message"
  // Of any lines: the page gets each line end, CR, LF or CRLF, as LF. Without data, the page gets no event.
  std::optional<std::string_view> data = {};
  std::optional<std::chrono::milliseconds> retry = {};  // how long the browser waits before it connects again
};

// Appends the event with the empty line after it.
// Throws: Error(invalid) for texts that the format cannot have, and then `out` is unchanged.
void append_event(std::string& out, const ServerSentEvent& event);

// Several tasks may send.
class EventWriter {
 public:
  EventWriter(BodyWriter& body, std::string last_event_id) noexcept
      : body_(body), last_event_id_(std::move(last_event_id)) {}

  // Returns when the next event can be accepted, so that a slow client slows the producer.
  // Throws: as append_event() and BodyWriter::send().
  Task<> send(ServerSentEvent event);
  // An event with only data.
  Task<> send(std::string_view data);
  // Lines that the page does not get.
  Task<> comment(std::string_view text);
  // Of the last event that the browser has received before it connected again; empty: none.
  [[nodiscard]] const std::string& last_event_id() const noexcept { return last_event_id_; }

 private:
  BodyWriter& body_;
  std::string last_event_id_;
};

struct EventOptions {
  // A comment is sent after each such time, so that proxies do not take the connection for dead.
  std::optional<Duration> keep_alive = std::chrono::seconds(15);
};

// A response whose events `producer` sends. It ends when the producer does; the producer is cancelled when the client
// has left, or the server drains. No cache stores it, and nginx does not buffer it.
// Lifetime: the producer must own its data: the request is gone when it runs.
Response events(Request& request, std::move_only_function<Task<>(EventWriter&)> producer, EventOptions options = {});

}  // namespace coax::http
