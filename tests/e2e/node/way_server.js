// way_server.js ALPN [CERT KEY]: the same site by HTTP/1.1 or HTTP/2, over TLS or not; prints its port.
//   /hello     a small answer              /mirror   the body back as it comes, trailers too
//   /upload    length and SHA-256 of it    /events   five server-sent events
//   /page      a page that loads /part/0 to /part/99 and writes down how that went
// A WebSocket on any path is an echo, by Upgrade or by extended CONNECT (RFC 8441).
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const http2 = require('http2');
const https = require('https');
const { WebSocket, WebSocketServer } = require('ws');

const [alpn, cert, key] = process.argv.slice(2);
const tls = cert ? { cert: fs.readFileSync(cert), key: fs.readFileSync(key) } : {};
const parts = 100;

const page = `<!doctype html><title>page</title><body>
<script>let good = 0;</script>
${[...Array(parts).keys()].map((i) => `<script async src="/part/${i}"></script>`).join('\n')}
<script>
onload = () => {
  const protocols = new Set(performance.getEntriesByType('resource').map((e) => e.nextHopProtocol));
  document.body.textContent = 'loaded ' + good + ' by ' + [...protocols];
};
</script>`;

const pages = {
  '/hello': (request, response) => response.end('hello from node\n'),
  '/page': (request, response) => response.end(page),
  '/mirror': (request, response) => {
    response.setHeader('trailer', 'x-sum');
    response.flushHeaders();
    request.on('data', (data) => {
      if (!response.write(data)) request.pause();
    });
    response.on('drain', () => request.resume());
    request.on('end', () => {
      response.addTrailers({ 'x-sum': request.trailers['x-sum'] || 'none' });
      response.end();
    });
  },
  '/upload': (request, response) => {
    const hash = crypto.createHash('sha256');
    let length = 0;
    request.on('data', (data) => {
      hash.update(data);
      length += data.length;
    });
    request.on('end', () => response.end(`${length} ${hash.digest('hex')}`));
  },
  '/events': (request, response) => {
    response.setHeader('content-type', 'text/event-stream');
    for (let i = 0; i < 5; i += 1) response.write(`data: ${i}\n\n`);
    response.end();
  },
};

function answer(request, response) {
  const types = { '/page': 'text/html', '/part': 'text/javascript' };
  response.setHeader('content-type', types[request.url.slice(0, 5)] || 'text/plain');
  if (pages[request.url]) pages[request.url](request, response);
  else if (request.url.startsWith('/part/')) response.end('good += 1;');
  else {
    response.statusCode = 404;
    response.end();
  }
}

function echo(socket) {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
}

function listenHttp1() {
  const server = tls.cert ? https.createServer(tls, answer) : http.createServer(answer);
  new WebSocketServer({ server, perMessageDeflate: true }).on('connection', echo);
  return server;
}

// The ws package knows no HTTP/2, but takes a stream that somebody else shook hands on.
function acceptWebSocket(stream) {
  stream.respond({ ':status': 200 });
  stream.setNoDelay = () => {};
  stream.setTimeout = () => {};
  const socket = new WebSocket(null, undefined, { autoPong: true });
  socket._isServer = true;
  socket.setSocket(stream, Buffer.alloc(0), { maxPayload: 0, skipUTF8Validation: false });
  echo(socket);
}

function listenHttp2() {
  const options = { ...tls, settings: { enableConnectProtocol: true } };
  const server = tls.cert ? http2.createSecureServer(options) : http2.createServer(options);
  server.on('request', (request, response) => {
    if (request.method !== 'CONNECT') answer(request, response);
  });
  server.on('connect', () => {}); // without this Node refuses CONNECT
  server.on('stream', (stream, headers) => {
    if (headers[':method'] === 'CONNECT') acceptWebSocket(stream);
  });
  return server;
}

const server = alpn === 'h2' ? listenHttp2() : listenHttp1();
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.on('SIGTERM', () => process.exit(0));
