// The page of the hub. Log (log.js), Rooms (rooms.js), Find (find.js), People, Outbox and LinkStatus each own one part
// of it; the rest wires them to the hub (coax_client.js). Text of peers reaches the page through format.js only.

import { HubClient, closeCode, finalCloseCodes, lobby, randomName } from './coax_client.js';
import { Find } from './find.js';
import { byteCount, element, plural, rings, sentence, singleLine } from './format.js';
import { Log, topicWords } from './log.js';
import { Rooms } from './rooms.js';

const limits = {
  nickCharacters: 32,
  textBytes: 4096,
  counterFromBytes: 3600, // from here on the counter shows
};

const byId = (id) => document.getElementById(id);

/** Storage that a browser may forbid: then nothing is remembered, and nothing breaks. */
const memory = {
  get nick() { try { return localStorage.getItem('coax.nick') ?? ''; } catch { return ''; } },
  set nick(nick) { try { localStorage.setItem('coax.nick', nick); } catch { /* not remembered */ } },
  /** Of this tab, while it is in the room: a reload joins again. Empty: it is not. */
  get joined() { try { return sessionStorage.getItem('coax.joined') ?? ''; } catch { return ''; } },
  set joined(nick) { try { sessionStorage.setItem('coax.joined', nick); } catch { /* not remembered */ } },
  get rooms() { try { return JSON.parse(localStorage.getItem('coax.rooms') ?? '[]'); } catch { return []; } },
  set rooms(names) {
    try { localStorage.setItem('coax.rooms', JSON.stringify(names)); } catch { /* not remembered */ }
  },
  /** The secret that makes us the same person on every connection of this tab. */
  get token() {
    try {
      if (!sessionStorage.getItem('coax.token')) sessionStorage.setItem('coax.token', randomName());
      return sessionStorage.getItem('coax.token');
    } catch { return randomName(); }
  },
};

// ----------------------------------------------------------------------------------------------------- the lists

/** Who is here, ourselves first. */
class People {
  #list = byId('people-list'); #items = new Map(); #me = '';
  #order = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

  reset(nicks, me) {
    this.#me = me;
    this.#items.clear();
    const sorted = [...new Set(nicks)].sort((a, b) => this.#compare(a, b));
    this.#list.replaceChildren(...sorted.map((nick) => this.#item(nick)));
    this.#count();
  }

  add(nick) {
    if (this.#items.has(nick)) return;
    const { children } = this.#list; // sorted
    let [low, high] = [0, children.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#compare(nick, children[middle].dataset.nick) < 0) high = middle;
      else low = middle + 1;
    }
    this.#list.insertBefore(this.#item(nick), children[low] ?? null);
    this.#count();
  }

  remove(nick) {
    this.#items.get(nick)?.remove();
    this.#items.delete(nick);
    this.#count();
  }

  #compare(a, b) {
    return (b === this.#me) - (a === this.#me) || this.#order.compare(a, b) || (a < b ? -1 : 1);
  }

  #item(nick) {
    const made = element('li', '', rings(nick), element('bdi', '', nick));
    made.dataset.nick = nick;
    if (nick === this.#me) made.append(element('span', 'you', 'you'));
    this.#items.set(nick, made);
    return made;
  }

  #count() {
    for (const shown of document.querySelectorAll('.count')) shown.textContent = this.#items.size;
  }
}

/** What we sent and the hub has not confirmed, in order, and what it refused: to send again or to remove. */
class Outbox {
  #list = byId('outbox'); #lines = new Map(); #sendAgain;

