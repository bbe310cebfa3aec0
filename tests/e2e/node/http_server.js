// An HTTP server of Node: /json answers what came, /stream 100 chunks, anything else the body back.
'use strict';

const http = require('http');

const server = http.createServer((request, response) => {
  if (request.url === '/json') {
    const body = JSON.stringify({ method: request.method, headers: request.headers });
    response.setHeader('content-type', 'application/json');
    response.setHeader('set-cookie', ['a=1', 'b=2']);
    response.end(body);
  } else if (request.url === '/stream') {
    let left = 100;
    const step = () => {
      if (left === 0) response.end();
      else {
        left -= 1;
        response.write(`line ${left}\n`, () => setImmediate(step));
      }
    };
    step();
  } else if (request.url === '/trailers') {
    response.writeHead(200, { Trailer: 'X-Sum' });
    response.write('body');
    response.addTrailers({ 'X-Sum': '42' });
    response.end();
  } else {
    request.pipe(response);
  }
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.on('SIGTERM', () => process.exit(0));
