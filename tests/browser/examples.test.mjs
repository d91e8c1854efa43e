// The pages of the examples of the web framework: the progress of an upload, a login that other sites cannot use, and
// pages that connect again.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { browser, waitFor, within } from './browser.mjs';

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** $COAX_EXAMPLES/name on a port of its own, which it keeps when it is started again. */
class Example {
  constructor(name, port, words) { Object.assign(this, { name, port, words }); }

  get url() { return `http://127.0.0.1:${this.port}/`; }

  async start() {
    const program = path.join(process.env.COAX_EXAMPLES, this.name);
    this.process = spawn(program, [this.port, ...this.words].map(String), { stdio: 'ignore' });
    this.ended = once(this.process, 'exit');
    await within(this.#listening(), `${this.name} to listen`);
  }

  async #listening() {
    while (this.process.exitCode === null) {
      const socket = net.connect(this.port, '127.0.0.1');
      const connected = await once(socket, 'connect').then(() => true, () => false);
      socket.destroy();
      if (connected) return;
    }
    throw new Error(`${this.name} ended with ${this.process.exitCode}`);
  }

  async stop() {
    this.process.kill('SIGTERM');
    try { await within(this.ended, `${this.name} to end`); } finally { this.process.kill('SIGKILL'); }
  }
}

/** A test with an example and a page at its start. */
function exampleTest(name, program, body, wordsOf = () => []) {
  test(name, { timeout: 6 * waitFor }, async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'coax-browser-'));
    const example = new Example(program, await freePort(), wordsOf(folder));
    await example.start();
    const context = await (await browser()).newContext();
    context.setDefaultTimeout(waitFor);
    try {
      const page = await context.newPage();
      const errors = [];
      page.on('pageerror', (error) => errors.push(String(error)));
      await page.goto(example.url);
      await body({ example, page, context });
      assert.deepEqual(errors, []);
    } finally {
      await context.close();
      await example.stop();
      rmSync(folder, { recursive: true });
    }
  });
}

