// node_http.mjs PORT [HOST]: the HTTP server that a JavaScript programmer writes.
import { createServer } from "node:http";

const [port, host = "127.0.0.1"] = process.argv.slice(2);
createServer((request, response) => {
  response.writeHead(200, { "Content-Type": "text/plain; charset=utf-8", "Content-Length": 12 });
  response.end("Hello world!");
}).listen({ port: Number(port), host, backlog: 4096 });
