// Rooms and their history on the page: several rooms, what was said before, and what was missed.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { RawClient, browserTest } from './browser.mjs';

const enterRoom = async (chat, name) => {
  await chat.page.getByRole('combobox', { name: 'Room' }).fill(name);
  await chat.page.getByRole('combobox', { name: 'Room' }).press('Enter');
  await chat.shows(chat.page.locator('#room'), name.replace('#', '').toLowerCase());
};
const roomButton = (chat, name) => chat.page.getByRole('list', { name: 'Rooms' })
  .getByRole('button', { name, exact: true });

browserTest('two rooms: each has its messages, its people, and a count of what is unread', async ({ hub, open }) => {
  const alice = await open();
  await alice.join('alice');
  const bob = await RawClient.join(hub, 'bob');
  await alice.send('in the lobby');
  await alice.reads('in the lobby');
  await enterRoom(alice, '#Dev');
  assert.deepEqual(await alice.peopleHere(), ['alice']);
  await alice.send('in dev');
  await alice.reads('in dev');
  assert.equal(await alice.messages.getByText('in the lobby').count(), 0);

  bob.send('one', 'two', 'hi Alice!');
  await roomButton(alice, 'lobby, 3 unread messages, one for you').click();
  await alice.reads('hi Alice!');
  assert.equal(await alice.messages.getByText('in dev').count(), 0);
  await roomButton(alice, 'lobby').and(alice.page.locator('[aria-current=true]')).waitFor();

  bob.send('/join dev', '/topic work only', 'malice is no mention');
  await alice.shows(alice.page.locator('#rooms-list'), '1');
  await roomButton(alice, 'dev, 1 unread message').click();
  await alice.shows(alice.page.locator('#topic'), 'work only');
  assert.deepEqual(await alice.peopleHere(), ['alice', 'bob']);
  bob.send('/nick robert');
  await alice.shows(alice.people, 'robert');

  await alice.page.getByRole('button', { name: 'Leave dev' }).click();
  await alice.shows(alice.page.locator('#room'), 'lobby');
  await bob.reads('[dev] alice left the chat!');
});

browserTest('a reload shows what was said before, in all rooms', async ({ open }) => {
  const alice = await open();
  await alice.join('alice');
  await alice.send('before');
  await alice.reads('before');
  await enterRoom(alice, 'dev');
  await alice.send('in dev before');
  await alice.reads('in dev before');
  await alice.page.reload();
  await alice.shows(alice.status, 'Connected as alice.');
  await alice.reads('before');
  await roomButton(alice, 'dev').click();
  await alice.reads('in dev before');
});

browserTest('earlier messages come when the reader gets to the top', async ({ hub, open }) => {
  const bob = await RawClient.join(hub, 'bob');
  const texts = Array.from({ length: 300 }, (_, number) => `message ${number}`);
  bob.send(...texts);
  await bob.reads('bob: message 299');
  const alice = await open();
  await alice.join('alice');
  await alice.reads('message 299');
  assert.equal(await alice.messages.getByText('message 0', { exact: true }).count(), 0);
  for (let page = 0; page < 10; ++page) {
    const before = await alice.messages.count();
    if (before === texts.length) break;
    await alice.page.locator('#view').evaluate((view) => { view.scrollTop = 0; });
    await alice.page.waitForFunction((count) => document.querySelectorAll('.message .text').length > count, before);
  }
  assert.deepEqual(await alice.messages.allTextContents(), texts);
});

browserTest('a hub that is killed loses nothing that the page has sent', async ({ hub, open }) => {
  const alice = await open();
  await alice.join('alice');
  await alice.send('acknowledged');
  await alice.reads('acknowledged');
  await hub.stop('SIGKILL');
  await alice.shows(alice.status, 'Connection lost. Reconnecting.');
  await hub.start();
  const bob = await RawClient.join(hub, 'bob');
  bob.send('while you were away');
  await bob.reads('bob: while you were away');
  await alice.reads('while you were away');
  await alice.send('after');
  await alice.reads('after');
  assert.deepEqual(await alice.messages.allTextContents(), ['acknowledged', 'while you were away', 'after']);
  bob.send('/history', 'done');
  await bob.reads('bob: done');
  assert.equal(bob.lines.filter((line) => line.endsWith('alice: acknowledged')).length, 1);
}, { keepsHistory: true });

