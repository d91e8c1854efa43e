// node_http.mjs PORT: the HTTP server that a JavaScript programmer writes.
import { createServer } from "node:http";

createServer((request, response) => {
  response.writeHead(200, { "Content-Type": "text/plain; charset=utf-8", "Content-Length": 12 });
  response.end("Hello world!");
}).listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
