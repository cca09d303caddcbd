import { once } from 'node:events';
import { createServer } from 'node:net';

/** A port of loopback that is free now. It is taken a moment later, so somebody else may, rarely, be quicker. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');
  return address.port;
}
