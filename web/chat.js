// The page of the hub. Log, People, Outbox and LinkStatus each own one part of it; the rest wires them to the
// connection to the room (room_connection.js). Text of peers reaches the page through format.js only.

import {
  byteCount, calendar, element, inUtc, moment, nickElement, plural, rings, sentence, singleLine, timeElement, withLinks,
} from './format.js';
import { RoomConnection, closeCode, finalCloseCodes } from './room_connection.js';

const limits = {
  nickCharacters: 32,
  textBytes: 4096,
  counterFromBytes: 3600, // from here on the counter shows
  linesKept: 1000,
};

const times = {
  echoWithin: 15_000, // our own message comes back, or the connection counts as dead
  groupWithin: 5 * 60_000, // one sender's messages share a heading
};

const byId = (id) => document.getElementById(id);

/** Storage that a browser may forbid: then nothing is remembered, and nothing breaks. */
const memory = {
  get nick() { try { return localStorage.getItem('coax.nick') ?? ''; } catch { return ''; } },
  set nick(nick) { try { localStorage.setItem('coax.nick', nick); } catch { /* not remembered */ } },
  /** Of this tab, while it is in the room: a reload joins again. Empty: it is not. */
  get joined() { try { return sessionStorage.getItem('coax.joined') ?? ''; } catch { return ''; } },
  set joined(nick) { try { sessionStorage.setItem('coax.joined', nick); } catch { /* not remembered */ } },
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

/** What happened in the room. It follows the end only while the reader is there, and keeps the last lines only. */
class Log {
  #view = byId('view'); #lines = byId('lines'); #pill = byId('pill');
  #last = null; #atEnd = true; #top = 0; #below = 0; #unread = 0; #frame = 0;

  constructor() {
    this.#view.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.settle()).observe(this.#view);
    this.#pill.addEventListener('click', () => this.toEnd());
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) return;
      this.#unread = 0;
      this.#title();
      this.settle();
    });
  }

  message({ nick, text, time }, own) {
    const when = moment(time);
    this.#day(when);
    const follows = this.#last?.nick === nick && when - this.#last.when < times.groupWithin;
    const body = element('p', 'text', withLinks(text));
    body.dir = 'auto';
    body.title = inUtc(when);
    const head = element('p', 'head', nickElement(nick), ' ', timeElement(when));
    this.#add(element('li', `message${own ? ' own' : ''}${follows ? ' follow' : ''}`, rings(nick), head, body));
    this.#last = { nick, when };
    if (!byId('empty').hidden) this.#atEnd = true;
    byId('empty').hidden = true;
    if (!this.#atEnd) ++this.#below;
    if (document.hidden) ++this.#unread;
    this.#title();
    this.#showPill();
  }

  presence({ nick, time }, what) {
    const when = moment(time);
    this.#day(when);
    this.#add(element('li', 'presence', nickElement(nick), ` ${what} `, timeElement(when)));
    this.#last = { when };
  }

  note(text) {
    this.#add(element('li', 'note', text));
    this.#last = { when: this.#last?.when };
  }

  toEnd() {
    this.#atEnd = true;
    this.settle();
  }

  /** Once per frame at most: drop the oldest lines, then stay at the end if the reader is there. */
  settle() {
    this.#frame = 0;
    this.#trim();
    if (!this.#atEnd) return;
    this.#view.scrollTop = byId('empty').hidden ? this.#view.scrollHeight : 0;
    this.#top = this.#view.scrollTop;
    this.#below = 0;
    this.#showPill();
  }

  #day(when) {
    const before = this.#last?.when;
    if (before && before.toDateString() !== when.toDateString()) this.note(calendar.format(when));
  }

  #add(line) {
    this.#lines.append(line);
    if (document.hidden) this.#trim();
    else this.#frame ||= requestAnimationFrame(() => this.settle());
  }

  #trim() {
    while (this.#lines.childElementCount > limits.linesKept) this.#lines.firstElementChild.remove();
    this.#lines.firstElementChild?.classList.remove('follow');
  }

  // New lines alone never move the reader away from the end: only scrolling up does.
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#view;
    if (scrollHeight - scrollTop - clientHeight < 40) this.#atEnd = true;
    else if (scrollTop < this.#top) this.#atEnd = false;
    this.#top = scrollTop;
    if (this.#atEnd) this.#below = 0;
    this.#showPill();
  }

  #showPill() {
    this.#pill.hidden = this.#below === 0;
    if (this.#below) this.#pill.textContent = `${plural(this.#below, 'new message')} ↓`;
  }

  #title() {
    document.title = `${this.#unread ? `(${this.#unread}) ` : ''}Coax · ${byId('room').textContent}`;
  }
}

/** What we sent and have not heard back, in order; then what was lost, to send again or to remove. */
class Outbox {
  #list = byId('outbox'); #sent = []; #timer = 0; #sendAgain; #silent;

  constructor({ sendAgain, silent }) {
    this.#sendAgain = sendAgain;
    this.#silent = silent;
  }

  sent(text) {
    const line = element('li', 'message own', element('p', 'text', text), element('p', 'fate', 'Sending…'));
    this.#list.append(line);
    this.#sent.push({ text, line });
    this.#watch();
  }

  /** Our own message came back: the one with this text, else the oldest. */
  confirmed(text) {
    const found = this.#sent.findIndex((item) => item.text === text);
    this.#sent.splice(Math.max(found, 0), 1).forEach(({ line }) => line.remove());
    this.#watch();
  }

  rejected(why) {
    const item = this.#sent.shift();
    if (item) this.#failed(item, why);
    this.#watch();
    return Boolean(item);
  }

  /** The connection is gone, and with it the answers; returns how many messages that leaves open. */
  lost() {
    const open = this.#sent.splice(0);
    for (const item of open) this.#failed(item, 'Probably not delivered.');
    this.#watch();
    return open.length;
  }

  #failed({ text, line }, why) {
    const again = element('button', 'small', 'Send again');
    again.addEventListener('click', () => { if (this.#sendAgain(text)) line.remove(); });
    const remove = element('button', 'small quiet', 'Remove');
    remove.addEventListener('click', () => { line.remove(); byId('text').focus(); });
    for (const button of [again, remove]) button.type = 'button';
    line.classList.add('failed');
    line.lastElementChild.replaceChildren(element('span', '', why), ' ', again, ' ', remove);
  }

  #watch() {
    clearTimeout(this.#timer);
    if (this.#sent.length) this.#timer = setTimeout(this.#silent, times.echoWithin);
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
const composer = { form: byId('composer'), input: byId('text'), error: byId('text-error'), counter: byId('counter') };
const joining = {
  form: byId('join-form'), input: byId('nick'), error: byId('nick-error'), button: byId('join-button'),
};
let me = '';
let lastSeq = null; // of the last event seen; null before the first welcome

const tryNow = { label: 'Try now', run: () => connection.tryNow() };
const joinAgain = { label: 'Join again', run: () => connection.take(me) };
const link = new LinkStatus(() => showJoin());
const outbox = new Outbox({ sendAgain: send, silent: () => connection.giveUpConnection() });

const connection = new RoomConnection({
  welcomed(welcome) {
    me = welcome.nick;
    memory.nick = me;
    memory.joined = me;
    byId('room').textContent = welcome.room;
    people.reset(welcome.users, me);
    if (lastSeq !== null) log.note(backAgain(welcome.seq));
    lastSeq = welcome.seq;
    link.show('up', `Connected as ${me}.`);
    textError('');
    if (byId('chat').hidden) showChat();
  },

  heard(event) {
    if (Number.isInteger(event.seq)) {
      if (event.seq > lastSeq + 1) log.note('Some messages may be missing here.');
      lastSeq = event.seq;
    }
    if (event.type === 'message') {
      if (event.nick === me) outbox.confirmed(event.text);
      log.message(event, event.nick === me);
    } else if (event.type === 'joined') {
      people.add(event.nick);
      log.presence(event, 'joined');
    } else if (event.type === 'left') {
      people.remove(event.nick);
      log.presence(event, 'left');
    }
  },

  rejected(error) {
    const why = wording[error.code] ?? `The hub says: ${sentence(error.message || error.code)}`;
    if (!outbox.rejected(why)) textError(why);
  },

  waiting({ why, delay }) {
    const text = {
      lost: 'Connection lost. Reconnecting.',
      shutdown: 'The hub is shutting down. Reconnecting when it is back.',
      held: `“${me}” is still taken, probably by your lost connection. Trying again.`,
    }[why];
    if (byId('chat').hidden) joining.error.textContent = text;
    link.show('trying', text + whatWasLost(), { retryIn: delay, action: tryNow, rename: why === 'held' });
  },

  trying() { link.trying(); },

  refused({ code }) { showJoin(wording[code]); },

  ended({ code, reason, wasJoined }) {
    const why = endWording(code, reason);
    if (!wasJoined || byId('chat').hidden) showJoin(why);
    else link.show('down', why + whatWasLost(), { action: joinAgain, rename: true });
  },
});

const wording = {
  nick_taken: 'Somebody here has this nickname already, or one that looks like it. Choose another.',
  nick_invalid: 'The hub does not take this nickname: 1 to 32 visible characters, no colon.',
  text_invalid: 'Not sent: it contains characters that the hub does not take.',
  text_too_long: `Not sent: longer than ${limits.textBytes} bytes.`,
  not_joined: 'Not sent: the hub does not know you yet.',
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
  const open = outbox.lost();
  return open ? ` ${plural(open, 'message')} probably not delivered.` : '';
}

/** Our own leaving is one event; whatever else happened while we were away, we did not see. */
function backAgain(seq) {
  if (seq < lastSeq) return 'You are back. The hub was restarted; you may have missed messages while away.';
  if (seq > lastSeq + 1) return 'You are back. You may have missed messages while away.';
  return 'You are back.';
}

function showJoin(error = '') {
  connection.leave();
  memory.joined = '';
  outbox.lost();
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
  connection.take(nick);
}

/** After a reload: as who we were. The hub may still have our connection from before it, for a moment. */
function rejoin() {
  joining.button.textContent = 'Joining…';
  joining.button.ariaDisabled = 'true';
  connection.takeAgain(memory.joined);
}

/** True if it went out. Otherwise the page says so, and keeps the text. */
function send(text) {
  if (!connection.joined) {
    textError('Not sent: there is no connection right now. Your text stays here.');
    return false;
  }
  connection.send(text);
  outbox.sent(text);
  log.toEnd();
  return true;
}

function submitText(event) {
  event.preventDefault();
  const text = singleLine(composer.input.value);
  if (!text.trim()) return;
  if (byteCount(text) > limits.textBytes) return textError(wording.text_too_long);
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
addEventListener('online', () => connection.tryNow());
document.addEventListener('visibilitychange', () => { if (!document.hidden) connection.tryNow(); });

joining.input.value = memory.joined || memory.nick;
if (memory.joined) rejoin();
else joining.input.focus();
showOtherWays();
