// ws_room.mjs PORT: what anybody in /room says goes to all there; anywhere else it is an echo server. On node, with the
// library ws, from where Debian puts it. It compresses for clients that offer it.
import { createRequire } from "node:module";

const { WebSocketServer } = createRequire(import.meta.url)("/usr/share/nodejs/ws");

const room = new Set();
const port = Number(process.argv[2]);
const server = new WebSocketServer({ port, host: "127.0.0.1", backlog: 4096, perMessageDeflate: true });
server.on("connection", (socket, request) => {
  const member = request.url === "/room";
  if (member) room.add(socket);
  socket.on("close", () => room.delete(socket));
  socket.on("message", (message, isBinary) => {
    for (const each of member ? room : [socket]) each.send(message, { binary: isBinary });
  });
});
