// web_uploads PORT FOLDER [HOST]: a page that uploads files into a folder and shows the progress, a list of them, and
// their download. No file is ever overwritten.
#include "coax/coax.hpp"

using namespace coax::literals;
namespace http = coax::http;
using http::BodyReader;
using http::Request;
using http::Response;
using http::Value;

constexpr std::string_view page = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Files</title>
<link rel="stylesheet" href="/style.css">
<h1>Files</h1>
<label>Choose files to upload <input type="file" multiple></label>
<ul id="uploads" aria-label="Uploads"></ul>
<h2>In the folder</h2>
<ul id="files" aria-label="Files"><li>None yet</ul>
<script src="/page.js"></script>
)";

constexpr http::MemoryFile style = {.path = "/style.css", .content_type = "text/css; charset=utf-8", .body = R"(
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: auto; padding: 0 1rem; overflow-wrap: anywhere }
label { display: block; padding: 1.5rem 1rem; border: 2px dashed #8888; border-radius: .5rem }
input { display: block; max-width: 100%; margin-top: .5rem; font: inherit }
ul { padding: 0; list-style: none }
li { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: center; padding: .5rem 0 }
li { border-bottom: 1px solid #8883 }
li > :first-child { flex: 1 1 14rem }
progress { width: 8rem }
)"};

constexpr http::MemoryFile script = {.path = "/page.js", .content_type = "text/javascript; charset=utf-8", .body = R"(
function add(list, ...parts) {
  const item = list.appendChild(document.createElement("li"));
  for (const [name, properties] of parts) item.append(Object.assign(document.createElement(name), properties));
  return item.children;
}
const inWords = (size) => size < 1e6 ? `${Math.ceil(size / 1e3)} kB` : `${(size / 1e6).toFixed(1)} MB`;
async function showFiles() {
  const found = await (await fetch("/files/")).json(), list = document.getElementById("files");
  if (found.length) list.textContent = "";
  for (const file of found) {
    add(list, ["a", { href: "/files/" + encodeURIComponent(file.name), textContent: file.name }],
        ["span", { textContent: inWords(file.size) }]);
  }
}
function upload(file) {
  const [, bar, result] = add(document.getElementById("uploads"), ["span", { textContent: file.name }],
                              ["progress", { value: 0, max: file.size || 1 }], ["output", { value: "" }]);
  const request = new XMLHttpRequest();
  request.upload.onprogress = (event) => { bar.value = event.loaded; };
  request.onload = () => {
    result.value = request.status === 201 ? "Done" : request.responseText || request.statusText;
    showFiles();
  };
  request.onerror = () => { result.value = "The connection was lost: choose the file again"; };
  request.open("PUT", "/files/" + encodeURIComponent(file.name));
  request.send(file);
}
document.querySelector("input").onchange = (event) => {
  for (const file of event.target.files) upload(file);
  event.target.value = "";
};
showFiles();
)"};

coax::Task<Response> upload(Request& request, BodyReader& body, const std::string& folder) {
  const std::string name(request.parameter("name"));
  if (!coax::is_plain_file_name(name)) throw http::StatusError(422, "a file cannot have this name");
  std::optional<coax::NewFile> file;  // it has no name until it is complete
  co_await coax::offload([&] { file.emplace(folder); });
  while (const coax::BytesView bytes = co_await body.recv()) {
    co_await coax::offload([&] { file->write(bytes); });
  }
  try {
    co_await coax::offload([&] { file->commit(name); });
  } catch (const coax::Error& error) {
    if (error.code() != std::errc::file_exists) throw;
    throw http::StatusError(409, "there is a file of this name already");
  }
  co_return Response{.status = 201};
}

Response list(const Request&, const std::vector<http::FolderEntry>& entries) {
  Value files = Value::list();
  for (const http::FolderEntry& entry : entries) {
    if (!entry.is_folder) files.append(Value{{"name", entry.name}, {"size", entry.size}});
  }
  return Response::json(files);
}

coax::Task<Response> as_attachment(Request& request, http::Next next) {
  co_return (co_await next(request)).header("Content-Disposition", "attachment");  // never a page of this site
}

coax::Task<> serve(const coax::Arguments& given) {
  const std::string folder(given["FOLDER"]);
  http::Router files = http::folder(folder, {.index = "", .listing = list, .precompressed = false});
  files.use(as_attachment);
  files.put("/{name}", [&](Request& request, BodyReader& body) { return upload(request, body, folder); },
            {.body_bytes_max = 1_GiB});
  http::App app;
  app.use(http::security_headers());
  app.file({.path = "/", .content_type = Response::html_type, .body = page});
  app.file(style);
  app.file(script);
  app.mount("/files", std::move(files));
  co_await coax::serve({.listen = given.address()}, http::handler(std::move(app)));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT FOLDER [HOST]", serve); }
