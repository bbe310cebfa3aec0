// ssh -R with the npm package ssh2:
// ssh2_client.js PORT KEYFILE USER REMOTE_HOST REMOTE_PORT TARGET_PORT COMMAND
'use strict';

const fs = require('fs');
const net = require('net');
const { Client } = require('ssh2');

const [port, keyFile, user, remoteHost, remotePort, targetPort, command] = process.argv.slice(2);
const client = new Client();
let status = 255;

client.on('ready', () => {
  client.forwardIn(remoteHost, Number(remotePort), (error) => {
    if (error) console.error(`forward refused: ${error.message}`);
    client.exec(command, (failure, stream) => {
      if (failure) throw failure;
      stream.on('exit', (code) => { status = code; });
      stream.on('close', () => client.end());
      stream.pipe(process.stdout);
      stream.stderr.pipe(process.stderr);
    });
  });
});

client.on('tcp connection', (info, accept, reject) => {
  const socket = net.connect({ port: Number(targetPort), host: '127.0.0.1', allowHalfOpen: true });
  socket.once('error', () => reject());
  socket.once('connect', () => {
    const channel = accept();
    channel.allowHalfOpen = true;
    channel.pipe(socket).pipe(channel);
    socket.on('error', () => channel.destroy());
    channel.on('error', () => socket.destroy());
  });
});

client.on('error', (error) => console.error(error.message));
client.on('close', () => process.exit(status));
client.connect({
  host: '127.0.0.1',
  port: Number(port),
  username: user,
  privateKey: fs.readFileSync(keyFile),
});
process.on('SIGTERM', () => client.end());
