// A client of the hub, without dependencies, for pages and for node: version 2 of the JSON protocol
// (docs/protocols.md). It connects again by itself, enters its rooms again, fetches what it has missed, and sends again
// what was not acknowledged: no message is lost, and none comes twice.
//
//   const hub = new HubClient({ url: 'ws://127.0.0.1:8080/ws', on: { heard: (event) => console.log(event) } });
//   hub.take('alice');
//   hub.enter('dev');
//   hub.send('dev', 'hello');

const times = {
  welcomeWithin: 8_000, // open and be let in
  ackWithin: 15_000, // a message is acknowledged, or the connection counts as dead
  retryFirst: 500, // back-off: doubles up to the last, half of it random
  retryLast: 15_000,
  steadyAfter: 5_000, // a connection that held this long starts the back-off anew
  ghostFor: 45_000, // a hub without tokens lets a silent connection go after 30 s; until then our nickname is taken
};
const pageSize = 200;

export const lobby = 'lobby';
export const closeCode = { shutdown: 1001, policy: 1008 };
/** Trying again would end the same way. */
export const finalCloseCodes = new Set([1002, 1003, 1007, closeCode.policy, 1009]);

/** A secret, or an id: 128 random bits. */
export function randomName() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

// last: the number of the last event; held: those that arrive while earlier ones are read.
const newRoom = () => ({ last: null, held: null, epoch: undefined });

/**
 * One person, in the lobby and other rooms, kept across broken connections. `token`: the secret that makes the next
 * connection the same person; `socket`: the class WebSocket, unless it is global. It calls on the object `on`, where
 * it has such a function:
 * - welcomed(welcome, again): in a room; `again` after a reconnection. Then entered(users), with the topic
 * - heard(event): events of rooms in their order, each once, missed ones included; direct messages
 * - missed({ room, why }): what happened while away is 'gone' (not kept any more), or the hub has 'restarted' empty
 * - acknowledged(message), rejected(error, message): of send()
 * - waiting({ why, delay }) before each new try, trying()
 * - refused(error) when the nickname cannot be had, failed(error) for other errors
 * - ended({ code, reason, wasJoined }) when it will not try again by itself
 */
export class HubClient {
  #url; #on; #token; #Socket; #socket = null; #timer = 0; #nick = '';
  #joined = false; #known = false; #joinedAt = 0; #lostAt = 0; #tries = 0;
  #rooms = new Map(); #open = new Map(); #waiting = new Map();
  #lastRef = 0; #lastId = 0; #prefix = randomName().slice(0, 8);
  #ackTimer = 0;

