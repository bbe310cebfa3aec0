// ws_client.js URL PORT: echoes of text, binary and 1 MiB, a ping, then close code 4001.
'use strict';

const assert = require('assert');
const net = require('net');
const tls = require('tls');
const WebSocket = require('ws');

const [url, port] = process.argv.slice(2);
const secure = url.startsWith('wss');
const host = new URL(url).hostname;
const socket = new WebSocket(url, {
  createConnection: () => (secure
    ? tls.connect({ host: '127.0.0.1', port, servername: host, rejectUnauthorized: false })
    : net.connect({ host: '127.0.0.1', port })),
});
const sent = ['hello', 'grüße', Buffer.from([0, 1, 2, 255]), Buffer.alloc(1 << 20, 7)];
let next = 0;

function sendNext() {
  if (next < sent.length) socket.send(sent[next]);
  else socket.ping('are you there');
}

socket.on('open', sendNext);
socket.on('message', (data, isBinary) => {
  const expected = sent[next];
  assert.strictEqual(isBinary, Buffer.isBuffer(expected));
  assert.ok(Buffer.from(expected).equals(data));
  next += 1;
  sendNext();
});
socket.on('pong', (data) => {
  assert.strictEqual(data.toString(), 'are you there');
  socket.close(4001, 'enough');
});
socket.on('close', (code) => {
  assert.strictEqual(code, 4001);
  console.log('ok');
});
