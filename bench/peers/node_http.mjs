// node_http.mjs PORT [CERT KEY]: the HTTP server that a JavaScript programmer writes: /json, and a greeting for all
// else; over TLS when it has a certificate.
import { readFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";

const [port, cert, key] = process.argv.slice(2);

function answer(request, response) {
  const isJson = request.url === "/json";
  const body = isJson
    ? JSON.stringify({ id: 7, title: "Write the report", done: false, tags: ["work", "today"] })
    : "Hello world!";
  const type = isJson ? "application/json" : "text/plain; charset=utf-8";
  response.writeHead(200, { "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}

const server = cert
  ? https.createServer({ cert: readFileSync(cert), key: readFileSync(key) }, answer)
  : http.createServer(answer);
server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
