// http_notes PORT [HOST]: notes over HTTP: POST /api/notes stores one, GET and DELETE /api/notes/{id} return and delete
// it.
#include <map>

#include "coax/coax.hpp"

using namespace coax::literals;
using coax::http::Next;
using coax::http::Request;
using coax::http::Response;

std::map<std::string, std::string, std::less<>> notes;  // one loop, thus one thread: no lock
unsigned last_id = 0;

Response create_note(Request& request) {
  const std::string id = std::to_string(++last_id);
  notes[id] = std::move(request.body());
  return Response::text(id + "\n", 201).header("Location", "/api/notes/" + id);
}

Response find_note(Request& request) {
  const auto note = notes.find(request.parameter("id"));
  if (note == notes.end()) return Response::text("no such note\n", 404);
  return Response::text(note->second);
}

Response delete_note(Request& request) {
  const auto note = notes.find(request.parameter("id"));
  if (note == notes.end()) return Response::text("no such note\n", 404);
  notes.erase(note);
  return {.status = 204};
}

void log_request(const Request& request, std::string_view outcome) {
  coax::log::info("{} {} {}: {}", request.connection().peer_name(), request.method(), request.path(), outcome);
}

coax::Task<Response> log_requests(Request& request, Next next) {
  try {
    Response response = co_await next(request);
    log_request(request, std::to_string(response.status));
    co_return response;
  } catch (const std::exception& error) {
    log_request(request, error.what());  // the server answers 500, or 4xx for a body that cannot be read
    throw;
  }
}

coax::http::App app() {
  coax::http::Router api;
  api.post("/notes", create_note, {.body_bytes_max = 64_KiB});
  api.get("/notes/{id}", find_note);
  api.delete_("/notes/{id}", delete_note);
  coax::http::App app;
  app.use(log_requests);
  app.mount("/api", std::move(api));
  app.get("/", [](Request&) { return Response::html("<h1>Notes</h1>\n"); });
  return app;
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](const coax::Arguments& words) {
    return coax::serve({.listen = words.address()}, coax::http::handler(app()));
  });
}
