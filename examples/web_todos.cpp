// web_todos PORT [HOST]: a JSON API of todos: GET and POST /todos; GET, PUT and DELETE /todos/{id}.
#include <map>

#include "coax/coax.hpp"

namespace http = coax::http;
using http::Request;
using http::Response;

struct Todo {
  int id = 0;
  std::string title;
  bool done = false;
  static constexpr auto members() {
    return std::tuple(http::member("id", &Todo::id).optional(), http::member("title", &Todo::title).length(1, 200),
                      http::member("done", &Todo::done).optional());
  }
};

std::map<std::int64_t, Todo> todos;  // one loop, thus one thread: no lock
int last_id = 0;

Todo& find_todo(Request& request) {
  const auto found = todos.find(request.int_parameter("id"));
  if (found == todos.end()) throw http::StatusError(404, "there is no such todo");
  return found->second;
}

Response list_todos(Request&) {
  std::vector<Todo> all;
  for (const auto& [id, todo] : todos) all.push_back(todo);
  return Response::json(all);
}

Response create_todo(Request& request) {
  Todo todo = http::read_json<Todo>(request);
  todo.id = ++last_id;
  todos[todo.id] = todo;
  return Response::json(todo, 201).header("Location", fmt::format("/todos/{}", todo.id));
}

Response read_todo(Request& request) { return Response::json(find_todo(request)); }

Response change_todo(Request& request) {
  Todo& todo = find_todo(request);
  const int id = todo.id;
  todo = http::read_json<Todo>(request);
  todo.id = id;
  return Response::json(todo);
}

Response delete_todo(Request& request) {
  todos.erase(find_todo(request).id);
  return {.status = 204};
}

coax::Task<> serve(const coax::Arguments& given) {
  http::App app;
  app.get("/todos", list_todos).post("/todos", create_todo);
  app.get("/todos/{id:int}", read_todo).put("/todos/{id:int}", change_todo).delete_("/todos/{id:int}", delete_todo);
  return coax::serve({.listen = given.address()}, http::handler(std::move(app)));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST]", serve); }
