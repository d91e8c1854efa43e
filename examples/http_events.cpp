// http_events PORT [HOST]: server-sent events: the page shows a number that grows every second.
#include "coax/coax.hpp"

using coax::http::EventWriter;
using coax::http::Request;
using coax::http::Response;

constexpr coax::http::Literal page = R"(<!doctype html>
<output></output>
<script>
  new EventSource("/events").onmessage = (event) => { document.querySelector("output").value = event.data; };
</script>
)";

// After a break of the connection it continues with the next number.
coax::Task<> count(EventWriter& events) {
  unsigned long number = std::strtoul(events.last_event_id().c_str(), nullptr, 10);
  while (true) {
    const std::string text = std::to_string(++number);
    co_await events.send({.id = text, .data = text});
    co_await coax::sleep(std::chrono::seconds(1));
  }
}

coax::Task<> serve(const coax::Arguments& words) {
  coax::http::App app;
  app.get("/", [](Request&) { return Response::html(std::string(page)); });
  app.get("/events", [](Request& request) { return coax::http::events(request, count); });
  return coax::serve({.listen = words.address()}, coax::http::handler(std::move(app)));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST]", serve); }