exampleTest('an upload shows its progress, and a second one of the same name a reason', 'web_uploads',
  async ({ page, context }) => {
  const network = await context.newCDPSession(page);
  await network.send('Network.enable');
  await network.send('Network.emulateNetworkConditions',
    { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 1_000_000 });
  await page.evaluate(() => {
    window.seen = [];
    new MutationObserver(() => {
      const bar = document.querySelector('progress');
      if (bar) window.seen.push(bar.value / bar.max);
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  const photo = { name: 'a photo.jpg', mimeType: 'image/jpeg', buffer: Buffer.alloc(3_000_000, 'x') };
  await page.setInputFiles('input', photo);
  await page.locator('#uploads output', { hasText: 'Done' }).waitFor();
  const seen = await page.evaluate(() => window.seen);
  assert.ok(seen.some((part) => part > 0 && part < 1), `it was seen in between: ${seen}`);
  assert.equal(seen.at(-1), 1);
  await page.locator('#files a', { hasText: 'a photo.jpg' }).waitFor();
  await page.setInputFiles('input', { ...photo, buffer: Buffer.from('other') });
  await page.locator('#uploads output', { hasText: 'there is a file of this name already' }).waitFor();
  const download = page.waitForEvent('download');
  await page.locator('#files a').click();
  assert.equal((await download).suggestedFilename(), 'a photo.jpg');
}, (folder) => [folder]);

exampleTest('a guest logs in and signs, and no page of another site can', 'web_guestbook',
  async ({ example, page, context }) => {
  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByLabel('Name').fill('Ada');
  await page.getByLabel('Password').fill('correct horse');
  await page.getByRole('button', { name: 'Create an account' }).click();
  await page.getByLabel('Your message').fill('<b>hello</b>');
  await page.getByRole('button', { name: 'Sign' }).click();
  await page.getByText('<b>hello</b>', { exact: true }).waitFor();
  const token = await page.locator('[name=_csrf]').first().inputValue();

  const evil = await context.newPage();
  await evil.route('http://evil.example/', (route) => route.fulfill({
    contentType: 'text/html',
    body: `<form method="post" action="${example.url}messages"><input name="_csrf" value="${token}">
      <input name="text" value="forged"><button>Win</button></form>`,
  }));
  await evil.goto('http://evil.example/');
  const answer = evil.waitForResponse(`${example.url}messages`);
  await evil.getByRole('button').click();
  assert.ok([303, 403].includes((await answer).status()));  // without the cookie (SameSite), or by its origin
  await page.reload();
  assert.equal(await page.getByText('forged').count(), 0);

  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('link', { name: 'Log in' }).waitFor();
  assert.equal(await page.getByLabel('Your message').count(), 0);
}, (folder) => [path.join(folder, 'guestbook.db')]);

exampleTest('the dashboard connects again, and asks for what it has missed', 'web_dashboard',
  async ({ example, page }) => {
  const state = page.locator('#state');
  await state.filter({ hasText: /^Connected/ }).waitFor();
  await page.waitForFunction(() => document.querySelector('polyline').points.length > 1);
  await example.stop();
  await state.filter({ hasText: 'Disconnected' }).waitFor();
  const again = page.waitForRequest(async (request) => (await request.allHeaders())['last-event-id'] > '0');
  await example.start();
  await within(again, 'a request with Last-Event-ID');
  await state.filter({ hasText: /^Connected/ }).waitFor();
  await page.waitForFunction(() => document.querySelector('polyline').points.length > 2);
});

exampleTest('a room connects again after a restart', 'web_rooms',
  async ({ example, page, context }) => {
  const state = page.locator('output');
  await state.filter({ hasText: /^Connected/ }).waitFor();
  const other = await context.newPage();
  await other.goto(`${example.url}room/lobby`);
  await other.locator('output').filter({ hasText: /^Connected/ }).waitFor();
  await page.getByLabel('Message').fill('<i>hello</i>');
  await page.getByRole('button').click();
  for (const each of [page, other]) await each.getByText('<i>hello</i>', { exact: true }).waitFor();
  await example.stop();
  for (const each of [page, other]) await each.locator('output').filter({ hasText: 'Disconnected' }).waitFor();
  await example.start();
  for (const each of [page, other]) await each.locator('output').filter({ hasText: /^Connected/ }).waitFor();
  await other.getByLabel('Message').fill('again');
  await other.getByRole('button').click();
  await page.getByText('again', { exact: true }).waitFor();
});

/** Passes the bytes of all connections on to a port of this machine, and counts them. */
async function countingRelay(port) {
  const bytes = { sent: 0, received: 0 };
  const sockets = new Set();
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    for (const [from, to, way] of [[near, far, 'sent'], [far, near, 'received']]) {
      sockets.add(from);
      from.on('data', (part) => { bytes[way] += part.length; to.write(part); });
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { url: `http://127.0.0.1:${server.address().port}/`, bytes, close };
}

/** In the page: sends messages at once, and resolves to whether all echoes are equal. `kind`: how they are made. */
function echoes({ kind, count, size }) {
  const line = 'All work and no play makes Jack a dull boy. Äöü\n';
  const make = {
    text: (at) => `${at} ${line.repeat(Math.ceil(size / line.length))}`.slice(0, size),
    binary: (at) => new Uint8Array(size).map((_, index) => index % 16 + at),
    noise: () => {
      const bytes = new Uint8Array(size);
      for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
      return bytes;
    },
  }[kind];
  const messages = Array.from({ length: count }, (_, at) => make(at));
  const isEqual = (got, sent) => typeof sent === 'string' ? got === sent :
    got.byteLength === sent.length && new Uint8Array(got).every((byte, at) => byte === sent[at]);
  return new Promise((resolve, reject) => {
    let received = 0, good = true;
    window.socket.onclose = (event) => reject(new Error(`closed with ${event.code} ${event.reason}`));
    window.socket.onmessage = ({ data }) => {
      good = isEqual(data, messages[received]) && good;
      if (++received === count) resolve(good);
    };
    for (const message of messages) window.socket.send(message);
  });
}

exampleTest('the messages of a WebSocket are compressed in both directions', 'web_showcase',
  async ({ example, page }) => {
  const relay = await countingRelay(example.port);
  try {
    await page.goto(relay.url);
    const extensions = await page.evaluate(() => new Promise((resolve, reject) => {
      window.socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws/echo`);
      window.socket.binaryType = 'arraybuffer';
      window.socket.onopen = () => resolve(window.socket.extensions);
      window.socket.onerror = reject;
    }));
    assert.match(extensions, /^permessage-deflate/);
    for (const [kind, count, size, part] of [
      ['text', 1, 100_000, 0.1], ['binary', 1, 100_000, 0.1], ['text', 20, 5_000, 0.5], ['text', 1, 950_000, 0.1],
      ['text', 2000, 20, 2], ['noise', 1, 1_048_576, 1.01],
    ]) {
      const before = { ...relay.bytes };
      assert.ok(await page.evaluate(echoes, { kind, count, size }), `${count} x ${size} bytes of ${kind}`);
      for (const way of ['sent', 'received']) {
        const bytes = relay.bytes[way] - before[way];
        assert.ok(bytes < part * count * size, `${bytes} bytes were ${way} for ${count} x ${size} of ${kind}`);
      }
    }
  } finally {
    relay.close();
  }
});
