// How the page serves people: by keyboard, by screen reader, on a phone, scrolled back, in a hidden tab.

import assert from 'node:assert/strict';
import { RawClient, browserTest } from './browser.mjs';

const phone = { viewport: { width: 320, height: 568 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** Whatever is wider than its place: it would scroll sideways, or be cut off. */
const tooWide = (page) => page.evaluate(() => {
  const places = document.querySelectorAll('html, .join-card > :not(.waves), .bar, #view, .text, .people');
  return [...places]
    .filter((one) => one.scrollWidth > one.clientWidth || one.getBoundingClientRect().right > innerWidth)
    .map((one) => one.outerHTML.slice(0, 60));
});

browserTest('the keyboard alone is enough', async ({ hub, open }) => {
  const alice = await open();
  const { keyboard } = alice.page;
  assert.equal(await alice.focused(), 'nick');
  await keyboard.type('alice');
  await keyboard.press('Enter');
  await alice.shows(alice.status, 'Connected as alice.');
  assert.equal(await alice.focused(), 'text');
  await keyboard.type('hello');
  await keyboard.press('Enter');
  await alice.reads('hello');
  assert.equal(await alice.focused(), 'text');
  await keyboard.press('Tab');
  assert.equal(await alice.focused(), 'send');
  await keyboard.press('Shift+Tab');
  await keyboard.press('Shift+Tab');
  assert.equal(await alice.focused(), 'view');
  assert.notEqual(await alice.page.locator('#view').evaluate((view) => getComputedStyle(view).outlineStyle), 'none');
  await keyboard.press('Shift+Tab');
  assert.equal(await alice.focused(), 'leave');
  await keyboard.press('Shift+Tab');
  assert.equal(await alice.focused(), 'find-toggle');
  await keyboard.press('Shift+Tab');
  const skip = alice.page.getByRole('link', { name: 'Skip to the message field' });
  assert.equal(await skip.evaluate((link) => link === document.activeElement), true);
  await keyboard.press('Enter');
  assert.equal(await alice.focused(), 'text');

  const bob = await RawClient.join(hub, 'bob');
  await alice.button('Leave').focus();
  await keyboard.press('Enter');
  await bob.reads('alice left the chat!');
  assert.equal(await alice.focused(), 'nick');
});

browserTest('everything that can be used has a name, and every region too', async ({ hub, open }) => {
  const alice = await open();
  const unnamed = async () => {
    const tree = await alice.page.locator('body').ariaSnapshot();
    return tree.split('\n').filter((line) => /^\s*- (button|textbox|link|region|log|complementary)(?! ")/.test(line));
  };
  assert.deepEqual(await unnamed(), []);
  await alice.join('alice');
  const bob = await RawClient.join(hub, 'bob');
  bob.send('see http://one.example');
  await alice.log.getByRole('link', { name: 'http://one.example' }).waitFor();
  assert.deepEqual(await unnamed(), []);
  for (const [role, options] of [
    ['region', { name: 'Conversation' }], ['complementary', { name: /^Here now 2/ }], ['banner', {}], ['main', {}],
    ['status', {}], ['heading', { name: 'Coax lobby' }], ['textbox', { name: 'Message', exact: true }],
    ['button', { name: 'Send' }], ['button', { name: 'Leave' }],
  ]) {
    assert.equal(await alice.page.getByRole(role, options).count(), 1, `${role} ${JSON.stringify(options)}`);
  }
  const time = alice.log.locator('.message time').first();
  assert.match(await time.getAttribute('datetime'), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.match(await time.getAttribute('title'), / UTC$/);
});

for (const colorScheme of ['light', 'dark']) {
  browserTest(`a narrow phone, ${colorScheme}: nothing scrolls sideways`, async ({ hub, open }) => {
    const alice = await open({ context: { ...phone, colorScheme } });
    assert.deepEqual(await tooWide(alice.page), []);
    const fields = alice.page.locator('input');
    const fonts = await fields.evaluateAll((all) => all.map((one) => getComputedStyle(one).fontSize));
    assert.deepEqual(fonts, ['16px', '16px', '16px', '16px']); // less, and phones zoom in
    await alice.join('alice');
    assert.deepEqual(await tooWide(alice.page), []);
    const bob = await RawClient.join(hub, 'b'.repeat(32));
    bob.send('x'.repeat(400), `http://one.example/${'y'.repeat(300)}`);
    await alice.log.getByRole('link').waitFor();
    assert.deepEqual(await tooWide(alice.page), []);

    const toggle = alice.button('2 here');
    await toggle.focus();
    await alice.page.keyboard.press('Enter');
    assert.deepEqual(await alice.peopleHere(), ['alice', 'b'.repeat(32)]);
    await alice.page.getByText('Join from elsewhere').click();
    await alice.page.locator('#people').getByText(`nc 127.0.0.1 ${hub.tcpPort}`).waitFor();
    assert.deepEqual(await tooWide(alice.page), []);
    assert.equal(await toggle.getAttribute('aria-expanded'), 'true');
    await alice.page.keyboard.press('Escape');
    await alice.people.waitFor({ state: 'hidden' });
    assert.equal(await alice.focused(), 'people-toggle');
  });
}

browserTest('an empty room tells how to bring in others', async ({ hub, open }) => {
  const alice = await open();
  await alice.join('alice');
  const empty = alice.page.getByRole('region', { name: 'Quiet so far' });
  await alice.shows(empty, `nc 127.0.0.1 ${hub.tcpPort}`);
  await alice.shows(empty, `("127.0.0.1", ${hub.tcpPort})`);
  await alice.send('hello');
  await empty.waitFor({ state: 'hidden' });
});

browserTest('the log follows the end, unless the reader went back; it keeps 1000 lines', async ({ hub, open }) => {
  const alice = await open();
  await alice.join('alice');
  const bob = await RawClient.join(hub, 'bob');
  const view = alice.page.locator('#view');
  const fromEnd = () => view.evaluate((v) => Math.round(v.scrollHeight - v.scrollTop - v.clientHeight));
  for (let batch = 0; batch < 11; ++batch) {
    bob.send(...Array.from({ length: 100 }, (_, line) => `${batch * 100 + line}`));
    await alice.reads(`${batch * 100 + 99}`);
  }
  const oldest = alice.messages.getByText('99', { exact: true });
  await oldest.waitFor({ state: 'detached' });
  assert.equal(await alice.log.getByRole('listitem').count(), 1000);
  await alice.page.waitForFunction(() => {
    const { scrollHeight, scrollTop, clientHeight } = document.getElementById('view');
    return scrollHeight - scrollTop - clientHeight < 2;
  });

  await view.focus();
  await alice.page.keyboard.press('Home');
  await alice.page.waitForFunction(() => document.getElementById('view').scrollTop === 0);
  // The page learns of it with the next frame.
  await alice.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  bob.send('news');
  const pill = alice.button('1 new message ↓');
  await pill.waitFor();
  assert.ok(await fromEnd() > 1000);
  await pill.click();
  await pill.waitFor({ state: 'hidden' });
  assert.ok(await fromEnd() < 2);
});

browserTest('a hidden page counts unread messages in its title', async ({ hub, open }) => {
  const alice = await open();
  await alice.join('alice');
  const bob = await RawClient.join(hub, 'bob');
  const hide = (hidden) => alice.page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => value });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
  await hide(true);
  bob.send('one', 'two');
  await alice.reads('two');
  assert.equal(await alice.page.title(), '(2) Coax · lobby');
  await hide(false);
  assert.equal(await alice.page.title(), 'Coax · lobby');
});
