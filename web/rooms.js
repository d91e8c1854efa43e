// The list of rooms: those that we are in, with what is unread, and a field that enters another one.

import { element, plural } from './format.js';

const byId = (id) => document.getElementById(id);

export class Rooms {
  #list = byId('rooms-list'); #form = byId('enter-form'); #name = byId('enter-name'); #known = byId('rooms-known');
  #items = new Map(); #shown = ''; #expected = ''; #on;

  /** on: show(name), enter(name), exit(name), list() -> a promise of the rooms of the hub. */
  constructor(on) {
    this.#on = on;
    this.#form.addEventListener('submit', (event) => this.#enter(event));
    this.#name.addEventListener('focus', () => this.#suggest());
  }

  entered(name) {
    if (this.#items.has(name)) return;
    const badge = element('span', 'badge');
    const button = element('button', 'room-button', element('span', 'room-name', name), badge);
    button.type = 'button';
    button.addEventListener('click', () => this.#on.show(name));
    const line = element('li', '', button);
    if (name !== 'lobby') {
      const leave = element('button', 'quiet small', '×');
      leave.type = 'button';
      leave.ariaLabel = `Leave ${name}`;
      leave.addEventListener('click', () => this.#on.exit(name));
      line.append(leave);
    }
    this.#items.set(name, { line, button, badge, unread: 0, isMentioned: false });
    this.#list.append(line);
    this.#mark();
  }

  left(name) {
    this.#items.get(name)?.line.remove();
    this.#items.delete(name);
  }

  /** Whether it was asked for here, and is to be shown once it is entered. */
  isExpected(name) {
    const is = this.#expected === name;
    if (is) this.#expected = '';
    return is;
  }

  show(name) {
    this.#shown = name;
    const item = this.#items.get(name);
    if (item) Object.assign(item, { unread: 0, isMentioned: false });
    byId('topic').textContent = item?.topic ?? '';
    this.#mark();
  }

  topic(name, text) {
    const item = this.#items.get(name);
    if (item) item.topic = text;
    if (name === this.#shown) byId('topic').textContent = text;
  }

  unread(name, isMention) {
    const item = this.#items.get(name);
    if (!item) return;
    ++item.unread;
    item.isMentioned ||= isMention;
    this.#mark();
  }

  #mark() {
    const elsewhere = [...this.#items.values()].reduce((sum, { unread }) => sum + unread, 0);
    byId('unread-elsewhere').textContent = elsewhere || '';
    for (const [name, { button, badge, unread, isMentioned }] of this.#items) {
      button.ariaCurrent = String(name === this.#shown);
      badge.textContent = unread ? `${isMentioned ? '@' : ''}${unread > 99 ? '99+' : unread}` : '';
      badge.classList.toggle('mention', isMentioned);
      const words = `${plural(unread, 'unread message')}${isMentioned ? ', one for you' : ''}`;
      button.ariaLabel = unread ? `${name}, ${words}` : name;
    }
  }

  #enter(event) {
    event.preventDefault();
    const name = this.#name.value.trim().replace(/^#/, '').toLowerCase();
    if (!name) return;
    this.#name.value = '';
    if (this.#items.has(name)) return this.#on.show(name);
    this.#expected = name;
    this.#on.enter(name);
  }

  // The rooms of the hub, as suggestions of the field.
  async #suggest() {
    try {
      const rooms = await this.#on.list();
      const others = rooms.filter(({ room }) => !this.#items.has(room));
      this.#known.replaceChildren(...others.map(({ room, members, topic }) => {
        const option = element('option', '', `${plural(members, 'person', 'people')}${topic ? ` · ${topic}` : ''}`);
        option.value = room;
        return option;
      }));
    } catch { /* no suggestions without a connection */ }
  }
}
