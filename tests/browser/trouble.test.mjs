// What the page does when the connection breaks, the hub says no, or an answer does not come.

import assert from 'node:assert/strict';
import { RawClient, browserTest } from './browser.mjs';

/** Lets a test stand between page and hub: meet(socket, number) is called for each connection that the page makes. */
const between = (meet) => ({
  async before(page) {
    let number = 0;
    await page.routeWebSocket(/\/ws$/, (socket) => meet(socket, ++number));
  },
});

const say = (socket, event) => socket.send(JSON.stringify(event));

function breakOff(socket, server, code, reason) {
  server.close();
  socket.close({ code, reason });
}

browserTest('the hub is stopped and started again: the page comes back under its nickname', async ({ hub, open }) => {
  const alice = await open();
  await alice.join('alice');
  for (const text of ['one', 'two', 'three']) await alice.send(text);
  await alice.reads('three');
  await hub.stop();
  await alice.shows(alice.status, 'The hub is shutting down. Reconnecting when it is back.');
  await alice.send('written while away');
  await alice.shows(alice.page.locator('#text-error'), 'Not sent: there is no connection right now.');
  assert.equal(await alice.text.inputValue(), 'written while away');
  assert.equal(await alice.button('Send').getAttribute('aria-disabled'), 'true');

  await hub.start();
  await alice.shows(alice.status, 'Connected as alice.');
  await alice.shows(alice.log, 'You are back. The hub was restarted; you may have missed messages while away.');
  assert.deepEqual(await alice.peopleHere(), ['alice']);
  const bob = await RawClient.join(hub, 'bob');
  await alice.text.press('Enter');
  await bob.reads('alice: written while away');
  await alice.reads('written while away');
});

browserTest('the hub is killed: the page says so, and comes back', async ({ hub, open }) => {
  const alice = await open();
  await alice.join('alice');
  await hub.stop('SIGKILL');
  await alice.shows(alice.status, 'Connection lost. Reconnecting.');
  await alice.button('Try now').waitFor();
  await hub.start();
  await alice.shows(alice.status, 'Connected as alice.');
  await alice.send('back');
  await alice.reads('back');
});

browserTest('a message that was not acknowledged is sent again once, by itself', async ({ hub, open }) => {
  const alice = await open(between((socket, number) => {
    const server = socket.connectToServer();
    if (number > 1) return;
    socket.onMessage((message) => {
      if (JSON.parse(message).type !== 'message') server.send(message);
      else breakOff(socket, server, 1011, 'lost on the way');
    });
  }));
  await alice.join('alice');
  await alice.send('did this arrive?');
  await alice.shows(alice.log, 'You are back.');
  await alice.reads('did this arrive?');
  const bob = await RawClient.join(hub, 'bob');
  await alice.unconfirmed.locator('li').waitFor({ state: 'detached' });

  await alice.send('the end');
  await bob.reads('alice: the end');
  assert.equal(bob.lines.filter((line) => line.includes('did this arrive?')).length, 0);
  assert.equal(await alice.messages.getByText('did this arrive?').count(), 1);
});

browserTest('messages that passed while away are shown', async ({ hub, open }) => {
  let letIn;
  const later = new Promise((resolve) => { letIn = resolve; });
  const alice = await open(between(async (socket, number) => {
    if (number === 2) await later;
    const server = socket.connectToServer();
    if (number > 1) return;
    socket.onMessage((message) => {
      if (JSON.parse(message).type !== 'message') server.send(message);
      else breakOff(socket, server, 1011, 'lost on the way');
    });
  }));
  await alice.join('alice');
  const bob = await RawClient.join(hub, 'bob');
  await alice.send('bye');
  await bob.reads('alice left the chat!');
  bob.send('while you were away');
  await bob.reads('bob: while you were away');
  letIn();
  await alice.shows(alice.log, 'You are back.');
  await alice.reads('while you were away');
  await alice.reads('bye');
  assert.deepEqual(await alice.messages.allTextContents(), ['while you were away', 'bye']);
});

browserTest('a nickname still held by the dead connection is asked for again', async ({ open }) => {
  let held = 2;
  const alice = await open(between((socket, number) => {
    if (number > 1 && held-- > 0) {
      socket.onMessage(() => say(socket, { type: 'error', code: 'nick_taken', message: 'taken' }));
      return;
    }
    const server = socket.connectToServer();
    if (number > 1) return;
    socket.onMessage((message) => {
      if (JSON.parse(message).type !== 'message') server.send(message);
      else breakOff(socket, server, 1011, 'lost on the way');
    });
  }));
  await alice.join('alice');
  await alice.send('x');
  await alice.shows(alice.status, '“alice” is still taken, probably by your lost connection.');
  await alice.button('Choose another nickname').waitFor();
  await alice.shows(alice.status, 'Connected as alice.');
});

