import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { CannotStart } from './emulators/dynamodb.ts';

/** The port that everybody comes in by. Whoever comes before it is opened waits. */
export type Door = {
  readonly port: number;
  /** From now on requests are answered by this listener. */
  open(listener: RequestListener): void;
  /** Takes no new requests, gives those that are under way a moment to end, and frees the port. Twice is as once. */
  close(): Promise<void>;
};

const patienceMilliseconds = 2_000;

/**
 * Takes a port on this machine alone, by both of its own addresses: whoever reaches the local system may sign in as
 * anybody. Port 0 is any free one. Throws CannotStart when the port is in use, or not for this user to take.
 */
export async function takePort(port: number): Promise<Door> {
  const opened = Promise.withResolvers<RequestListener>();
  const hold: RequestListener = (request, response) => {
    void opened.promise.then((listener) => listener(request, response));
  };
  // A free port is free on the first address only: on the second somebody else may have it.
  for (let triesLeft = port === 0 ? 10 : 1; ; triesLeft -= 1) {
    const first = await listen('127.0.0.1', port, hold);
    if (typeof first === 'string') throw new CannotStart(complaint(port, first));
    const taken = portOf(first);
    const second = await listen('::1', taken, hold);
    if (second !== 'EADDRINUSE') {
      // A machine without IPv6 has the first address only.
      const servers = typeof second === 'string' ? [first] : [first, second];
      let closed: Promise<unknown> | undefined;
      return {
        port: taken,
        open: opened.resolve,
        close: async () => {
          closed ??= Promise.all(servers.map(closeGently));
          await closed;
        },
      };
    }
    await closeGently(first);
    if (triesLeft <= 1) throw new CannotStart(complaint(taken, second));
  }
}

/** Listens, or answers with the code of why that is not possible. */
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

function complaint(port: number, code: string): string {
  return code === 'EADDRINUSE'
    ? `Port ${port} is in use. Stop what uses it, or choose another with PORT=…; PORT=0 takes any free one.`
    : `Port ${port} cannot be taken (${code}). Choose another with PORT=…; PORT=0 takes any free one.`;
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');
  return address.port;
}

async function closeGently(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  // Those that have got their answer keep their connection for the next question, and there is none.
  const idle = setInterval(() => server.closeIdleConnections(), 20);
  const impatient = setTimeout(() => server.closeAllConnections(), patienceMilliseconds);
  await closed;
  clearInterval(idle);
  clearTimeout(impatient);
}
