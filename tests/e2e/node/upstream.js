// An upstream that speaks what it is told: h2c, h2 (TLS, HTTP/2 only) or https (TLS, HTTP/1.1 only).
//   node upstream.js KIND [CERT KEY]       prints its port
// /echo             what arrived, as JSON, when its body is complete
// /mirror           the body back as it comes, and its trailers
// /bytes/N          N zero bytes
// /trailers         a body and trailers, as gRPC ends
// /hints            a 103 first
// /early            an answer while the body is still coming
// /hold, /release/N answers when N are held and /release was asked for
// /reset/head, /reset/body   ends the stream with an error
// /goaway           says GOAWAY: the connection takes no more requests
// /refuse-once      refuses the stream the first time
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http2 = require('http2');
const https = require('https');

const [kind, cert, key] = process.argv.slice(2);
const held = [];
let release = null; // the response that waits until as many are held
let sessions = 0;
let refused = false;

function json(response, value) {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(value));
}

function releaseAll() {
  if (release === null || held.length < release.count) return;
  for (const response of held.splice(0)) response.end('released');
  release.response.end('done');
  release = null;
}

function echo(request, response) {
  const hash = crypto.createHash('sha256');
  const socket = request.socket;
  let length = 0;
  request.on('data', (piece) => {
    length += piece.length;
    hash.update(piece);
  });
  request.on('end', () => json(response, {
    version: request.httpVersion,
    method: request.method,
    target: request.url,
    headers: request.headers,
    trailers: request.trailers,
    length,
    sha256: hash.digest('hex'),
    sni: socket.servername || null,
    alpn: socket.alpnProtocol || null,
    session: request.stream ? request.stream.session.number : null,
    sessions,
  }));
}

const pages = {
  echo,
  mirror(request, response) {
    request.on('end', () => {
      for (const [name, value] of Object.entries(request.trailers))
        response.addTrailers({ [name]: value });
    });
    request.pipe(response);
  },
  bytes(request, response, [count]) {
    const piece = Buffer.alloc(65536);
    let left = Number(count);
    const step = () => {
      while (left > 0) {
        const n = Math.min(left, piece.length);
        left -= n;
        if (!response.write(piece.subarray(0, n))) {
          response.once('drain', step);
          return;
        }
      }
      response.end();
    };
    step();
  },
  trailers(request, response) {
    response.writeHead(200, { 'content-type': 'application/grpc' });
    response.write('message');
    response.addTrailers({ 'grpc-status': '0', 'grpc-message': 'fine', 'cache-control': 'no-store' });
    response.end();
  },
  hints(request, response) {
    response.stream.additionalHeaders({ ':status': 103, link: '</a.css>; rel=preload' });
    response.end('hello');
  },
  early(request, response) {
    response.writeHead(413);
    response.end('too much');
  },
  hold(request, response) {
    held.push(response);
    releaseAll();
  },
  release(request, response, [count]) {
    release = { response, count: Number(count) };
    releaseAll();
  },
  reset(request, response, [where]) {
    if (where === 'head') {
      request.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
      return;
    }
    response.write('some', () => request.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR));
  },
  goaway(request, response) {
    request.stream.session.close();
    echo(request, response);
  },
  'refuse-once'(request, response) {
    if (!refused) {
      refused = true;
      request.stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    echo(request, response);
  },
};

function answer(request, response) {
  const [page, ...rest] = request.url.slice(1).split('/');
  if (pages[page]) {
    pages[page](request, response, rest);
    return;
  }
  response.statusCode = 404;
  response.end('no such page');
}

const tls = cert ? { cert: fs.readFileSync(cert), key: fs.readFileSync(key) } : {};
const settings = { enableConnectProtocol: true };
let server;
if (kind === 'h2c') server = http2.createServer({ settings }, answer);
else if (kind === 'h2') server = http2.createSecureServer({ settings, ...tls }, answer);
else server = https.createServer(tls, answer);

server.on('session', (session) => {
  sessions += 1;
  session.number = sessions;
  session.on('error', () => {});
});
// WebSockets over HTTP/2 (RFC 8441): the bytes come back as they are.
server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  if (headers[':method'] !== 'CONNECT') return;
  stream.respond({ ':status': 200, 'x-protocol': headers[':protocol'] });
  stream.pipe(stream);
});
server.on('sessionError', () => {});
server.on('connect', () => {}); // or CONNECT is refused
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.on('SIGTERM', () => process.exit(0));
