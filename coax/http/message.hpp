// An HTTP request as a handler sees it, and its response.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coax/address/endpoint.hpp"
#include "coax/codec/http1.hpp"

namespace coax::http {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// Lives until the handler has returned its response.
class Request {
 public:
  Request(const http1::Head& head, std::string& body, const Endpoint& peer) : head_(head), body_(body), peer_(peer) {}

  [[nodiscard]] std::string_view method() const noexcept { return head_.method; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }  // decoded, without "." and ".."
  [[nodiscard]] std::string& body() noexcept { return body_; }              // the whole
  [[nodiscard]] const http1::Head& head() const noexcept { return head_; }
  [[nodiscard]] const Endpoint& peer() const noexcept { return peer_; }
  // The first header field of that name, whatever its case; empty when there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept { return head_.find(name).value_or(""); }
  // What stands at {name} in the route's pattern; the first ?name=value of the target. Empty when there is none.
  [[nodiscard]] std::string_view parameter(std::string_view name) const noexcept { return find(parameters_, name); }
  [[nodiscard]] std::string_view query(std::string_view name) const noexcept { return find(query_, name); }

 private:
  friend class App;
  static std::string_view find(const Pairs& pairs, std::string_view name) noexcept;

  const http1::Head& head_;
  std::string& body_;
  const Endpoint& peer_;
  std::string path_;
  Pairs query_;
  Pairs parameters_;
};

struct Response {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
  // Instead of `body`, bytes that outlive the connection: a page that is part of the program.
  std::string_view lasting = {};

  // Content types: text/plain, text/html, application/json; UTF-8.
  static Response text(std::string body, int status = 200);
  static Response html(std::string body, int status = 200);
  static Response json(std::string body, int status = 200);
  Response& header(std::string name, std::string value) &;
  Response&& header(std::string name, std::string value) && {
    return std::move(this->header(std::move(name), std::move(value)));
  }
};

}  // namespace coax::http
