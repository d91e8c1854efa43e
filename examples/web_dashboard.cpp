// web_dashboard PORT [HOST]: the load of this machine, each second, in every browser: server-sent events that resume at
// Last-Event-ID.
#include <stdlib.h>
#include <sys/resource.h>

#include <algorithm>
#include <deque>

#include "coax/coax.hpp"

using namespace std::chrono_literals;
namespace http = coax::http;
using http::Request;
using http::Response;

constexpr std::string_view page = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Dashboard</title>
<link rel="stylesheet" href="/style.css">
<h1>Dashboard</h1>
<p><output id="state">Connecting...</output></p>
<main></main>
<script src="/page.js"></script>
)";

constexpr http::MemoryFile style = {.path = "/style.css", .content_type = "text/css; charset=utf-8", .body = R"(
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: auto; padding: 0 1rem }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem }
section { padding: .75rem 1rem; border: 1px solid #8886; border-radius: .5rem }
h2 { margin: 0; font-size: 1rem; font-weight: normal; opacity: .75 }
section output { font-size: 2rem; font-variant-numeric: tabular-nums }
svg { display: block; width: 100%; height: 4rem }
polyline { fill: none; stroke: #38b; stroke-width: 2; vector-effect: non-scaling-stroke }
)"};

constexpr http::MemoryFile script = {.path = "/page.js", .content_type = "text/javascript; charset=utf-8", .body = R"(
const charts = { load: "Load of the last minute", memory: "Memory in MiB", watchers: "Browsers that watch" };
const state = document.getElementById("state"), samples = [];
for (const [name, title] of Object.entries(charts)) {
  document.querySelector("main").insertAdjacentHTML("beforeend", `<section id="${name}"><h2>${title}</h2>
    <output>-</output><svg viewBox="0 0 59 100" preserveAspectRatio="none"><polyline/></svg></section>`);
}
function draw(name) {
  const values = samples.map((sample) => sample[name]), most = Math.max(1, ...values);
  const chart = document.getElementById(name);
  chart.querySelector("output").value = +values.at(-1).toFixed(2);
  const points = values.map((value, at) => `${60 - values.length + at},${98 - 96 * value / most}`);
  chart.querySelector("polyline").setAttribute("points", points.join(" "));
}
const events = new EventSource("/events");
events.onopen = () => { state.value = "Connected"; };
events.onerror = () => { state.value = "Disconnected: trying again..."; };
events.onmessage = (event) => {
  samples.push(JSON.parse(event.data));
  if (samples.length > 60) samples.shift();
  Object.keys(charts).forEach(draw);
};
)"};

struct Sample {
  std::int64_t time;  // in milliseconds: the id of the event
  std::string json;
};
std::deque<Sample> samples;  // of the last minute; one loop, thus one thread: no lock
coax::Event sampled;

struct Watcher {
  Watcher() { ++count; }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  ~Watcher() { --count; }
  static inline int count = 0;
};

coax::Task<> sample() {
  while (true) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const std::int64_t time = now / 1ms;
    double load = 0;
    getloadavg(&load, 1);
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const double memory = static_cast<double>(usage.ru_maxrss) / 1024;
    const http::Value sample{{"time", time}, {"load", load}, {"memory", memory}, {"watchers", Watcher::count}};
    samples.push_back({time, sample.to_json()});
    if (samples.size() > 60) samples.pop_front();
    sampled.set();
    sampled.clear();
    co_await coax::sleep(1s);
  }
}

coax::Task<> watch(http::EventWriter& events) {
  const Watcher watcher;
  std::int64_t last = std::strtoll(events.last_event_id().c_str(), nullptr, 10);
  while (true) {
    const auto next = std::ranges::upper_bound(samples, last, {}, &Sample::time);
    if (next == samples.end()) {
      co_await sampled.wait();
      continue;
    }
    last = next->time;
    const std::string id = std::to_string(last);
    const std::string json = next->json;
    co_await events.send({.id = id, .data = json});
  }
}

coax::Task<> serve(const coax::Arguments& given) {
  http::App app;
  app.use(http::security_headers());
  app.file({.path = "/", .content_type = Response::html_type, .body = page});
  app.file(style);
  app.file(script);
  app.get("/events", [](Request& request) { return http::events(request, watch); });
  co_await coax::race(sample(), coax::serve({.listen = given.address()}, http::handler(std::move(app))));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST]", serve); }