  constructor({ sendAgain }) { this.#sendAgain = sendAgain; }

  sent(message) {
    const line = element('li', 'message own', element('p', 'text', message.text), element('p', 'fate', 'Sending…'));
    this.#lines.set(message.id, { message, line });
    this.#list.append(line);
    this.#show();
  }

  confirmed(message) {
    this.#lines.get(message.id)?.line.remove();
    this.#lines.delete(message.id);
  }

  failed(message, why) {
    const { line } = this.#lines.get(message.id) ?? {};
    if (!line) return;
    const again = element('button', 'small', 'Send again');
    again.addEventListener('click', () => { if (this.#sendAgain(message)) this.confirmed(message); });
    const remove = element('button', 'small quiet', 'Remove');
    remove.addEventListener('click', () => { this.confirmed(message); byId('text').focus(); });
    for (const button of [again, remove]) button.type = 'button';
    line.classList.add('failed');
    line.lastElementChild.replaceChildren(element('span', '', why), ' ', again, ' ', remove);
  }

  /** Those of other rooms are hidden. */
  show(room) {
    this.#room = room;
    this.#show();
  }
  #room = lobby;
  #show() {
    for (const { message, line } of this.#lines.values()) line.hidden = message.room !== this.#room;
  }
}

// -------------------------------------------------------------------------------------------------- the status line

/** Says in words how the connection is; the count-down beside it is for the eye only. */
class LinkStatus {
  #text = byId('status'); #countdown = byId('countdown'); #action = byId('link-action'); #rename = byId('rename');
  #ticker = 0;

  constructor(onRename) { this.#rename.addEventListener('click', onRename); }

  /** state: 'up', 'trying' or 'down'. action: { label, run }. */
  show(state, text, { retryIn, action, rename = false } = {}) {
    document.body.dataset.link = state;
    if (this.#text.textContent !== text) this.#text.textContent = text; // shown once, not at every try
    byId('send').ariaDisabled = String(state !== 'up');
    if (!action && [this.#action, this.#rename].includes(document.activeElement)) composer.input.focus();
    this.#action.hidden = !action;
    if (action) this.#action.textContent = action.label;
    this.#action.onclick = action?.run ?? null;
    this.#rename.hidden = !rename;
    this.#count(retryIn);
  }

  trying() {
    clearInterval(this.#ticker);
    this.#countdown.textContent = 'Trying now…';
  }

  #count(retryIn) {
    clearInterval(this.#ticker);
    this.#countdown.textContent = '';
    if (retryIn === undefined) return;
    const until = Date.now() + retryIn;
    const tick = () => {
      const seconds = Math.max(1, Math.ceil((until - Date.now()) / 1000));
      this.#countdown.textContent = `Next try in ${seconds} s.`;
    };
    tick();
    this.#ticker = setInterval(tick, 1000);
  }
}

// ------------------------------------------------------------------------------------------------------- the wiring

const people = new People();
const log = new Log();
const composer = {
  form: byId('composer'), input: byId('text'), button: byId('send'), error: byId('text-error'),
  counter: byId('counter'),
};
const joining = {
  form: byId('join-form'), input: byId('nick'), error: byId('nick-error'), button: byId('join-button'),
};
let me = '';
let room = lobby; // the one that is shown
let editing = null; // the message whose text is in the composer: { where, seq, text }
const present = new Map(); // room -> the nicknames in it

const tryNow = { label: 'Try now', run: () => hub.tryNow() };
const joinAgain = { label: 'Join again', run: () => hub.take(me) };
const link = new LinkStatus(() => showJoin());
const outbox = new Outbox({ sendAgain: (message) => send(message.text, message.room) });
const rooms = new Rooms({
  show: showRoom,
  enter(name) {
    hub.enter(name);
    if (hub.joined) textError('');
  },
  exit(name) {
    hub.exit(name);
    forgetRoom(name);
  },
  list: async () => (await hub.ask('rooms')).rooms,
});

const find = new Find({
  search: async (words) => (await hub.ask('search', { room, words, limit: 100 })).events,
  all: () => hub.history(room),
  room: () => room,
});

const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
const hub = new HubClient({
  url: `${scheme}//${location.host}/ws`,
  token: memory.token,
  on: {
    welcomed(welcome, again) {
      present.set(welcome.room, new Set(welcome.users));
      if (welcome.room === lobby) {
        me = welcome.nick;
        memory.nick = me;
        memory.joined = me;
        link.show('up', `Connected as ${me}.`);
        textError('');
        if (byId('chat').hidden) showChat();
      }
      if (again) log.note(welcome.room, 'You are back.');
      else fetchHistory(welcome.room, welcome.seq + 1);
      rooms.entered(welcome.room);
      remember();
      showPeople(welcome.room);
      if (welcome.room !== lobby && rooms.isExpected(welcome.room)) showRoom(welcome.room);
    },

    entered({ room: where = lobby, topic }) { rooms.topic(where, topic); },

    heard(event) {
      const where = event.room ?? lobby;
      const here = present.get(where);
      if (event.type === 'message') {
        log.message(where, event, event.nick === me);
        if (where !== room || document.hidden) rooms.unread(where, event.nick !== me && isMention(event.text));
      } else if (event.type === 'joined') {
        here?.add(event.nick);
        if (where === room) people.add(event.nick);
        log.presence(where, event, 'joined');
      } else if (event.type === 'left') {
        here?.delete(event.nick);
        if (where === room) people.remove(event.nick);
        log.presence(where, event, 'left');
      } else if (event.type === 'renamed') {
        here?.delete(event.nick);
        here?.add(event.to);
        if (event.nick === me) renamed(event.to);
        showPeople(where);
        log.presence(where, event, `is now ${event.to}`);
      } else if (event.type === 'topic') {
        rooms.topic(where, event.text);
        log.presence(where, event, topicWords(event));
      } else if (event.type === 'edited') {
        log.edited(where, event.target, event.text);
      } else if (event.type === 'deleted') {
        log.deleted(where, event.target);
      } else if (event.type === 'direct') {
        log.direct(room, event, event.nick === me);
      }
    },

    missed({ room: where, why }) {
      log.note(where, why === 'restarted'
        ? 'You are back. The hub was restarted; you may have missed messages while away.'
        : 'Some messages of the time while you were away are not kept any more.');
    },

    acknowledged(message) { outbox.confirmed(message); },

    rejected(error, message) { outbox.failed(message, inWords(error)); },

    failed(error) {
      textError(inWords(error));
      if (error.room) forgetRoom(error.room);
    },

    waiting({ why, delay }) {
      const text = {
        lost: 'Connection lost. Reconnecting.',
        shutdown: 'The hub is shutting down. Reconnecting when it is back.',
        held: `“${me}” is still taken, probably by your lost connection. Trying again.`,
      }[why];
      if (byId('chat').hidden) joining.error.textContent = text;
      link.show('trying', text, { retryIn: delay, action: tryNow, rename: why === 'held' });
    },

    trying() { link.trying(); },

    refused({ code }) { showJoin(wording[code]); },

    ended({ code, reason, wasJoined }) {
      const why = endWording(code, reason);
      if (!wasJoined || byId('chat').hidden) showJoin(why);
      else link.show('down', why + whatWasLost(), { action: joinAgain, rename: true });
    },
  },
});

const inWords = (error) => wording[error.code] ?? `The hub says: ${sentence(error.message || error.code)}`;

/** Our nickname in a message of somebody else, as a word. */
function isMention(text) {
  const at = text.toLowerCase().indexOf(me.toLowerCase());
  if (at < 0) return false;
  const isLetter = (character) => /[\p{L}\p{N}_]/u.test(character ?? '');
  return !isLetter(text[at - 1]) && !isLetter(text[at + me.length]);
}

function renamed(nick) {
  me = nick;
  memory.nick = nick;
  memory.joined = nick;
  link.show('up', `Connected as ${me}.`);
}

function remember() { memory.rooms = hub.rooms.filter((name) => name !== lobby); }

function showPeople(where) {
  if (where === room) people.reset([...(present.get(room) ?? [])], me);
}

function showRoom(name) {
  if (!hub.rooms.includes(name)) return;
  room = name;
  byId('room').textContent = name;
  rooms.show(name);
  log.show(name);
  outbox.show(name);
  find.clear();
  if (editing) startEditing(null);
  showPeople(name);
  textError('');
  composer.input.focus();
}

function forgetRoom(name) {
  hub.exit(name);
  rooms.left(name);
  log.forget(name);
  present.delete(name);
  remember();
  if (room === name) showRoom(lobby);
}

/** The page of messages before a number, put before those that are there. */
async function fetchHistory(where, before) {
  try {
    const { events, first } = await hub.ask('history', { room: where, before, limit: 50 });
    log.earlier(where, events, (nick) => nick === me, events.length > 0 && events[0].seq > first);
    for (const { type, text } of events) if (type === 'topic') rooms.topic(where, text);
  } catch { /* the connection ended: the next one begins anew */ }
}
log.wantsEarlier = fetchHistory;
log.wantsChange = change;

const wording = {
  nick_taken: 'Somebody here has this nickname already, or one that looks like it. Choose another.',
  nick_invalid: 'The hub does not take this nickname: 1 to 32 visible characters, no colon.',
  text_invalid: 'Not sent: it contains characters that the hub does not take.',
  text_too_long: `Not sent: longer than ${limits.textBytes} bytes.`,
  not_joined: 'Not sent: the hub does not know you yet.',
  not_in_room: 'Not sent: you are not in that room.',
  not_stored: 'Not sent: the hub could not store it. Try again later.',
  room_invalid: 'A room is named with letters, digits, - and _, without blanks.',
  no_message: 'This message does not exist any more.',
  not_yours: 'Only its author may change a message; this one is from another browser or program.',
  bad_message: 'Not sent: the hub did not understand this page. Reload it.',
};

function endWording(code, reason) {
  if (finalCloseCodes.has(code)) {
    const unsaid = code === closeCode.policy ? 'it gave no reason' : `protocol error ${code}`;
    return `The hub closed the connection: ${sentence(reason || unsaid)}`;
  }
  if (code === closeCode.shutdown) return 'The hub is shutting down. Try again in a moment.';
  return `The hub at ${location.host} does not answer. Is it running?`;
}

function whatWasLost() {
  const open = hub.unconfirmed;
  for (const message of open) {
    hub.forget(message);
    outbox.failed(message, 'Probably not delivered.');
  }
  return open.length ? ` ${plural(open.length, 'message')} probably not delivered.` : '';
}

function showJoin(error = '') {
  hub.leave();
  memory.joined = '';
  whatWasLost();
  closePeople();
  byId('chat').hidden = true;
  byId('join').hidden = false;
  document.body.dataset.link = 'none';
  joining.button.textContent = 'Join';
  joining.button.ariaDisabled = 'false';
  nickError(error);
  joining.input.focus();
  joining.input.select();
}

function showChat() {
  byId('join').hidden = true;
  byId('chat').hidden = false;
  nickError('');
  log.toEnd();
  composer.input.focus();
}

function nickError(text) {
  joining.error.textContent = text;
  joining.input.ariaInvalid = String(Boolean(text));
}

function join(event) {
  event.preventDefault();
  const nick = singleLine(joining.input.value).trim();
  const characters = [...nick].length;
  if (!characters) return showJoin('Choose a nickname first.');
  if (characters > limits.nickCharacters) {
    return showJoin(`That is ${characters} characters; a nickname has at most ${limits.nickCharacters}.`);
  }
  nickError('');
  joining.button.textContent = 'Joining…';
  joining.button.ariaDisabled = 'true';
  enterRemembered();
  hub.take(nick);
}

function enterRemembered() {
  for (const name of memory.rooms) hub.enter(name);
}

/** After a reload: as who we were. The hub may still have our connection from before it, for a moment. */
function rejoin() {
  joining.button.textContent = 'Joining…';
  joining.button.ariaDisabled = 'true';
  enterRemembered();
  hub.takeAgain(memory.joined);
}

/** True if it went out. Otherwise the page says so, and keeps the text. */
function send(text, where = room) {
  if (!hub.joined) {
    textError('Not sent: there is no connection right now. Your text stays here.');
    return false;
  }
  outbox.sent(hub.send(where, text));
  log.toEnd();
  return true;
}

/** What to do with a message of one's own; the hub knows whether it is. */
function change(what, where, seq, text) {
  if (what === 'edit') return startEditing({ where, seq, text });
  if (!confirm('Delete this message for everybody?')) return;
  if (editing?.seq === seq) startEditing(null);
  ask('delete', { room: where, seq });
}

function startEditing(message) {
  editing = message;
  composer.input.value = message?.text ?? '';
  composer.button.textContent = message ? 'Save' : 'Send';
  composer.form.classList.toggle('editing', Boolean(message));
  measureText();
  composer.input.focus();
}

async function ask(type, members) {
  try {
    await hub.ask(type, members);
    return true;
  } catch (error) {
    textError(inWords(error));
    return false;
  }
}

async function saveEdit(text) {
  const message = editing;
  const isSaved = text === message.text || await ask('edit', { room: message.where, seq: message.seq, text });
  if (isSaved && editing === message) startEditing(null);
}

function submitText(event) {
  event.preventDefault();
  const text = singleLine(composer.input.value);
  if (editing && !text.trim()) return change('delete', editing.where, editing.seq);
  if (!text.trim()) return;
  if (byteCount(text) > limits.textBytes) return textError(wording.text_too_long);
  if (editing) return saveEdit(text);
  if (!send(text)) return;
  composer.input.value = '';
  measureText();
  composer.input.focus();
}

function textError(text) {
  composer.error.textContent = text;
}

function measureText() {
  const bytes = byteCount(composer.input.value);
  const left = limits.textBytes - bytes;
  textError('');
  composer.counter.textContent = bytes < limits.counterFromBytes ? ''
    : left >= 0 ? `${plural(left, 'byte')} left` : `${plural(-left, 'byte')} too many`;
  composer.counter.classList.toggle('over', left < 0);
  composer.input.ariaInvalid = String(left < 0);
}

/** Line ends in pasted or dropped text become spaces; a browser by itself would glue the lines together. */
function keepOneLine(event) {
  const text = event.data ?? event.dataTransfer?.getData('text/plain') ?? '';
  const { selectionStart, selectionEnd } = composer.input;
  if (event.inputType !== 'insertFromPaste' && event.inputType !== 'insertFromDrop') return;
  if (singleLine(text) === text) return;
  event.preventDefault();
  composer.input.setRangeText(singleLine(text.trim()), selectionStart, selectionEnd, 'end');
  measureText();
}

function closePeople() {
  byId('people').classList.remove('open');
  byId('people-toggle').ariaExpanded = 'false';
}

function togglePeople() {
  const open = byId('people').classList.toggle('open');
  byId('people-toggle').ariaExpanded = String(open);
}

async function showOtherWays() {
  const host = location.hostname.replace(/^\[|\]$/g, '');
  let port = 12345;
  try {
    const answer = await fetch('/hub.json');
    if (answer.ok) port = Number((await answer.json()).tcp_port) || port;
  } catch { /* an older hub: the usual port */ }
  const ways = {
    nc: `nc ${host} ${port}`,
    terminal: `coax chat ${location.hostname}:${port}`,
    python: `import socket

at = ("${host}", ${port})
room = socket.create_connection(at)
room.recv(4)  # NICK
room.sendall(b"snake\\n")
room.sendall(b"hello\\n")
for line in room.makefile():
    print(line, end="")`,
  };
  for (const place of document.querySelectorAll('div.ways')) {
    place.replaceChildren(byId('ways').content.cloneNode(true));
    for (const [way, text] of Object.entries(ways)) place.querySelector(`[data-way=${way}]`).textContent = text;
  }
}

joining.form.addEventListener('submit', join);
joining.input.addEventListener('input', () => nickError(''));
composer.form.addEventListener('submit', submitText);
composer.input.addEventListener('input', measureText);
composer.input.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && editing) startEditing(null);
  if (event.key !== 'ArrowUp' || editing || composer.input.value) return;
  const last = log.lastOwn();
  if (!last) return;
  event.preventDefault();
  startEditing({ where: room, ...last });
});
composer.input.addEventListener('beforeinput', keepOneLine);
byId('leave').addEventListener('click', () => showJoin());
byId('people-toggle').addEventListener('click', togglePeople);
document.addEventListener('keydown', ({ key }) => {
  if (key !== 'Escape' || !byId('people').classList.contains('open')) return;
  closePeople();
  byId('people-toggle').focus();
});
document.addEventListener('click', ({ target }) => {
  if (!target.closest('#people, #people-toggle')) closePeople();
});
addEventListener('online', () => hub.tryNow());
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  hub.tryNow();
  rooms.show(room);
});

joining.input.value = memory.joined || memory.nick;
if (memory.joined) rejoin();
else joining.input.focus();
showOtherWays();
