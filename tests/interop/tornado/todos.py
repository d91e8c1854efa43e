# todos.py PORT: a JSON API of todos, as examples/web_todos.cpp.
import asyncio
import itertools
import json
import sys

import tornado.web

todos = {}
ids = itertools.count(1)


class Handler(tornado.web.RequestHandler):
    def find(self, id):
        if int(id) not in todos:
            raise tornado.web.HTTPError(404, reason="there is no such todo")
        return todos[int(id)]

    def read(self):
        if self.request.headers.get("Content-Type", "").partition(";")[0] != "application/json":
            raise tornado.web.HTTPError(415)
        try:
            given = json.loads(self.request.body)
        except ValueError:
            raise tornado.web.HTTPError(400)
        if not isinstance(given, dict):
            self.refuse({"": "must be an object"})
        errors = {}
        title, done = given.get("title"), given.get("done", False)
        if not isinstance(title, str):
            errors["title"] = "must be a string"
        elif not 1 <= len(title) <= 200:
            errors["title"] = "must have 1 to 200 characters"
        if not isinstance(done, bool):
            errors["done"] = "must be true or false"
        if errors:
            self.refuse(errors)
        return {"title": title, "done": done}

    def refuse(self, errors):
        self.set_status(422)
        self.write({"errors": [{"field": field, "message": message} for field, message in errors.items()]})
        raise tornado.web.Finish()


class TodosHandler(Handler):
    def get(self):
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps(list(todos.values())))

    def post(self):
        given = self.read()
        id = next(ids)
        todos[id] = {"id": id} | given
        self.set_status(201)
        self.set_header("Location", f"/todos/{id}")
        self.write(todos[id])


class TodoHandler(Handler):
    def get(self, id):
        self.write(self.find(id))

    def put(self, id):
        todo = self.find(id)
        todo.update(self.read())
        self.write(todo)

    def delete(self, id):
        todos.pop(self.find(id)["id"])
        self.set_status(204)


async def main():
    app = tornado.web.Application([(r"/todos", TodosHandler), (r"/todos/([0-9]+)", TodoHandler)])
    app.listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
