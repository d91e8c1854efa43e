// How text, times and nicknames look on the hub's page. What peers wrote becomes text nodes here, never markup.

export function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

const utf8 = new TextEncoder();
export const byteCount = (text) => utf8.encode(text).length;
export const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** What the hub takes as a message: one line, no control characters, whole code points. */
export function singleLine(text) {
  return text.replace(/\r\n|[\p{Cc}\u2028\u2029]/gu, ' ').replace(/\p{Surrogate}/gu, '\ufffd');
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
export const calendar = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });

export function moment(time) {
  const when = new Date(time);
  return Number.isNaN(when.getTime()) ? new Date() : when;
}

export const inUtc = (when) => when.toISOString().replace('T', ' ').replace('Z', ' UTC');

export function timeElement(when) {
  const made = element('time', '', clock.format(when));
  made.dateTime = when.toISOString();
  made.title = inUtc(when);
  return made;
}

/** A nickname's own hue, the same on every page (FNV-1a); the style sheet picks lightness for contrast. */
function hue(nick) {
  let hash = 0x811c9dc5;
  for (const byte of utf8.encode(nick.toLowerCase())) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return ((hash ^ (hash >>> 15)) >>> 0) % 360;
}

export function rings(nick) {
  const made = element('span', 'rings');
  made.ariaHidden = 'true';
  made.style.setProperty('--hue', hue(nick));
  return made;
}

export function nickElement(nick) {
  const made = element('bdi', 'nick', nick);
  made.style.setProperty('--hue', hue(nick));
  return made;
}

const closers = { ')': '(', ']': '[', '}': '{' };

/**
 * An address without the punctuation of the sentence around it; a bracket stays if it was opened inside. Two passes:
 * the work grows as the text does.
 */
function addressOnly(found) {
  const open = { '(': 0, '[': 0, '{': 0 }; // opened and not closed yet, or closed more often than opened: negative
  for (const character of found) {
    if (character in open) ++open[character];
    else if (closers[character]) --open[closers[character]];
  }
  let end = found.length;
  for (; end > 0; --end) {
    const last = found[end - 1];
    const opener = closers[last];
    if (opener) {
      if (open[opener] >= 0) break;
      ++open[opener];
    } else if (!'.,;:!?\'"…»”’*'.includes(last)) {
      break;
    }
  }
  return found.slice(0, end);
}

// What ends an address: blanks, quotation marks, and the punctuation and brackets of Chinese, Japanese and Korean,
// behind which a sentence continues without a space. None of it stands in an address as it is.
const ends = [
  '\\s<>"`«»“”', '\u3000-\u3003\u3008-\u3011\u3014-\u301f', // 、 。 「 」 【 】
  // ！ （ ， ． ： ； ？ ［ ｛ ｡, and the same small or upright
  '\uff01\uff02\uff07-\uff09\uff0c\uff0e\uff1a\uff1b\uff1c\uff1e\uff1f\uff3b\uff3d\uff5b\uff5d\uff5f-\uff65',
  '\ufe10-\ufe19\ufe30-\ufe57',
].join('');
const addresses = new RegExp(`https?://[^${ends}]+`, 'giu');
const addressLengthMax = 2048;

/** The text, with its http and https addresses as links. */
export function withLinks(text) {
  const made = document.createDocumentFragment();
  let done = 0;
  for (const match of text.matchAll(addresses)) {
    const address = addressOnly(match[0]);
    if (address.length > addressLengthMax) continue;
    let url;
    try { url = new URL(address); } catch { continue; }
    const link = element('a', '', address);
    link.href = url.href;
    link.target = '_blank';
    link.rel = 'noopener noreferrer';
    made.append(text.slice(done, match.index), link);
    done = match.index + address.length;
  }
  made.append(text.slice(done));
  return made;
}
