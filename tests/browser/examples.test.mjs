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