  constructor({ url, on = {}, token = randomName(), socket = globalThis.WebSocket }) {
    [this.#url, this.#on, this.#token, this.#Socket] = [url, on, token, socket];
  }

  get joined() { return this.#joined; }
  get nick() { return this.#nick; }
  get waiting() { return this.#timer !== 0 && this.#socket === null; }
  /** The rooms that it is in, or enters as soon as it is connected. */
  get rooms() { return [...this.#rooms.keys()]; }
  /** Messages without an acknowledgement, in their order. */
  get unconfirmed() { return [...this.#open.values()]; }

  /** Joins under this nickname. */
  take(nick) { this.#begin(nick, false); }
  /** take(), for a nickname that a connection of ours had a moment ago: while that is a ghost, it tries again. */
  takeAgain(nick) { this.#begin(nick, true); }

  /** Disconnects, and forgets all rooms but for what they are called. */
  leave() {
    this.#drop();
    for (const room of this.#rooms.values()) Object.assign(room, newRoom());
  }

  /** Into another room, now or once connected. */
  enter(room) {
    if (this.#rooms.has(room)) return;
    this.#rooms.set(room, newRoom());
    if (this.#joined) this.#join(room);
  }

  exit(room) {
    if (room === lobby || !this.#rooms.delete(room)) return;
    if (this.#joined) this.ask('leave', { room }).catch(() => {});
  }

  /** Returns: the message, { id, room, text }; acknowledged() or rejected() is called with it. */
  send(room, text) {
    const message = { id: `${this.#prefix}-${++this.#lastId}`, room, text };
    this.#open.set(message.id, message);
    if (this.#joined) this.#say(message);
    return message;
  }
  /** It is not sent again. */
  forget(message) { this.#open.delete(message.id); }

  /** Another request. Returns: a promise of the answer; it rejects with the error, or without a connection. */
  ask(type, members = {}) {
    if (!this.#joined) return Promise.reject(new Error('not connected'));
    const ref = ++this.#lastRef;
    this.#post({ type, ref, ...this.#named(members) });
    return new Promise((resolve, reject) => this.#waiting.set(ref, { resolve, reject }));
  }

  /** All kept events of a room, the oldest first: an async iterator. It throws as ask() does. */
  async* history(room) {
    for (let page = { until: 0, more: true }; page.more;) {
      page = await this.ask('history', { room, after: page.until, limit: pageSize });
      yield* page.events;
    }
  }

  tryNow() { if (this.waiting) this.#connect(); }

  #begin(nick, known) {
    this.leave();
    this.#nick = nick;
    this.#known = known;
    this.#lostAt = Date.now();
    this.#tries = 0;
    if (!this.#rooms.has(lobby)) this.#rooms = new Map([[lobby, newRoom()], ...this.#rooms]);
    this.#connect();
  }

  #tell(what, ...details) { this.#on[what]?.(...details); }
  #post(message) { this.#socket.send(JSON.stringify(message)); }
  #named({ room = lobby, ...rest }) { return room === lobby ? rest : { room, ...rest }; }

  #connect() {
    this.#drop();
    this.#tell('trying');
    const socket = new this.#Socket(this.#url);
    const current = (act) => (event) => { if (socket === this.#socket) act(event); };
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#broken(0, ''), times.welcomeWithin);
    socket.onopen = current(() => this.#post({ type: 'join', nick: this.#nick, version: 2, token: this.#token }));
    socket.onmessage = current(({ data }) => this.#hear(data));
    socket.onclose = current(({ code, reason }) => this.#broken(code, reason));
  }

  #drop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#ackTimer);
    this.#timer = 0;
    this.#joined = false;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
    for (const { reject } of this.#waiting.values()) reject(new Error('the connection ended'));
    this.#waiting.clear();
  }

  #hear(data) {
    let event;
    try { event = JSON.parse(data); } catch { return; }
    if (event === null || typeof event !== 'object') return;
    if (event.type === 'welcome') this.#welcome(event);
    else if (this.#waiting.has(event.ref)) this.#answer(event);
    else if (event.type === 'ack') this.#acknowledge(event);
    else if (event.type === 'error') this.#error(event);
    else if (event.type === 'direct') this.#tell('heard', event);
    else if (event.type === 'users') this.#entered(event);
    else if (Number.isInteger(event.seq)) this.#take(event);
  }

  #answer(event) {
    const { resolve, reject } = this.#waiting.get(event.ref);
    this.#waiting.delete(event.ref);
    if (event.type === 'error') reject(Object.assign(new Error(event.message), event));
    else resolve(event);
  }

  #error(error) {
    if (!this.#joined) {
      if (error.code?.startsWith('nick_')) this.#nickRefused(error); // else the hub closes, and says why
      return;
    }
    const message = this.#open.get(error.id);
    if (!message) return this.#tell('failed', error);
    this.#open.delete(message.id);
    this.#watch();
    this.#tell('rejected', error, message);
  }

  #acknowledge({ id }) {
    const message = this.#open.get(id);
    if (!message) return;
    this.#open.delete(id);
    this.#watch();
    this.#tell('acknowledged', message);
  }

  // In a room. The first welcome is the lobby's: then the others are entered, and the open messages sent again.
  #welcome(welcome) {
    const name = welcome.room;
    if (!this.#rooms.has(name)) this.#rooms.set(name, newRoom());
    const room = this.#rooms.get(name);
    const again = room.last !== null;
    if (!this.#joined) {
      clearTimeout(this.#timer);
      this.#timer = 0;
      this.#joined = true;
      this.#known = true;
      this.#joinedAt = Date.now();
      this.#nick = welcome.nick;
    }
    this.#tell('welcomed', welcome, again);
    if (again) this.#catchUp(name, room, welcome.seq);
    else room.last = welcome.seq;
    if (name !== lobby) return this.#sayAgain(name);
    for (const other of this.#rooms.keys()) if (other !== lobby) this.#join(other);
    this.#sayAgain(lobby);
  }

  #join(room) {
    this.ask('join', { room }).then((users) => this.#entered(users), (error) => {
      if (error.code === undefined) return; // the connection ended
      this.#rooms.delete(room);
      this.#tell('failed', { ...error, message: error.message });
    });
  }

  #entered(users) {
    const room = this.#rooms.get(users.room ?? lobby);
    if (room) room.epoch ??= users.epoch;
    this.#tell('entered', users);
  }

  // The events of the time without a connection, in pages; those that arrive meanwhile are held back.
  async #catchUp(name, room, newest) {
    room.held = [];
    const held = room.held;
    try {
      let first = true;
      for (;;) {
        const page = await this.ask('history', { room: name, after: room.last, limit: pageSize });
        const isOther = page.epoch !== (room.epoch ?? page.epoch) || page.last < room.last; // the numbers began again
        if (first && isOther) {
          room.epoch = page.epoch;
          room.last = 0;
          first = false;
          this.#tell('missed', { room: name, why: 'restarted' });
          continue;
        }
        if (first && page.first > room.last + 1 && page.more) this.#tell('missed', { room: name, why: 'gone' });
        first = false;
        for (const event of page.events) this.#pass(room, event);
        if (!page.more) break;
        room.last = Math.max(room.last, page.until); // the last events of the page may be deleted
      }
    } catch { return; } // the connection ended: the next one begins here again
    if (room.held !== held) return;
    room.held = null;
    room.last = Math.max(room.last, newest);
    for (const event of held) this.#pass(room, event);
  }

  #take(event) {
    const room = this.#rooms.get(event.room ?? lobby);
    if (!room) return;
    if (event.type === 'renamed' && event.nick === this.#nick) this.#nick = event.to;
    if (room.held) room.held.push(event);
    else this.#pass(room, event);
  }

  #pass(room, event) {
    if (event.seq <= room.last) return;
    room.last = event.seq;
    if (event.id !== undefined) this.#acknowledge(event); // its ack was lost with a connection
    this.#tell('heard', event);
  }

  #say({ room, text, id }) {
    this.#post({ type: 'message', ...this.#named({ room }), text, id });
    this.#watch();
  }
  #sayAgain(room) {
    for (const message of this.#open.values()) if (message.room === room) this.#say(message);
  }

  #watch() {
    clearTimeout(this.#ackTimer);
    if (this.#open.size) this.#ackTimer = setTimeout(() => this.#broken(0, ''), times.ackWithin);
  }

  // Each try has a connection of its own: the hub closes after a second refusal.
  #nickRefused(error) {
    this.#drop();
    const ghost = this.#known && error.code === 'nick_taken' && Date.now() - this.#lostAt < times.ghostFor;
    if (ghost) this.#again('held');
    else this.#tell('refused', error);
  }

  #broken(code, reason) {
    const wasJoined = this.#joined;
    this.#drop();
    if (wasJoined) {
      this.#lostAt = Date.now();
      if (this.#lostAt - this.#joinedAt > times.steadyAfter) this.#tries = 0;
    }
    if (this.#known && !finalCloseCodes.has(code)) this.#again(code === closeCode.shutdown ? 'shutdown' : 'lost');
    else this.#tell('ended', { code, reason, wasJoined: this.#known });
  }

  #again(why) {
    const longest = Math.min(times.retryLast, times.retryFirst * 2 ** this.#tries++);
    const delay = longest * (0.5 + Math.random() / 2);
    this.#timer = setTimeout(() => this.#connect(), delay);
    this.#tell('waiting', { why, delay });
  }
}
