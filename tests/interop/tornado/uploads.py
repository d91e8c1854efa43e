# uploads.py PORT FOLDER: uploads into a folder, a list of its files, and their download, as examples/web_uploads.cpp.
import asyncio
import json
import os
import sys
import tempfile

import tornado.web

BYTES_MAX = 1 << 30

PAGE = """<!doctype html>
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
"""

STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: auto; padding: 0 1rem; overflow-wrap: anywhere }
label { display: block; padding: 1.5rem 1rem; border: 2px dashed #8888; border-radius: .5rem }
input { display: block; max-width: 100%; margin-top: .5rem; font: inherit }
ul { padding: 0; list-style: none }
li { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: center; padding: .5rem 0 }
li { border-bottom: 1px solid #8883 }
li > :first-child { flex: 1 1 14rem }
progress { width: 8rem }
"""

SCRIPT = """
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
"""


class AssetHandler(tornado.web.RequestHandler):
    def initialize(self, content_type, content):
        self.content_type, self.content = content_type, content

    def get(self):
        self.set_header("Content-Type", self.content_type)
        self.write(self.content)


class MainHandler(tornado.web.RequestHandler):
    def get(self):
        self.write(PAGE)


class ListHandler(tornado.web.RequestHandler):
    def initialize(self, folder):
        self.folder = folder

    def get(self):
        files = [entry for entry in os.scandir(self.folder) if entry.is_file() and not entry.name.startswith(".")]
        files.sort(key=lambda entry: entry.name)
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps([{"name": entry.name, "size": entry.stat().st_size} for entry in files]))


@tornado.web.stream_request_body
class FileHandler(tornado.web.StaticFileHandler):
    file = None

    def set_extra_headers(self, path):
        self.set_header("Content-Disposition", "attachment")

    def prepare(self):
        if self.request.method == "PUT":
            name = self.path_args[0]
            if "/" in name or name.startswith(".") or not name.isprintable() or not 1 <= len(name.encode()) <= 255:
                raise tornado.web.HTTPError(422)
            if int(self.request.headers.get("Content-Length", 0)) > BYTES_MAX:
                raise tornado.web.HTTPError(413)
            self.request.connection.set_max_body_size(BYTES_MAX)
            self.file = tempfile.NamedTemporaryFile(dir=self.root, prefix=".upload-")

    async def data_received(self, chunk):
        await asyncio.to_thread(self.file.write, chunk)

    async def put(self, name):
        try:
            await asyncio.to_thread(self.store, os.path.join(self.root, name))
        except FileExistsError:
            raise tornado.web.HTTPError(409)
        self.set_status(201)

    def store(self, path):
        self.file.flush()
        os.fsync(self.file.fileno())
        os.link(self.file.name, path)

    def on_finish(self):
        if self.file:
            self.file.close()

    on_connection_close = on_finish


async def main():
    folder = sys.argv[2]
    app = tornado.web.Application([
        (r"/", MainHandler),
        (r"/style.css", AssetHandler, {"content_type": "text/css", "content": STYLE}),
        (r"/page.js", AssetHandler, {"content_type": "text/javascript", "content": SCRIPT}),
        (r"/files/", ListHandler, {"folder": folder}),
        (r"/files/(.+)", FileHandler, {"path": folder}),
    ])
    app.listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
