// http_file PORT FILE [HOST]: GET / answers with the file.
#include "coax/coax.hpp"

using coax::http::Request;
using coax::http::Response;

coax::Task<> serve(const coax::Arguments& words) {
  coax::http::App app;
  app.get("/", [path = std::string(words["FILE"])](Request&) -> coax::Task<Response> {
    const coax::File file = co_await coax::File::open(path);
    co_return Response{.body = coax::FileRange(file), .content_type = "application/octet-stream"};
  });
  return coax::serve({.listen = words.address()}, coax::http::handler(std::move(app)));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT FILE [HOST]", serve); }
