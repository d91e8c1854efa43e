// Links in messages, and a reload of the page.

import assert from 'node:assert/strict';
import { RawClient, browserTest } from './browser.mjs';

const linksIn = (page, text) => page.page.evaluate(async (given) => {
  const { withLinks } = await import('/format.js');
  return [...withLinks(given).querySelectorAll('a')].map((link) => link.textContent);
}, text);

browserTest('a link ends where the sentence continues', async ({ open }) => {
  const page = await open();
  for (const [text, ...links] of [
    ['see http://a.example/b.', 'http://a.example/b'],
    ['(http://a.example/b_(c)), http://a.example/(d', 'http://a.example/b_(c)', 'http://a.example/(d'],
    ['http://a.example/[x]]! "http://b.example"', 'http://a.example/[x]', 'http://b.example'],
    ['http://a.example/b)c)', 'http://a.example/b)c'],
    ['見てhttp://a.example/b。次', 'http://a.example/b'],
    ['http://a.example/b，http://c.example；', 'http://a.example/b', 'http://c.example'],
    ['（http://a.example/b）です', 'http://a.example/b'],
    ['「http://a.example/b」と', 'http://a.example/b'],
    ['【http://a.example】、『http://b.example』', 'http://a.example', 'http://b.example'],
    ['“http://a.example/路径”和', 'http://a.example/路径'],
    ['http://a.example/b！http://c.example？http://d.example：', 'http://a.example/b', 'http://c.example',
      'http://d.example'],
    ['http://a.example\u3000b', 'http://a.example'],
    ['http:// http://) no'],
  ]) assert.deepEqual(await linksIn(page, text), links, text);
});

// Quadratic work would take hours on these.
browserTest('the work for links grows as the text does', async ({ open }) => {
  const page = await open();
  const count = 1_000_000;
  for (const text of [
    `https://a${')'.repeat(count)}`, `https://a${'()'.repeat(count)}`, `https://a${'('.repeat(count)}`,
    `https://a${'.)'.repeat(count)}`, 'http://'.repeat(count / 10), '(http://a '.repeat(count / 100),
    `https://a${'a'.repeat(count)}`,
  ]) await linksIn(page, text);
  assert.deepEqual(await linksIn(page, `https://a${')'.repeat(count)}`), ['https://a']);
});

browserTest('a reload joins again, with the focus in the message field', async ({ hub, open }) => {
  const alice = await open();
  await alice.join('alice');
  const bob = await RawClient.join(hub, 'bob');
  await alice.page.reload();
  await alice.shows(alice.status, 'Connected as alice.');
  assert.equal(await alice.focused(), 'text');
  bob.send('welcome back');
  await alice.reads('welcome back');
  await alice.send('thanks');
  await bob.reads('alice: thanks');
});

browserTest('a reload after leaving asks for the nickname', async ({ open }) => {
  const alice = await open();
  await alice.join('alice');
  await alice.button('Leave').click();
  await alice.page.reload();
  await alice.nick.waitFor();
  assert.equal(await alice.focused(), 'nick');
  assert.equal(await alice.nick.inputValue(), 'alice');
});

browserTest('a nickname that looks like one that is here is taken', async ({ hub, open }) => {
  await RawClient.join(hub, 'alice');
  const page = await open();
  await page.fillNick('aIice');
  await page.shows(page.page.locator('#nick-error'), 'one that looks like it');
  await page.fillNick('al\u200bice');
  await page.shows(page.page.locator('#nick-error'), 'visible characters');
});
