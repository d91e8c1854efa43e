// Metrics: how many requests there were, of which routes, with which status, and how long they took, for Prometheus.
//
//   const http::Metrics metrics;
//   app.use(metrics.middleware());
//   app.get("/metrics", [metrics](Request&) { return metrics.response(); });  // for those who may see it
#pragma once

#include <memory>
#include <string>

#include "coax/http/router.hpp"

namespace coax::http {

//   http_requests_total{method,route,status}            counter
//   http_request_duration_seconds{method,route}         histogram, until the response is there; not of WebSockets
//   http_requests_in_progress                           gauge
//
// route: the pattern, "/item/{id:int}"; empty without a route. method: "other" for unknown ones. So the number of time
// series is bounded, whatever clients send.
// A handle; copies count together.
// Thread: any.
class Metrics {
 public:
  Metrics();

  // To be used first, so that the time of all others is counted.
  [[nodiscard]] Middleware middleware() const;
  // In the text format of Prometheus, version 0.0.4.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] Response response() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace coax::http
