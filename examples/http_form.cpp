// http_form PORT [HOST]: a page with a form, and the fields and files that it sends, as JSON.
#include "coax/coax.hpp"

using namespace coax::literals;
using coax::http::BodyReader;
using coax::http::Form;
using coax::http::FormFile;
using coax::http::Request;
using coax::http::Response;
using coax::http::Value;

constexpr std::string_view page = R"(<!doctype html>
<title>A form</title>
<form method="post" action="/upload" enctype="multipart/form-data">
  <p><label>Title <input name="title"></label>
  <p><label>Files <input type="file" name="file" multiple></label>
  <p><button>Send</button>
</form>
)";

coax::Task<Response> upload(Request& request, BodyReader& body) {
  const Form form = co_await coax::http::read_form(request, body);
  Value files = Value::list();
  for (const FormFile& file : form.files()) {
    files.append({{"name", file.filename()}, {"type", file.content_type()}, {"size", file.size()}});
  }
  co_return Response::json(Value{{"title", form.value("title")}, {"files", files}}.to_json() + "\n");
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](const coax::Arguments& words) {
    coax::http::App app;
    app.get("/", [](Request&) { return Response::html(std::string(page)); });
    app.post("/upload", upload, {.body_bytes_max = 10_MiB});
    return coax::serve({.listen = words.address()}, coax::http::handler(std::move(app)));
  });
}
