// App: which function answers which request.
//
//   coax::http::App app;
//   app.get("/hello/{name}", [](coax::http::Request& request) { return coax::http::Response::text("Hello!"); });
//   app.websocket("/echo", echo);
//   coax::run(coax::serve({.listen = "127.0.0.1:8080"}, coax::http::handler(std::move(app))));
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/units.hpp"
#include "coax/http/message.hpp"
#include "coax/http/websocket.hpp"
#include "coax/server/connection.hpp"

namespace coax::http {

// A file that is part of the program: it is served from memory, which outlives the app.
struct MemoryFile {
  std::string_view path;  // "/style.css"; "/" for the index
  std::string_view content_type;
  std::string_view body;
};

struct AppOptions {
  http1::Limits message = {};
  Duration head = std::chrono::seconds(10);        // from a request's first byte to the end of its head
  Duration body = std::chrono::seconds(60);        // and to the end of its body
  Duration keep_alive = std::chrono::seconds(75);  // between two requests, and before the first
  ws::Options websocket = {};
  // Sent with each response.
  std::vector<std::pair<std::string, std::string>> headers = {{"X-Content-Type-Options", "nosniff"}};
  // Empty: any. Else a request whose Host, without its port, is neither an IP address nor one of these is answered with
  // 421; a server that only this machine may reach so withstands DNS rebinding.
  std::vector<std::string> hosts = {};
  // "HOST" or "HOST:PORT" of other origins whose pages may open WebSockets here, besides the one that Host names.
  std::vector<std::string> origins = {};
};

class App {
 public:
  using AtOnce = std::function<Response(Request&)>;
  using Later = std::function<Task<Response>(Request&)>;
  using SocketAction = std::function<Task<>(ws::Connection&)>;

  // Throws Error(invalid) when a header of the options cannot be one.
  explicit App(AppOptions options = {});

  // A pattern is a path whose segments are literal, or {name} for any one segment. The function takes Request& and
  // returns a Response or Task<Response>; on several loops it is called on several threads. What is registered first
  // wins. GET answers HEAD too.
  template <class F>
  App& get(std::string_view pattern, F function) {
    return route("GET", pattern, std::move(function));
  }
  template <class F>
  App& post(std::string_view pattern, F function) {
    return route("POST", pattern, std::move(function));
  }
  template <class F>
    requires std::is_invocable_r_v<Task<Response>, F&, Request&>
  App& route(std::string_view method, std::string_view pattern, F function) {
    return add({.method = std::string(method), .segments = split_path(pattern), .later = std::move(function)});
  }
  template <class F>
    requires std::is_invocable_r_v<Response, F&, Request&>
  App& route(std::string_view method, std::string_view pattern, F function) {
    return add({.method = std::string(method), .segments = split_path(pattern), .at_once = std::move(function)});
  }
  // Under its path; with an ETag, so that a browser fetches it once.
  App& file(const MemoryFile& file);
  // An upgrade is accepted when it is correct and comes, if from a browser, from the same origin.
  App& websocket(std::string_view pattern, SocketAction function);

  // What follows is for handler().
  struct Route {
    std::string method;
    std::vector<std::string> segments;
    std::string path = {};  // when no segment is a parameter
    AtOnce at_once = {};
    Later later = {};
    SocketAction socket = {};
  };
  // Fills in the path and the query; false: the target is malformed.
  static bool parse(Request& request);
  // Fills in the pattern; null: the answer is refusal().
  [[nodiscard]] const Route* find(Request& request) const;
  [[nodiscard]] bool has_websockets() const noexcept { return has_websockets_; }
  [[nodiscard]] const SocketAction* find_websocket(Request& request) const;
  [[nodiscard]] Response refusal(Request& request) const;
  [[nodiscard]] const AppOptions& options() const noexcept { return options_; }
  // The headers of the options as they are sent.
  [[nodiscard]] const std::string& fixed_fields() const noexcept { return fixed_fields_; }

 private:
  static std::vector<std::string> split_path(std::string_view path);
  static bool matches(const Route& route, std::string_view path) noexcept;
  App& add(Route route);
  [[nodiscard]] bool is_for_us(const Request& request) const {
    return options_.hosts.empty() || names_our_host(request.header("Host"));
  }
  [[nodiscard]] bool names_our_host(std::string_view host) const;

  AppOptions options_;
  std::string fixed_fields_;
  std::vector<Route> routes_;
  bool has_websockets_ = false;
};

// For serve(): speaks HTTP/1.1 on each connection.
Handler handler(App app);

}  // namespace coax::http
