// The page's connection to the room: the WebSocket protocol of docs/protocols.md, and coming back when it breaks.

const times = {
  welcomeWithin: 8_000, // open and be let in
  retryFirst: 500, // back-off: doubles up to the last, half of it random
  retryLast: 15_000,
  steadyAfter: 5_000, // a connection that held this long starts the back-off anew
  ghostFor: 45_000, // the hub lets a silent connection go after 30 s; until then our nickname is taken, by us
};

export const closeCode = { shutdown: 1001, policy: 1008 };
/** Trying again would end the same way. */
export const finalCloseCodes = new Set([1002, 1003, 1007, closeCode.policy, 1009]);

/**
 * One membership of the room under one nickname, kept across broken connections. It calls, on the object it was given:
 * welcomed(welcome), heard(event), rejected(error), waiting({ why, delay }) before each new try, trying(),
 * refused(error) when the nickname cannot be had, ended({ code, reason, wasJoined }) when it will not try again by
 * itself.
 */
export class RoomConnection {
  #on; #socket = null; #timer = 0; #nick = '';
  #joined = false; #known = false; #joinedAt = 0; #lostAt = 0; #tries = 0;

  constructor(on) { this.#on = on; }

  get joined() { return this.#joined; }
  get waiting() { return this.#timer !== 0 && this.#socket === null; }

  take(nick) {
    this.leave();
    this.#nick = nick;
    this.#known = false;
    this.#tries = 0;
    this.#open();
  }

  /** take(), for a nickname that a connection of ours had a moment ago: while that is a ghost, it tries again. */
  takeAgain(nick) {
    this.leave();
    this.#nick = nick;
    this.#known = true;
    this.#lostAt = Date.now();
    this.#tries = 0;
    this.#open();
  }

  leave() {
    this.#drop();
  }

  /** Only while joined; the answer is our own message, heard like everybody's. */
  send(text) {
    this.#socket.send(JSON.stringify({ type: 'message', text }));
  }

  tryNow() {
    if (this.waiting) this.#open();
  }

  /** The connection is silent where it should have answered: treat it as broken. */
  giveUpConnection() {
    this.#broken(0, '');
  }

  #open() {
    this.#drop();
    this.#on.trying();
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(`${scheme}//${location.host}/ws`);
    const current = (act) => (event) => { if (socket === this.#socket) act(event); };
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#broken(0, ''), times.welcomeWithin);
    socket.onopen = current(() => socket.send(JSON.stringify({ type: 'join', nick: this.#nick })));
    socket.onmessage = current(({ data }) => this.#hear(data));
    socket.onclose = current(({ code, reason }) => this.#broken(code, reason));
  }

  #drop() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#joined = false;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  #hear(data) {
    let event;
    try { event = JSON.parse(data); } catch { return; }
    if (event?.type === 'welcome') this.#sit(event);
    else if (event?.type !== 'error') this.#on.heard(event);
    else if (event.code === 'nick_taken' || event.code === 'nick_invalid') this.#nickRefused(event);
    else this.#on.rejected(event);
  }

  #sit(welcome) {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#joined = true;
    this.#known = true;
    this.#joinedAt = Date.now();
    this.#nick = welcome.nick;
    this.#on.welcomed(welcome);
  }

  // Each try has a connection of its own: the hub closes after a second refusal.
  #nickRefused(error) {
    this.#drop();
    const ghost = this.#known && error.code === 'nick_taken' && Date.now() - this.#lostAt < times.ghostFor;
    if (ghost) this.#again('held');
    else this.#on.refused(error);
  }

  #broken(code, reason) {
    const wasJoined = this.#joined;
    this.#drop();
    if (wasJoined) {
      this.#lostAt = Date.now();
      if (this.#lostAt - this.#joinedAt > times.steadyAfter) this.#tries = 0;
    }
    if (this.#known && !finalCloseCodes.has(code)) this.#again(code === closeCode.shutdown ? 'shutdown' : 'lost');
    else this.#on.ended({ code, reason, wasJoined: this.#known });
  }

  #again(why) {
    const longest = Math.min(times.retryLast, times.retryFirst * 2 ** this.#tries++);
    const delay = longest * (0.5 + Math.random() / 2);
    this.#timer = setTimeout(() => this.#open(), delay);
    this.#on.waiting({ why, delay });
  }
}
