import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { StartupError } from './startup-error.ts';

/** A port that already accepts requests. Requests wait until `open` sets their listener. */
export type ReservedPort = {
  readonly port: number;
  /** Passes the waiting requests and all later ones to this listener. */
  open(listener: RequestListener): void;
  /** Refuses new requests, waits a short time for open ones, and frees the port. A second call does nothing more. */
  close(): Promise<void>;
};

const closeTimeoutMilliseconds = 2_000;

/**
 * Listens on a port of both loopback addresses. No other address is safe: a client of the local system can sign in as
 * anybody. Port 0 selects a free port. Throws StartupError when the port is in use or this user may not take it.
 */
export async function reservePort(port: number): Promise<ReservedPort> {
  const listenerReady = Promise.withResolvers<RequestListener>();
  const waitForListener: RequestListener = (request, response) => {
    void listenerReady.promise.then((listener) => listener(request, response));
  };
  // The operating system finds a port that is free on the first address. It can be in use on the second.
  for (let attemptsLeft = port === 0 ? 10 : 1; ; attemptsLeft -= 1) {
    const first = await listen('127.0.0.1', port, waitForListener);
    if (typeof first === 'string') throw new StartupError(portErrorMessage(port, first));
    const boundPort = portOf(first);
    const second = await listen('::1', boundPort, waitForListener);
    if (second !== 'EADDRINUSE') {
      // A machine without IPv6 has the first address only.
      const servers = typeof second === 'string' ? [first] : [first, second];
      let closed: Promise<unknown> | undefined;
      return {
        port: boundPort,
        open: listenerReady.resolve,
        close: async () => {
          closed ??= Promise.all(servers.map(closeGracefully));
          await closed;
        },
      };
    }
    await closeGracefully(first);
    if (attemptsLeft <= 1) throw new StartupError(portErrorMessage(boundPort, second));
  }
}

/** Returns a listening server, or the code of the system error that prevents it. */
async function listen(host: string, port: number, listener: RequestListener): Promise<Server | string> {
  const server = createServer(listener);
  server.listen(port, host);
  try {
    await once(server, 'listening');
    return server;
  } catch (error) {
    if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
    throw error;
  }
}

function portErrorMessage(port: number, code: string): string {
  return code === 'EADDRINUSE'
    ? `Port ${port} is in use. Stop the process that uses it, or choose another port with PORT=…; PORT=0 selects a free port.`
    : `Port ${port} cannot be used (${code}). Choose another port with PORT=…; PORT=0 selects a free port.`;
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');
  return address.port;
}

async function closeGracefully(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  // Clients keep their connections open after a response. No further request is accepted, so these can close.
  const idleTimer = setInterval(() => server.closeIdleConnections(), 20);
  const forceTimer = setTimeout(() => server.closeAllConnections(), closeTimeoutMilliseconds);
  await closed;
  clearInterval(idleTimer);
  clearTimeout(forceTimer);
}

/** Returns a port of loopback that is free now. In rare cases, another process takes it before the caller does. */
export async function freePort(): Promise<number> {
  const probe = createTcpServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');
  return address.port;
}
