// h2_ws_client.js HOST PORT: a WebSocket over HTTP/2 (RFC 8441): echoes, one of 1 MiB, and a close.
'use strict';

const assert = require('assert');
const http2 = require('http2');
const tls = require('tls');
const WebSocket = require('ws');

const [host, port] = process.argv.slice(2);
const session = http2.connect(`https://${host}:${port}`, {
  createConnection: () => tls.connect({
    host: '127.0.0.1', port, servername: host, ALPNProtocols: ['h2'], rejectUnauthorized: false,
  }),
});

session.on('remoteSettings', (settings) => {
  assert.strictEqual(settings.enableConnectProtocol, true);
  const stream = session.request({
    ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', 'sec-websocket-version': '13',
  });
  stream.on('response', (head) => {
    assert.strictEqual(head[':status'], 200);
    const socket = new WebSocket(null, undefined, { autoPong: true });
    socket._isServer = false; // which is what a socket without a URL thinks it is
    const sent = [Buffer.from('hello'), Buffer.alloc(1 << 20, 7)];
    let next = 0;
    stream.setNoDelay = () => stream;
    stream.setKeepAlive = () => stream;
    stream.setTimeout = () => stream;
    socket.setSocket(stream, Buffer.alloc(0), { maxPayload: 2 << 20, skipUTF8Validation: false });
    socket.on('message', (data) => {
      assert.ok(data.equals(sent[next]));
      next += 1;
      if (next < sent.length) socket.send(sent[next]);
      else socket.close(1000);
    });
    socket.on('close', () => { session.close(); console.log('ok'); });
    socket.send(sent[next]);
  });
});
