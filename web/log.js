// The messages of all rooms, of which one is shown. It follows the end only while the reader is there, keeps the last
// lines only, and asks for earlier ones when the reader gets to the top.

import {
  calendar, element, inUtc, moment, nickElement, plural, rings, timeElement, withLinks,
} from './format.js';

const linesKept = 1000;
const groupWithin = 5 * 60_000; // one sender's messages share a heading
const nearTop = 80; // pixels

const byId = (id) => document.getElementById(id);
export const topicWords = ({ text }) => (text ? `set the topic: ${text}` : 'removed the topic');

/** The buttons of one's own message. */
function changes() {
  const button = (what) => {
    const made = element('button', 'change', what);
    made.type = 'button';
    made.tabIndex = -1; // not two stops for each message: the arrow up in the empty field edits the last one
    made.dataset.change = what.toLowerCase();
    return made;
  };
  return element('p', 'changes', button('Edit'), ' ', button('Delete'));
}

function textOf(line) {
  const body = line.querySelector('.text').cloneNode(true);
  body.querySelector('.edited')?.remove();
  return body.textContent.trimEnd();
}

/** Lines in their order; follows: what the next one looks at to share a heading or a day. */
class Lines {
  constructor(list, follows = {}) { [this.list, this.follows] = [list, follows]; }

  message({ nick, text, time, seq, edited }, own) {
    const when = moment(time);
    this.day(when);
    const joins = this.follows.nick === nick && when - this.follows.when < groupWithin;
    const body = element('p', 'text', withLinks(text));
    body.dir = 'auto';
    body.title = inUtc(when);
    if (edited) body.append(' ', element('span', 'edited', '(edited)'));
    const head = element('p', 'head', nickElement(nick), ' ', timeElement(when));
    const line = element('li', `message${own ? ' own' : ''}${joins ? ' follow' : ''}`, rings(nick), head, body);
    line.dataset.seq = seq;
    if (own) line.append(changes());
    this.list.append(line);
    this.follows = { nick, when };
  }

  presence({ nick, time }, what) {
    const when = moment(time);
    this.day(when);
    this.list.append(element('li', 'presence', nickElement(nick), ` ${what} `, timeElement(when)));
    this.follows = { when };
  }

  note(text) {
    this.list.append(element('li', 'note', text));
    this.follows = { when: this.follows.when };
  }

  day(when) {
    const before = this.follows.when;
    if (before && before.toDateString() !== when.toDateString()) this.note(calendar.format(when));
  }
}

export class Log {
  #view = byId('view'); #place = byId('log'); #pill = byId('pill');
  #rooms = new Map(); #room = null; #atEnd = true; #top = 0; #below = 0; #unread = 0; #frame = 0;
  /** Called with a room and a sequence number when the reader wants what is before. */
  wantsEarlier = () => {};
  /** Called with 'edit' or 'delete', the room, the sequence number, and the text of a message. */
  wantsChange = () => {};

