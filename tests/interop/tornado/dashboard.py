# dashboard.py PORT: the load of this machine as server-sent events, as examples/web_dashboard.cpp.
import asyncio
import collections
import json
import os
import resource
import sys
import time

import tornado.iostream
import tornado.locks
import tornado.web

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Dashboard</title>
<link rel="stylesheet" href="/style.css">
<h1>Dashboard</h1>
<p><output id="state">Connecting...</output></p>
<main></main>
<script src="/page.js"></script>
"""

STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: auto; padding: 0 1rem }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem }
section { padding: .75rem 1rem; border: 1px solid #8886; border-radius: .5rem }
h2 { margin: 0; font-size: 1rem; font-weight: normal; opacity: .75 }
section output { font-size: 2rem; font-variant-numeric: tabular-nums }
svg { display: block; width: 100%; height: 4rem }
polyline { fill: none; stroke: #38b; stroke-width: 2; vector-effect: non-scaling-stroke }
"""

SCRIPT = """
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
"""

samples = collections.deque(maxlen=60)
sampled = tornado.locks.Condition()
watchers = 0


async def sample():
    while True:
        samples.append({
            "time": time.time_ns() // 1_000_000,
            "load": os.getloadavg()[0],
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "watchers": watchers,
        })
        sampled.notify_all()
        await asyncio.sleep(1)


class AssetHandler(tornado.web.RequestHandler):
    def initialize(self, content_type, content):
        self.content_type, self.content = content_type, content

    def get(self):
        self.set_header("Content-Type", self.content_type)
        self.write(self.content)


class MainHandler(tornado.web.RequestHandler):
    def get(self):
        self.write(PAGE)


class EventsHandler(tornado.web.RequestHandler):
    async def get(self):
        global watchers
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-store")
        try:
            last = int(self.request.headers.get("Last-Event-ID", 0))
        except ValueError:
            last = 0
        watchers += 1
        try:
            while True:
                for sample in [sample for sample in samples if sample["time"] > last]:
                    self.write(f"id: {sample['time']}\ndata: {json.dumps(sample)}\n\n")
                last = samples[-1]["time"]
                await self.flush()
                await sampled.wait()
        except tornado.iostream.StreamClosedError:
            pass
        finally:
            watchers -= 1


async def main():
    app = tornado.web.Application([
        (r"/", MainHandler),
        (r"/style.css", AssetHandler, {"content_type": "text/css", "content": STYLE}),
        (r"/page.js", AssetHandler, {"content_type": "text/javascript", "content": SCRIPT}),
        (r"/events", EventsHandler),
    ])
    app.listen(int(sys.argv[1]), "127.0.0.1")
    await sample()


asyncio.run(main())
