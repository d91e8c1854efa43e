// Searches the messages of the room that is shown, and saves all that are kept.

import { element, moment, nickElement, plural, timeElement, withLinks } from './format.js';

const byId = (id) => document.getElementById(id);

export class Find {
  #panel = byId('find'); #toggle = byId('find-toggle'); #words = byId('find-words'); #found = byId('found');
  #status = byId('find-status'); #save = byId('save'); #on; #asked = 0;

  /** on: search(words) -> a promise of messages; all() -> an async iterator of events; room(). */
  constructor(on) {
    this.#on = on;
    this.#toggle.addEventListener('click', () => this.#show(this.#panel.hidden));
    byId('find-form').addEventListener('submit', (event) => this.#search(event));
    this.#save.addEventListener('click', () => this.#saveAll());
    this.#panel.addEventListener('keydown', ({ key }) => { if (key === 'Escape') this.#show(false); });
  }

  /** Of another room. */
  clear() {
    ++this.#asked;
    this.#found.replaceChildren();
    this.#status.textContent = '';
  }

  #show(visible) {
    this.#panel.hidden = !visible;
    this.#toggle.ariaExpanded = String(visible);
    if (visible) this.#words.focus();
    else this.#toggle.focus();
  }

  async #search(event) {
    event.preventDefault();
    const words = this.#words.value.trim();
    this.clear();
    if (!words) return;
    const asked = this.#asked;
    this.#status.textContent = 'Searching…';
    try {
      const messages = await this.#on.search(words);
      if (asked !== this.#asked) return; // another search, or another room
      this.#found.replaceChildren(...messages.reverse().map(line));
      this.#status.textContent = messages.length ? `${plural(messages.length, 'message')}, the newest first`
        : 'No message has all these words.';
    } catch (error) {
      if (asked === this.#asked) this.#status.textContent = `The search failed: ${error.message}.`;
    }
  }

  async #saveAll() {
    const room = this.#on.room();
    const lines = [];
    this.#save.disabled = true;
    try {
      for await (const event of this.#on.all()) {
        lines.push(`${JSON.stringify(event)}\n`);
        if (lines.length % 200 === 0) this.#status.textContent = `${plural(lines.length, 'event')} so far…`;
      }
      const link = element('a');
      link.href = URL.createObjectURL(new Blob(lines, { type: 'application/jsonl' }));
      link.download = `${room}.jsonl`;
      link.click();
      URL.revokeObjectURL(link.href);
      this.#status.textContent = `${plural(lines.length, 'event')} of ${room} saved as JSON Lines.`;
    } catch (error) {
      this.#status.textContent = `Not saved: ${error.message}.`;
    }
    this.#save.disabled = false;
  }
}

function line({ nick, text, time, edited }) {
  const body = element('p', 'text', withLinks(text));
  body.dir = 'auto';
  if (edited) body.append(' ', element('span', 'edited', '(edited)'));
  return element('li', 'found', element('p', 'head', nickElement(nick), ' ', timeElement(moment(time))), body);
}