  constructor() {
    this.show('lobby');
    this.#view.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.settle()).observe(this.#view);
    this.#pill.addEventListener('click', () => this.toEnd());
    this.#place.addEventListener('click', ({ target }) => {
      const line = target.closest('[data-change]')?.closest('[data-seq]');
      if (!line) return;
      this.wantsChange(target.dataset.change, this.#room.name, Number(line.dataset.seq), textOf(line));
    });
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) return;
      this.#unread = 0;
      this.#title();
      this.settle();
    });
  }

  show(name) {
    if (this.#room?.name === name) return;
    this.#room = this.#of(name);
    this.#place.replaceChildren(this.#room.list);
    this.#below = 0;
    this.#showEmpty();
    this.#title();
    this.toEnd();
  }

  forget(name) { this.#rooms.delete(name); }

  message(name, event, own) {
    const room = this.#of(name);
    room.lines.message(event, own);
    room.hasMessages = true;
    room.oldest ??= event.seq;
    if (document.hidden) ++this.#unread;
    this.#title();
    this.#added(room, true);
  }

  presence(name, event, what) {
    const room = this.#of(name);
    room.lines.presence(event, what);
    this.#added(room, false);
  }

  note(name, text) {
    const room = this.#of(name);
    room.lines.note(text);
    this.#added(room, false);
  }

  /** A direct message, in whatever room the reader is. */
  direct(name, { nick, to, text, time }, own) {
    const room = this.#of(name);
    const body = element('p', 'text', withLinks(text));
    body.dir = 'auto';
    const head = element('p', 'head', nickElement(nick), own ? ' to ' : ' to you ', own ? nickElement(to) : '',
      timeElement(moment(time)));
    room.list.append(element('li', `message direct${own ? ' own' : ''}`, rings(nick), head, body));
    room.lines.follows = {};
    room.hasMessages = true;
    if (document.hidden) ++this.#unread;
    this.#title();
    this.#added(room, true);
  }

  edited(name, seq, text) {
    const body = this.#of(name).list.querySelector(`[data-seq="${Number(seq)}"] .text`);
    body?.replaceChildren(withLinks(text), ' ', element('span', 'edited', '(edited)'));
  }

  deleted(name, seq) {
    const line = this.#of(name).list.querySelector(`[data-seq="${Number(seq)}"]`);
    line?.querySelector('.text').replaceChildren(element('span', 'edited', '(deleted)'));
    line?.querySelector('.changes')?.remove();
  }

  /** Events of before all that are there. `hasMore`: there are earlier ones still. */
  earlier(name, events, isOwn, hasMore) {
    const room = this.#of(name);
    room.isLoading = false;
    room.isComplete = !hasMore;
    if (events.length) room.oldest = events[0].seq;
    const lines = new Lines(document.createDocumentFragment());
    for (const event of events) {
      if (event.type === 'message') lines.message(event, isOwn(event.nick));
      else if (event.type === 'topic') lines.presence(event, topicWords(event));
    }
    if (!lines.list.childElementCount) return;
    room.hasMessages = true;
    const before = this.#view.scrollHeight;
    room.list.prepend(lines.list);
    room.lines.follows.when ??= lines.follows.when;
    if (room !== this.#room) return;
    this.#showEmpty();
    if (this.#atEnd) return this.settle();
    this.#view.scrollTop += this.#view.scrollHeight - before;
    this.#top = this.#view.scrollTop;
  }

  /** One's own last message in the room that is shown: { seq, text }, or undefined. */
  lastOwn() {
    const own = [...this.#room.list.querySelectorAll('.message.own[data-seq]')];
    const line = own.findLast((one) => one.querySelector('.changes'));
    return line && { seq: Number(line.dataset.seq), text: textOf(line) };
  }

  toEnd() {
    this.#atEnd = true;
    this.settle();
  }

  /** Once per frame at most: drop the oldest lines, then stay at the end if the reader is there. */
  settle() {
    this.#frame = 0;
    if (!this.#atEnd) return;
    this.#trim(this.#room);
    this.#view.scrollTop = byId('empty').hidden ? this.#view.scrollHeight : 0;
    this.#top = this.#view.scrollTop;
    this.#below = 0;
    this.#showPill();
    this.#loadEarlier();
  }

  #of(name) {
    let room = this.#rooms.get(name);
    if (!room) {
      const list = element('ol', 'lines');
      room = {
        name, list, lines: new Lines(list), hasMessages: false, oldest: null, isComplete: true, isLoading: false,
      };
      this.#rooms.set(name, room);
    }
    return room;
  }

  #added(room, isMessage) {
    if (room !== this.#room) return this.#trim(room);
    if (isMessage && !byId('empty').hidden) this.#atEnd = true;
    this.#showEmpty();
    if (isMessage && !this.#atEnd) ++this.#below;
    this.#showPill();
    if (document.hidden) this.#trim(room);
    else this.#frame ||= requestAnimationFrame(() => this.settle());
  }

  #showEmpty() { byId('empty').hidden = this.#room.hasMessages || this.#room.name !== 'lobby'; }

  #trim(room) {
    const { list } = room;
    if (list.childElementCount <= linesKept) return;
    while (list.childElementCount > linesKept) list.firstElementChild.remove();
    list.firstElementChild.classList.remove('follow');
    room.oldest = Number(list.querySelector('[data-seq]')?.dataset.seq) || room.oldest;
    room.isComplete = false;
  }

  // New lines alone never move the reader away from the end: only scrolling up does.
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#view;
    if (scrollHeight - scrollTop - clientHeight < 40) this.#atEnd = true;
    else if (scrollTop < this.#top) this.#atEnd = false;
    this.#top = scrollTop;
    if (this.#atEnd) this.#below = 0;
    this.#showPill();
    this.#loadEarlier();
  }

  #loadEarlier() {
    const room = this.#room;
    if (room.isComplete || room.isLoading || room.oldest === null || this.#view.scrollTop > nearTop) return;
    room.isLoading = true;
    this.wantsEarlier(room.name, room.oldest);
  }

  #showPill() {
    this.#pill.hidden = this.#below === 0;
    if (this.#below) this.#pill.textContent = `${plural(this.#below, 'new message')} ↓`;
  }

  #title() {
    document.title = `${this.#unread ? `(${this.#unread}) ` : ''}Coax · ${this.#room.name}`;
  }
}