browserTest('a nickname that somebody else took meanwhile can be changed', async ({ open }) => {
  const alice = await open(between((socket, number) => {
    const server = number === 1 ? socket.connectToServer() : null;
    socket.onMessage((message) => {
      const { type, nick } = JSON.parse(message);
      if (number === 1 && type !== 'message') server.send(message);
      else if (number === 1) breakOff(socket, server, 1011, 'lost on the way');
      else if (nick === 'alice') say(socket, { type: 'error', code: 'nick_taken', message: 'taken' });
      else if (type === 'join') say(socket, { type: 'welcome', room: 'lobby', nick, seq: 9, users: ['alice', nick] });
    });
  }));
  await alice.join('alice');
  await alice.send('x');
  await alice.button('Choose another nickname').click();
  assert.equal(await alice.focused(), 'nick');
  await alice.fillNick('alice2');
  await alice.shows(alice.status, 'Connected as alice2.');
  assert.deepEqual(await alice.peopleHere(), ['alice2', 'alice']);
});

browserTest('closed for a reason (1008): the reason is shown, and the page does not try again', async ({ open }) => {
  let connections = 0;
  const alice = await open(between((socket, number) => {
    connections = number;
    const server = socket.connectToServer();
    socket.onMessage((message) => {
      if (JSON.parse(message).type !== 'message') server.send(message);
      else breakOff(socket, server, 1008, 'too slow a reader');
    });
  }));
  await alice.page.clock.install();
  await alice.join('alice');
  await alice.send('x');
  await alice.shows(alice.status, 'The hub closed the connection: too slow a reader.');
  await alice.shows(alice.unconfirmed, 'Probably not delivered.');
  await alice.page.clock.fastForward('10:00');
  assert.equal(connections, 1);
  await alice.button('Join again').click();
  await alice.shows(alice.status, 'Connected as alice.');
  assert.equal(connections, 2);
  assert.equal(await alice.focused(), 'text');
});

browserTest('each error code is shown in words, where it belongs', async ({ open }) => {
  let answer;
  const alice = await open(between((socket) => {
    socket.onMessage((message) => {
      const { type, nick, id } = JSON.parse(message);
      if (type === 'join' && nick === 'bad') say(socket, { type: 'error', code: 'nick_invalid', message: 'no' });
      else if (type === 'join') say(socket, { type: 'welcome', room: 'lobby', nick, seq: 0, users: [nick] });
      else if (type === 'message') say(socket, { type: 'error', id, ...answer });
    });
  }));
  await alice.fillNick('bad');
  await alice.shows(alice.page.locator('#nick-error'), 'The hub does not take this nickname');
  await alice.fillNick('alice');
  await alice.shows(alice.status, 'Connected as alice.');
  const shown = {
    text_invalid: 'Not sent: it contains characters that the hub does not take.',
    text_too_long: 'Not sent: longer than 4096 bytes.',
    bad_message: 'Not sent: the hub did not understand this page.',
    of_tomorrow: 'The hub says: the moon is full.',
  };
  for (const [code, words] of Object.entries(shown)) {
    answer = { code, message: 'the moon is full' };
    await alice.send(`with ${code}`);
    const line = alice.unconfirmed.getByRole('listitem').filter({ hasText: `with ${code}` });
    await alice.shows(line, words);
    await line.getByRole('button', { name: 'Remove' }).click();
    await line.waitFor({ state: 'detached' });
  }
});

browserTest('a hub that refuses the connection is reported at the nickname', async ({ hub, open }) => {
  const alice = await open();
  await hub.stop();
  await alice.fillNick('alice');
  await alice.shows(alice.page.locator('#nick-error'), `The hub at 127.0.0.1:${hub.webPort} does not answer.`);
  await hub.start();
  await alice.join('alice');
});

browserTest('a hub that does not answer a message is left for a new connection', async ({ open }) => {
  const alice = await open(between((socket, number) => {
    const server = socket.connectToServer();
    if (number > 1) return;
    socket.onMessage((message) => { if (JSON.parse(message).type !== 'message') server.send(message); });
  }));
  await alice.page.clock.install();
  await alice.join('alice');
  await alice.send('hello?');
  await alice.shows(alice.unconfirmed, 'Sending…');
  await alice.page.clock.fastForward('00:16');
  await alice.page.clock.resume();
  await alice.shows(alice.status, 'Connected as alice.');
  await alice.reads('hello?');
});
