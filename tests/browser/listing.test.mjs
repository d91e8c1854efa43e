// The list of a folder, `coax http`: sorting, the filter, uploads with progress, without a script too.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { after, before, test } from 'node:test';
import { browser, waitFor, within } from './browser.mjs';

let folder;
let program;
let url;

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'coax-listing-'));
  mkdirSync(path.join(folder, 'sub'));
  for (const [name, size] of Object.entries({ 'photo 10.jpg': 3000, 'photo 2.jpg': 5, '<b>&.txt': 400 })) {
    writeFileSync(path.join(folder, name), Buffer.alloc(size));
  }
  program = spawn(process.env.COAX, ['http', folder, '--listen', '127.0.0.1:0', '--json', '--upload', '--quiet'],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = readline.createInterface({ input: program.stdout });
  const first = new Promise((resolve) => { lines.once('line', resolve); });
  const line = await within(first, 'the server to say where it listens');
  [url] = JSON.parse(line).urls;
});

after(() => {
  program.kill();
  rmSync(folder, { recursive: true });
});

/** A page of the list that must have no error and ask no other server. */
async function openList(t, options = {}) {
  const context = await (await browser()).newContext(options);
  context.setDefaultTimeout(waitFor);
  const page = await context.newPage();
  const wrong = [];
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('request', (request) => { if (!request.url().startsWith(url)) wrong.push(request.url()); });
  t.after(async () => {
    await context.close();
    assert.deepEqual(wrong, []);
  });
  await page.goto(url);
  return page;
}

const names = (page) => page.locator('tbody tr:not(.parent):visible .name span').allTextContents();

test('the list is sorted and filtered without a request', async (t) => {
  const page = await openList(t);
  assert.deepEqual(await names(page), ['sub', '<b>&.txt', 'photo 2.jpg', 'photo 10.jpg']);
  const requests = [];
  page.on('request', (request) => {
    if (!request.url().endsWith('/icon.svg')) requests.push(request.url()); // fetched when the browser finds the time
  });
  await page.getByRole('link', { name: 'Size' }).click();
  assert.deepEqual(await names(page), ['sub', 'photo 2.jpg', '<b>&.txt', 'photo 10.jpg']);
  await page.getByRole('link', { name: 'Size' }).click();
  assert.deepEqual(await names(page), ['sub', 'photo 10.jpg', '<b>&.txt', 'photo 2.jpg']);
  await page.keyboard.press('/');
  await page.keyboard.type('PHOTO 2');
  assert.deepEqual(await names(page), ['photo 2.jpg']);
  await page.keyboard.press('Escape');
  assert.equal((await names(page)).length, 4);
  assert.deepEqual(requests, []);
});

test('files are uploaded with progress and appear in the list', async (t) => {
  const page = await openList(t);
  const data = Buffer.alloc(2_000_000, 'x');
  const reloaded = page.waitForEvent('load');
  await page.locator('input[type=file]').setInputFiles([
    { name: 'new.bin', mimeType: 'application/octet-stream', buffer: data },
    { name: 'second.txt', mimeType: 'text/plain', buffer: Buffer.from('2') },
  ]);
  await within(reloaded, 'the page to show the files');
  assert.ok((await names(page)).includes('new.bin'));
  assert.deepEqual(readFileSync(path.join(folder, 'new.bin')), data);
  await page.locator('input[type=file]').setInputFiles(
    [{ name: 'second.txt', mimeType: 'text/plain', buffer: Buffer.from('other') }]);
  await page.getByText('second.txt exists already').waitFor();
  assert.equal(readFileSync(path.join(folder, 'second.txt'), 'utf8'), '2');
});

test('without a script, links sort and the form uploads', async (t) => {
  const page = await openList(t, { javaScriptEnabled: false });
  await page.getByRole('link', { name: 'Size' }).click();
  assert.equal((await names(page))[1], 'second.txt');
  await page.locator('input[type=file]').setInputFiles(
    [{ name: 'plain.txt', mimeType: 'text/plain', buffer: Buffer.from('plain') }]);
  await page.getByRole('button', { name: 'Upload' }).click();
  await page.getByText('plain.txt').waitFor();
  assert.ok(existsSync(path.join(folder, 'plain.txt')));
});
