// The room as everybody sees it: pages and a plain TCP client, on one hub.

import assert from 'node:assert/strict';
import { RawClient, browserTest } from './browser.mjs';

browserTest('two pages and a TCP client read the same messages in the same order', async ({ hub, open }) => {
  const alice = await open();
  await alice.join('alice');
  const bob = await open();
  await bob.join('bob');
  const carol = await RawClient.join(hub, 'carol');
  await alice.shows(alice.log, 'carol joined');
  await bob.shows(bob.log, 'carol joined');
  assert.deepEqual(await alice.peopleHere(), ['alice', 'bob', 'carol']);
  assert.deepEqual(await bob.peopleHere(), ['bob', 'alice', 'carol']);

  const rounds = Array.from({ length: 10 }, (_, round) => round);
  await Promise.all([
    (async () => { for (const round of rounds) await alice.send(`a${round}`); })(),
    (async () => { for (const round of rounds) await bob.send(`b${round}`); })(),
    (async () => { for (const round of rounds) carol.send(`c${round}`); })(),
  ]);
  const last = ['a9', 'b9', 'c9'];
  for (const page of [alice, bob]) for (const text of last) await page.reads(text);
  for (const text of last) await carol.reads(`${{ a: 'alice', b: 'bob', c: 'carol' }[text[0]]}: ${text}`);

  const onAlice = await alice.messages.allTextContents();
  const onBob = await bob.messages.allTextContents();
  const onCarol = carol.lines.filter((line) => / [abc]\d$/.test(line)).map((line) => line.split(': ')[1]);
  assert.equal(onAlice.length, 30);
  assert.deepEqual(onBob, onAlice);
  assert.deepEqual(onCarol, onAlice);
  await alice.unconfirmed.locator('li').first().waitFor({ state: 'detached' });

  carol.leave();
  await alice.shows(alice.log, 'carol left');
  await bob.close();
  await alice.shows(alice.log, 'bob left');
  assert.deepEqual(await alice.peopleHere(), ['alice']);
});

browserTest('markup in a message or a nickname is shown as text', async ({ hub, open }) => {
  const alice = await open();
  await alice.join('alice');
  const attack = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>';
  const mallory = await RawClient.join(hub, '<b onclick=alert(1)>m</b>');
  mallory.send(attack, 'javascript:alert(1) data:text/html,x');
  await alice.send(attack);
  await alice.shows(alice.log, '<b onclick=alert(1)>m</b> joined');
  await alice.reads('javascript:alert(1) data:text/html,x');
  assert.deepEqual((await alice.messages.allTextContents()).filter((text) => text === attack).length, 2);
  assert.equal(await alice.log.locator('img, script, b, a').count(), 0);
  assert.notEqual(await alice.page.title(), 'owned');
});

browserTest('http and https addresses become links that tell the other side nothing', async ({ hub, open }) => {
  const alice = await open();
  await alice.join('alice');
  const bob = await RawClient.join(hub, 'bob');
  bob.send('see (https://one.example/a_(b)?q=1#c), http://two.example. Not ftp://three.example, not http://');
  const links = alice.log.getByRole('link');
  await links.first().waitFor();
  const found = await links.evaluateAll((all) => all.map((link) => [link.textContent, link.target, link.rel]));
  assert.deepEqual(found, [
    ['https://one.example/a_(b)?q=1#c', '_blank', 'noopener noreferrer'],
    ['http://two.example', '_blank', 'noopener noreferrer'],
  ]);
});

browserTest('a nickname taken or not allowed is reported at its field; another one gets in', async ({ hub, open }) => {
  const bob = await RawClient.join(hub, 'Bob');
  const alice = await open();
  const error = alice.page.locator('#nick-error');
  await alice.fillNick('bob'); // the same after case folding
  await alice.shows(error, 'Somebody here has this nickname already');
  assert.equal(await alice.focused(), 'nick');
  assert.equal(await alice.nick.getAttribute('aria-invalid'), 'true');
  await alice.fillNick('BOB'); // the hub closes after the second refusal: that must not matter here
  await alice.shows(error, 'Somebody here has this nickname already');
  await alice.fillNick('BOB');
  await alice.shows(error, 'Somebody here has this nickname already');
  await alice.fillNick('   ');
  await alice.shows(error, 'Choose a nickname first.');
  await alice.fillNick('x'.repeat(33));
  await alice.shows(error, 'at most 32');
  await alice.join('🙂'.repeat(32));
  await bob.reads(`${'🙂'.repeat(32)} joined the chat!`);
});

browserTest('the nickname is remembered, and nothing breaks where nothing can be', async ({ open }) => {
  const alice = await open();
  await alice.join('alice');
  await alice.page.evaluate(() => sessionStorage.clear()); // as in another tab
  await alice.page.reload();
  assert.equal(await alice.nick.inputValue(), 'alice');

  const forbid = () => {
    for (const storage of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(window, storage, { get() { throw new Error('forbidden'); } });
    }
  };
  const bob = await open({ before: (page) => page.addInitScript(forbid) });
  assert.equal(await bob.nick.inputValue(), '');
  await bob.join('bob');
});

browserTest('pasted line ends become spaces, and what is too long stays in the field', async ({ hub, open }) => {
  const alice = await open({ context: { permissions: ['clipboard-read', 'clipboard-write'] } });
  await alice.join('alice');
  const bob = await RawClient.join(hub, 'bob');
  await alice.page.evaluate(() => navigator.clipboard.writeText('one\r\ntwo\n\tthree\n'));
  await alice.text.press('Control+V');
  assert.equal(await alice.text.inputValue(), 'one two  three');
  await alice.text.press('Enter');
  await bob.reads('alice: one two  three');

  const counter = alice.page.locator('#counter');
  await alice.text.fill('ä'.repeat(2048));
  await alice.shows(counter, '0 bytes left');
  await alice.text.fill(`${'ä'.repeat(2048)}x`);
  await alice.shows(counter, '1 byte too many');
  await alice.text.press('Enter');
  await alice.shows(alice.page.locator('#text-error'), 'longer than 4096 bytes');
  await alice.text.press('Backspace');
  await alice.text.press('Enter');
  await bob.reads(`alice: ${'ä'.repeat(2048)}`);
  assert.equal(await alice.text.inputValue(), '');
});