browserTest('direct messages, edits and deletions are shown', async ({ hub, open }) => {
  const alice = await open();
  await alice.join('alice');
  const bob = await RawClient.join(hub, 'bob');
  bob.send('/msg alice psst');
  await alice.shows(alice.log.locator('.direct'), 'psst');
  await alice.shows(alice.log.locator('.direct'), 'to you');
  // Another program changes its messages.
  const changed = await alice.page.evaluate(async () => {
    const { HubClient } = await import('/coax_client.js');
    return new Promise((resolve) => {
      const numbers = [];
      const carol = new HubClient({
        url: `ws://${location.host}/ws`,
        on: {
          welcomed: () => { for (const text of ['helo', 'gone']) carol.send('lobby', text); },
          async heard(event) {
            if (event.type !== 'message' || event.nick !== 'carol' || numbers.push(event.seq) < 2) return;
            await carol.ask('edit', { seq: numbers[0], text: 'hello' });
            await carol.ask('delete', { seq: numbers[1] });
            resolve(numbers.length);
          },
        },
      });
      carol.take('carol');
    });
  });
  assert.equal(changed, 2);
  await alice.shows(alice.messages, 'hello (edited)');
  await alice.shows(alice.messages, '(deleted)');
  assert.equal(await alice.messages.getByText('gone').count(), 0);
});

browserTest('the messages of a room are searched, and saved as JSON Lines', async ({ hub, open }) => {
  const bob = await RawClient.join(hub, 'bob');
  const texts = Array.from({ length: 450 }, (_, number) => `message ${number}`);
  bob.send(...texts, '<b>deploy</b> on Friday');
  await bob.reads('bob: <b>deploy</b> on Friday');
  const alice = await open();
  await alice.join('alice');
  const search = alice.page.getByRole('button', { name: 'Search' }).first();
  await search.click();
  const words = alice.page.getByRole('searchbox', { name: 'Words' });
  await words.fill('FRI deploy');
  await words.press('Enter');
  const found = alice.page.getByRole('list', { name: 'Messages that were found' }).locator('.text');
  await alice.shows(alice.page.locator('#find-status'), '1 message, the newest first');
  assert.deepEqual(await found.allTextContents(), ['<b>deploy</b> on Friday']);
  await words.fill('nothing');
  await words.press('Enter');
  await alice.shows(alice.page.locator('#find-status'), 'No message has all these words.');

  const download = alice.page.waitForEvent('download');
  await alice.page.getByRole('button', { name: 'Save all' }).click();
  const saved = await download;
  assert.equal(saved.suggestedFilename(), 'lobby.jsonl');
  const lines = (await readFile(await saved.path(), 'utf8')).trimEnd().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(({ text }) => text), [...texts, '<b>deploy</b> on Friday']);
  await enterRoom(alice, 'dev');
  assert.equal(await alice.page.locator('#find-status').textContent(), '');
  await words.press('Escape');
  await alice.page.locator('#find').waitFor({ state: 'hidden' });
});

browserTest('the author of a message edits and deletes it', async ({ hub, open }) => {
  const bob = await RawClient.join(hub, 'bob');
  const alice = await open();
  await alice.join('alice');
  await alice.send('helo');
  await alice.reads('helo');
  const button = (name) => alice.page.getByRole('button', { name, exact: true });
  await alice.messages.getByText('helo').hover();
  await button('Edit').click();
  const field = alice.page.getByRole('textbox', { name: 'Message' });
  assert.equal(await field.inputValue(), 'helo');
  await field.fill('hello');
  await button('Save').click();
  await alice.reads('hello (edited)');
  await bob.reads('* alice edited a message: hello');
  await button('Send').waitFor();

  await field.press('ArrowUp'); // the last one
  assert.equal(await field.inputValue(), 'hello');
  await field.press('Escape');
  assert.equal(await field.inputValue(), '');

  alice.page.once('dialog', (dialog) => dialog.accept());
  await button('Delete').click();
  await alice.reads('(deleted)');
  await bob.reads('* alice deleted a message');
  assert.equal(await button('Edit').count(), 0);
  bob.send('mine');
  await alice.reads('mine');
  assert.equal(await button('Delete').count(), 0);
});
