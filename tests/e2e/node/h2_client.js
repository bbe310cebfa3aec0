// h2_client.js URL PORT: a GET, a large POST and a large answer over one HTTP/2 session.
'use strict';

const assert = require('assert');
const crypto = require('crypto');
const http2 = require('http2');
const tls = require('tls');

const [url, port] = process.argv.slice(2);
const host = new URL(url).hostname;
const session = http2.connect(url, {
  createConnection: () => tls.connect({
    host: '127.0.0.1', port, servername: host, ALPNProtocols: ['h2'], rejectUnauthorized: false,
  }),
});

function ask(headers, body) {
  return new Promise((resolve, reject) => {
    const request = session.request(headers);
    const parts = [];
    let status;
    request.on('response', (head) => { status = head[':status']; });
    request.on('data', (part) => parts.push(part));
    request.on('end', () => resolve([status, Buffer.concat(parts)]));
    request.on('error', reject);
    request.end(body);
  });
}

async function main() {
  const body = crypto.randomBytes(5 << 20);
  const sum = crypto.createHash('sha256').update(body).digest('hex');
  const [got, upload, mirror] = await Promise.all([
    ask({ ':path': '/hello' }),
    ask({ ':path': '/upload', ':method': 'POST' }, body),
    ask({ ':path': '/mirror', ':method': 'POST' }, body),
  ]);
  assert.strictEqual(got[0], 200);
  assert.strictEqual(upload[1].toString(), `${body.length} ${sum}`);
  assert.ok(mirror[1].equals(body));
  session.close();
  console.log('ok');
}

main();
