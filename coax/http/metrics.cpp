// The metrics of an app, kept by prometheus-cpp.
#include "coax/http/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>

#include "coax/loop/loop.hpp"

namespace coax::http {

namespace {

std::string method_of(const Request& request) {
  static constexpr std::array<std::string_view, 8> known{"GET",    "HEAD",    "POST",  "PUT",
                                                         "DELETE", "OPTIONS", "PATCH", "TRACE"};
  const bool is_known = std::ranges::find(known, request.method()) != known.end();
  return is_known ? std::string(request.method()) : "other";
}

// In seconds.
const prometheus::Histogram::BucketBoundaries boundaries{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                         0.25,  0.5,    1,     2.5,  5,     10};

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests = prometheus::BuildCounter()
                                                          .Name("http_requests_total")
                                                          .Help("Requests by method, route and status.")
                                                          .Register(registry);
  prometheus::Family<prometheus::Histogram>& durations = prometheus::BuildHistogram()
                                                             .Name("http_request_duration_seconds")
                                                             .Help("Time until the response is there.")
                                                             .Register(registry);
  prometheus::Gauge& in_progress = prometheus::BuildGauge()
                                       .Name("http_requests_in_progress")
                                       .Help("Requests without a response.")
                                       .Register(registry)
                                       .Add({});

  void count(const Request& request, int status, TimePoint start) {
    const std::string method = method_of(request);
    const std::string route = request.pattern();
    requests.Add({{"method", method}, {"route", route}, {"status", std::to_string(status)}}).Increment();
    if (status == 101) return;
    const std::chrono::duration<double> seconds = Loop::current().backend().now() - start;
    durations.Add({{"method", method}, {"route", route}}, boundaries).Observe(seconds.count());
  }
};

Metrics::Metrics() : state_(std::make_shared<State>()) {}

Middleware Metrics::middleware() const {
  return [state = state_](Request& request, Next next) -> Task<Response> {
    const struct InProgress {
      prometheus::Gauge& gauge;
      explicit InProgress(prometheus::Gauge& given) : gauge(given) { gauge.Increment(); }
      InProgress(const InProgress&) = delete;
      InProgress& operator=(const InProgress&) = delete;
      ~InProgress() { gauge.Decrement(); }
    } in_progress(state->in_progress);
    const TimePoint start = Loop::current().backend().now();
    Response response = co_await next.answered(request);
    state->count(request, response.status, start);
    co_return response;
  };
}

std::string Metrics::text() const { return prometheus::TextSerializer().Serialize(state_->registry.Collect()); }

Response Metrics::response() const {
  Response response{.body = text(), .content_type = "text/plain; version=0.0.4; charset=utf-8"};
  return std::move(response).header("Cache-Control", "no-store");
}

}  // namespace coax::http
