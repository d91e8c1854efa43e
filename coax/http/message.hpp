// An HTTP request as a handler sees it, and its response.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coax/address/endpoint.hpp"
#include "coax/codec/http1.hpp"

namespace coax::http {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// Lives, with all that it gives, until the handler has returned its response.
class Request {
 public:
  Request(const http1::Head& head, std::string& body, const Endpoint& peer) noexcept
      : head_(head), body_(body), peer_(peer) {}
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  [[nodiscard]] std::string_view method() const noexcept { return head_.method; }
  // Decoded, without "." and ".."; an encoded '/' stays "%2F". "*" of a request for the server as a whole.
  [[nodiscard]] std::string_view path() const noexcept { return path_; }
  // "HOST" or "HOST:PORT" that the request is for: of a target in absolute form, else of Host; empty when neither is.
  [[nodiscard]] std::string_view host() const noexcept { return host_; }
  [[nodiscard]] std::string& body() noexcept { return body_; }  // the whole
  [[nodiscard]] const http1::Head& head() const noexcept { return head_; }
  [[nodiscard]] const Endpoint& peer() const noexcept { return peer_; }
  // The first header field of that name, whatever its case; empty when there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept { return head_.find(name).value_or(""); }
  // What stands at {name} in the route's pattern; the first ?name=value of the target. Empty when there is none.
  [[nodiscard]] std::string_view parameter(std::string_view name) const noexcept;
  [[nodiscard]] std::string_view query(std::string_view name) const noexcept;

 private:
  friend class App;
  // A segment of a pattern that stands for any one: {name}.
  static bool is_parameter(std::string_view segment) noexcept {
    return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
  }

  const http1::Head& head_;
  std::string& body_;
  Endpoint peer_;
  std::string_view host_;
  std::string_view path_;  // of the target as it came, or decoded_
  // Where segments end, and their values: path_ as well, unless it has encoded slashes.
  std::string_view segments_;
  std::string_view values_;
  std::string decoded_;
  std::unique_ptr<std::array<std::string, 2>> with_slashes_;
  Pairs query_;
  std::span<const std::string> pattern_;  // the segments of the route's
};

struct Response {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
  // Instead of `body`, bytes that outlive the connection: a page that is part of the program.
  std::string_view lasting = {};
  // A literal, or what else outlives the connection. Empty: there is none, or it is among the headers.
  std::string_view content_type = {};

  static constexpr std::string_view text_type = "text/plain; charset=utf-8";
  static constexpr std::string_view html_type = "text/html; charset=utf-8";
  static constexpr std::string_view json_type = "application/json";
  static Response text(std::string body, int status = 200) {
    return {.status = status, .body = std::move(body), .content_type = text_type};
  }
  static Response html(std::string body, int status = 200) {
    return {.status = status, .body = std::move(body), .content_type = html_type};
  }
  static Response json(std::string body, int status = 200) {
    return {.status = status, .body = std::move(body), .content_type = json_type};
  }
  Response& header(std::string name, std::string value) &;
  Response&& header(std::string name, std::string value) && {
    return std::move(this->header(std::move(name), std::move(value)));
  }
};

}  // namespace coax::http
