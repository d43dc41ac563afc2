import { createServer as createHttpServer } from 'node:http';
import { createServer as createNetServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { once } from 'node:events';
import { Dealer, Router } from 'zeromq';
import { connect as connectTls } from 'node:tls';
import { connect as connectNet } from 'node:net';
import { Client } from 'undici';
import { deriveRunKeys } from '../infra/sync/curve-keys.ts';

/** Ways to send a header and a body to another process and get as much back. */
export const TRANSPORTS = ['zeromq', 'zeromq + CURVE', 'zeromq over ipc', 'net', 'net + TLS', 'HTTP'] as const;
export type Transport = (typeof TRANSPORTS)[number];

export interface Echo {
  /** Sends both and resolves with the body that came back. */
  ask(header: Buffer, body: Buffer): Promise<Buffer>;
  close(): void;
}

const keys = deriveRunKeys('the secret of the transport bench', 'run');
const PSK = Buffer.from('the pre-shared key of the bench');
/** With a shared key, as CURVE here: TLS without certificates ends at 1.2. */
const TLS = { ciphers: 'PSK-AES128-GCM-SHA256', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;

/** Answers each message with itself, until the process ends; resolves with the address. */
export async function serveEcho(transport: Transport, folder: string): Promise<string> {
  switch (transport) {
    case 'zeromq':
    case 'zeromq + CURVE':
    case 'zeromq over ipc': {
      const curve = { curveServer: true, curveSecretKey: keys.server.secretKey };
      const router = new Router({ linger: 0, ...(transport === 'zeromq + CURVE' ? curve : {}) });
      await router.bind(transport === 'zeromq over ipc' ? `ipc://${folder}/echo` : 'tcp://127.0.0.1:*');
      void (async () => {
        for await (const parts of router) await router.send(parts);
      })();
      return router.lastEndpoint ?? '';
    }
    case 'net':
    case 'net + TLS': {
      const serve = (socket: Socket): void => {
        socket.setNoDelay(true);
        readFrames(socket, (parts) => sendFrame(socket, parts));
      };
      const server: Server =
        transport === 'net' ? createNetServer(serve) : createTlsServer({ ...TLS, pskCallback: () => PSK }, serve);
      return listen(server);
    }
    case 'HTTP':
      return listen(
        createHttpServer((request, response) => {
          const chunks: Buffer[] = [];
          request.on('data', (chunk: Buffer) => chunks.push(chunk));
          request.on('end', () => {
            const length = Number(request.headers['content-length']);
            response.writeHead(200, { 'content-length': length, 'x-header': request.headers['x-header'] });
            for (const chunk of chunks) response.write(chunk);
            response.end();
          });
        }),
      );
  }
}

/** The other end, in this process. */
export async function connectEcho(transport: Transport, address: string): Promise<Echo> {
  switch (transport) {
    case 'zeromq':
    case 'zeromq + CURVE':
    case 'zeromq over ipc': {
      const { publicKey, secretKey } = keys.client;
      const curve = { curveServerKey: keys.server.publicKey, curvePublicKey: publicKey, curveSecretKey: secretKey };
      const dealer = new Dealer({ linger: 0, ...(transport === 'zeromq + CURVE' ? curve : {}) });
      dealer.connect(address);
      return {
        async ask(header, body) {
          await dealer.send([header, body]);
          return (await dealer.receive())[1]!;
        },
        close: () => dealer.close(),
      };
    }
    case 'net':
    case 'net + TLS': {
      const port = Number(address);
      const psk = { pskCallback: () => ({ psk: PSK, identity: 'bench' }), checkServerIdentity: () => undefined };
      const socket =
        transport === 'net'
          ? connectNet({ host: '127.0.0.1', port })
          : connectTls({ host: '127.0.0.1', port, ...TLS, ...psk });
      await once(socket, transport === 'net' ? 'connect' : 'secureConnect');
      socket.setNoDelay(true);
      let told: (body: Buffer) => void = () => undefined;
      readFrames(socket, ([, body]) => told(body));
      return {
        ask: (header, body) =>
          new Promise((resolve) => {
            told = resolve;
            sendFrame(socket, [header, body]);
          }),
        close: () => socket.destroy(),
      };
    }
    case 'HTTP': {
      const client = new Client(`http://127.0.0.1:${address}`);
      return {
        async ask(header, body) {
          const headers = { 'x-header': header.toString('base64') };
          const response = await client.request({ method: 'POST', path: '/', headers, body });
          return Buffer.from(await response.body.arrayBuffer());
        },
        close: () => void client.destroy(),
      };
    }
  }
}

async function listen(server: Server): Promise<string> {
  server.listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  return String((server.address() as AddressInfo).port);
}

function sendFrame(socket: Socket, [header, body]: readonly [Buffer, Buffer]): void {
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32LE(header.length, 0);
  lengths.writeUInt32LE(body.length, 4);
  socket.cork();
  socket.write(lengths);
  socket.write(header);
  socket.write(body);
  socket.uncork();
}

/** Header and body of each frame; a body is gathered in one buffer of its size, so that it may be read as floats. */
function readFrames(socket: Socket, tell: (parts: [Buffer, Buffer]) => void): void {
  const lengths = Buffer.alloc(8);
  let parts: Buffer[] = [lengths];
  let filled = 0;
  socket.on('data', (chunk: Buffer) => {
    let at = 0;
    while (at < chunk.length) {
      const part = parts.at(-1)!;
      const copied = chunk.copy(part, filled, at);
      at += copied;
      filled += copied;
      if (filled < part.length) return;
      filled = 0;
      if (parts.length === 1) parts.push(Buffer.allocUnsafeSlow(lengths.readUInt32LE(0)));
      else if (parts.length === 2) parts.push(Buffer.allocUnsafeSlow(lengths.readUInt32LE(4)));
      else {
        tell([parts[1]!, parts[2]!]);
        parts = [lengths];
      }
    }
  });
}
