// http_events PORT [HOST]: server-sent events: the page shows a number that grows every second.
#include "coax/coax.hpp"

using coax::http::BodyWriter;
using coax::http::Request;
using coax::http::Response;

constexpr coax::http::Literal page = R"(<!doctype html>
<output></output>
<script>
  new EventSource("/events").onmessage = (event) => { document.querySelector("output").value = event.data; };
</script>
)";

coax::Event draining;  // set when the server shuts down

coax::Task<> count(BodyWriter& body) {
  for (int number = 1;; ++number) {
    const std::string event = fmt::format("data: {}\n\n", number);
    co_await body.send(event);
    co_await coax::sleep(std::chrono::seconds(1));
  }
}

coax::Task<> events(BodyWriter& body) { co_await coax::race(count(body), body.wait_disconnected(), draining.wait()); }

coax::Task<> serve(const coax::Arguments& words) {
  coax::http::App app;
  app.get("/", [](Request&) { return Response::html(std::string(page)); });
  app.get("/events",
          [](Request&) { return Response::stream("text/event-stream", events).header("Cache-Control", "no-store"); });
  coax::ServeOptions options{.listen = words.address(), .on_drain = [] { draining.set(); }};
  return coax::serve(std::move(options), coax::http::handler(std::move(app)));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST]", serve); }
