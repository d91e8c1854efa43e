// What the browser tests share: a hub of their own, a browser, pages that are watched for errors and foreign requests,
// and a raw TCP client. Every wait is for an event and ends after waitFor milliseconds.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { after, test } from 'node:test';
import { chromium } from 'playwright-core';

export const waitFor = 15_000;

const browsers = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

let launched;
after(async () => (await launched)?.close());

/** One browser for all tests of a file; each page has a profile of its own. */
export function browser() {
  launched ??= chromium.launch({
    executablePath: browsers.find((file) => file && existsSync(file)),
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
    ],
  });
  return launched;
}

/** Rejects with what was awaited when it has not come in time. */
export async function within(promise, awaited) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${waitFor} ms in vain for ${awaited}`)), waitFor);
  });
  try { return await Promise.race([promise, late]); } finally { clearTimeout(timer); }
}

/** The program under test, `$COAX serve`, on ports that the system chose; start() again takes the same ports. */
export class Hub {
  #process = null;
  #overTls;
  #keepsHistory;
  tcpPort = 0;
  webPort = 0;

  /**
   * With `overTls`, the page is at https, under a certificate of an authority that the test has made; with
   * `keepsHistory`, messages outlive the hub.
   */
  constructor({ overTls = false, keepsHistory = false } = {}) {
    this.#overTls = overTls;
    this.#keepsHistory = keepsHistory;
  }

  get url() { return `${this.#overTls ? 'https' : 'http'}://127.0.0.1:${this.webPort}/`; }

  async start() {
    const program = process.env.COAX;
    assert.ok(program, 'COAX must name the program to test');
    const options = ['serve', '--port', this.tcpPort, '--web-port', this.webPort];
    const env = { ...process.env };
    if (this.#keepsHistory) {
      this.folder ??= mkdtempSync(path.join(tmpdir(), 'coax-browser-'));
      options.push('--history-file', path.join(this.folder, 'hub.db'));
    }
    if (this.#overTls) {
      this.folder ??= mkdtempSync(path.join(tmpdir(), 'coax-browser-'));
      env.XDG_DATA_HOME = this.folder;
      options.push('--tls', 'auto', '--tls-port', 0);  // lines stay plain text for the TCP client
    }
    this.#process = spawn(program, options.map(String), { stdio: ['ignore', 'pipe', 'pipe'], env });
    const said = [];
    const ready = new Promise((resolve, reject) => {
      for (const stream of [this.#process.stdout, this.#process.stderr]) {
        readline.createInterface({ input: stream }).on('line', (line) => {
          said.push(line);
          if (this.#readPorts(said)) resolve();
        });
      }
      this.#process.once('error', reject);
      this.#process.once('exit', (code) => reject(new Error(`the hub ended with ${code}: ${said.join('\n')}`)));
    });
    await within(ready, 'the hub to say where it listens');
  }

  async stop(signal = 'SIGTERM') {
    const ending = this.#process;
    this.#process = null;
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
    const gone = once(ending, 'exit');
    ending.kill(signal);
    try { await within(gone, 'the hub to end'); } finally { ending.kill('SIGKILL'); }
  }

  #readPorts(said) {
    const text = said.join('\n');
    const web = /listening +https? +127\.0\.0\.1:(\d+)/.exec(text);
    const tcp = /listening +tcp +127\.0\.0\.1:(\d+)/.exec(text);
    if (web && tcp) [this.webPort, this.tcpPort] = [Number(web[1]), Number(tcp[1])];
    return web && tcp;
  }
}

/** A plain TCP client that reads lines, as nc would show them. */
export class RawClient {
  lines = [];
  #changed = () => {};

  static async join(hub, nick) {
    const client = new RawClient();
    client.socket = net.connect(hub.tcpPort, '127.0.0.1');
    client.socket.on('error', () => {});
    await within(once(client.socket, 'data'), 'NICK'); // the four bytes come alone: nothing is said before the answer
    readline.createInterface({ input: client.socket }).on('line', (line) => {
      client.lines.push(line);
      client.#changed();
    });
    client.send(nick);
    await client.reads(`${nick} joined the chat!`);
    return client;
  }

  send(...lines) { this.socket.write(lines.map((line) => `${line}\n`).join('')); }

  async reads(line) {
    const there = new Promise((resolve) => {
      const look = () => { if (this.lines.includes(line)) resolve(); };
      this.#changed = look;
      look();
    });
    await within(there, `the TCP client to read "${line}"; it has read ${JSON.stringify(this.lines)}`);
  }

  leave() { this.socket.destroy(); }
}

/** One page of the hub in a browser profile of its own. */
export class ChatPage {
  constructor(page, watched) {
    this.page = page;
    this.watched = watched;
    this.nick = page.getByRole('textbox', { name: 'Nickname' });
    this.text = page.getByRole('textbox', { name: 'Message', exact: true });
    this.log = page.getByRole('log', { name: 'Messages' });
    this.messages = this.log.locator('.message .text');
    this.status = page.locator('#status');
    this.unconfirmed = page.getByRole('list', { name: 'Messages not confirmed yet' });
    this.people = page.getByRole('list', { name: 'Here now' });
  }

  async fillNick(nick) {
    await this.nick.fill(nick);
    await this.nick.press('Enter');
  }

  async join(nick) {
    await this.fillNick(nick);
    await this.shows(this.status, `Connected as ${nick}.`);
    await this.shows(this.log, `${nick} joined`);
  }

  async send(text) {
    await this.text.fill(text);
    await this.text.press('Enter');
  }

  async shows(locator, text) {
    await locator.filter({ hasText: text }).first().waitFor();
  }

  async reads(text) {
    await this.messages.getByText(text, { exact: true }).first().waitFor();
  }

  button(name) { return this.page.getByRole('button', { name, exact: true }); }
  focused() { return this.page.evaluate(() => document.activeElement.id); }
  peopleHere() { return this.people.getByRole('listitem').locator('bdi').allTextContents(); }

  async close() { await this.page.context().close(); }
}

// Chromium itself reports a WebSocket that cannot connect; nothing on a page can prevent it.
const brokenConnection = /WebSocket connection to .* failed/;

async function openPage(hub, { context = {}, before = async () => {} } = {}) {
  const usual = { locale: 'en-GB', timezoneId: 'UTC', ignoreHTTPSErrors: true };  // curl and Python verify them
  const own = await (await browser()).newContext({ ...usual, ...context });
  own.setDefaultTimeout(waitFor);
  const page = await own.newPage();
  const watched = { errors: [], foreign: [] };
  page.on('pageerror', (error) => watched.errors.push(String(error)));
  page.on('console', (message) => {
    // Fetched when the browser finds the time, perhaps after the hub was stopped.
    if (message.location().url.endsWith('/icon.svg')) return;
    if (['error', 'warning'].includes(message.type()) && !brokenConnection.test(message.text())) {
      watched.errors.push(`${message.text()} (${message.location().url})`);
    }
  });
  const watch = (url) => { if (new URL(url).host !== `127.0.0.1:${hub.webPort}`) watched.foreign.push(url); };
  page.on('request', (request) => watch(request.url()));
  page.on('websocket', (socket) => watch(socket.url()));
  await before(page);
  const loaded = page.waitForResponse((response) => response.url().endsWith('/hub.json'));
  await page.goto(hub.url);
  await loaded; // the page's last request: a hub that a test stops then owes it nothing
  return new ChatPage(page, watched);
}

/**
 * A test with a hub of its own: body({ hub, open }), where open(options) gives a ChatPage. Whatever else
 * it shows, no page may have reported an error or asked anybody but the hub.
 */
export function browserTest(name, body, { overTls = false, keepsHistory = false } = {}) {
  test(name, { timeout: 6 * waitFor }, async () => {
    const hub = new Hub({ overTls, keepsHistory });
    const pages = [];
    try {
      await hub.start();
      const open = async (options) => {
        const page = await openPage(hub, options);
        pages.push(page);
        return page;
      };
      await body({ hub, open });
      for (const { watched } of pages) assert.deepEqual(watched, { errors: [], foreign: [] });
    } finally {
      await Promise.allSettled(pages.map((page) => page.close()));
      await hub.stop();
      if (hub.folder) rmSync(hub.folder, { recursive: true });
    }
  });
}
