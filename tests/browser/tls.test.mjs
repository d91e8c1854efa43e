// The page over HTTPS: its WebSocket is then wss.

import assert from 'node:assert/strict';
import { RawClient, browserTest } from './browser.mjs';

browserTest('the page over https and a plain TCP client meet in one room', async ({ hub, open }) => {
  const alice = await open();
  assert.ok(alice.page.url().startsWith('https://'));
  const sockets = [];
  alice.page.on('websocket', (socket) => sockets.push(socket.url()));
  await alice.join('alice');
  const carol = await RawClient.join(hub, 'carol');
  carol.send('from nc');
  await alice.reads('from nc');
  await alice.send('from the browser');
  await carol.reads('alice: from the browser');
  assert.ok(await alice.page.evaluate(() => window.isSecureContext));
  for (const url of sockets) assert.ok(url.startsWith('wss://'), url);
  if (process.env.COAX_SCREENSHOT) await alice.page.screenshot({ path: process.env.COAX_SCREENSHOT });
  carol.leave();
}, { overTls: true });
