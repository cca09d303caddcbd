import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { type ReservedPort, reservePort } from '../../local/port.ts';

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function reserve(number = 0): Promise<ReservedPort> {
  const port = await reservePort(number);
  ends.push(port.close);
  return port;
}

async function listening(host: string): Promise<{ server: Server; port: number }> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  ends.push(async () => server.close());
  return { server, port: (server.address() as AddressInfo).port };
}

const hasIpv6 = Object.values(networkInterfaces()).some((each) => each?.some(({ address }) => address === '::1'));

describe('a port that is free', () => {
  it.each(['127.0.0.1', 'localhost', ...(hasIpv6 ? ['[::1]'] : [])])('accepts requests to %s', async (host) => {
    const port = await reserve();
    port.open((_, response) => response.end('here'));
    expect(await (await fetch(`http://${host}:${port.port}`)).text()).toBe('here');
  });

  it('accepts no requests from outside this machine', async () => {
    const port = await reserve();
    port.open((_, response) => response.end('here'));
    const outside = Object.values(networkInterfaces()).flatMap((each) =>
      (each ?? []).filter(({ internal, family }) => !internal && family === 'IPv4').map(({ address }) => address),
    );
    for (const address of outside) await expect(fetch(`http://${address}:${port.port}`)).rejects.toThrow();
  });

  it('holds requests until it has a listener', async () => {
    const port = await reserve();
    const early = fetch(`http://127.0.0.1:${port.port}`, { method: 'POST', body: 'early' });
    await sleep(50);
    port.open((request, response) => {
      request.pipe(response);
    });
    expect(await (await early).text()).toBe('early');
  });

  it('is released on close, after the response to a pending request', async () => {
    const port = await reserve();
    const received = Promise.withResolvers<void>();
    const mayRespond = Promise.withResolvers<void>();
    port.open(async (_, response) => {
      received.resolve();
      await mayRespond.promise;
      response.end('at last');
    });
    const pending = fetch(`http://127.0.0.1:${port.port}`);
    await received.promise;
    const closed = port.close();
    mayRespond.resolve();
    expect(await (await pending).text()).toBe('at last');
    await closed;
    await expect(fetch(`http://127.0.0.1:${port.port}`)).rejects.toThrow();
    await reserve(port.port);
  });

  it('is released on close even if a request gets no response', async () => {
    const port = await reserve();
    const received = Promise.withResolvers<void>();
    port.open(() => received.resolve());
    const unanswered = fetch(`http://127.0.0.1:${port.port}`);
    const rejection = expect(unanswered).rejects.toThrow();
    await received.promise;
    await port.close();
    await rejection;
  });
});

describe('a port that is in use', () => {
  it.each(['127.0.0.1', '0.0.0.0', ...(hasIpv6 ? ['::1', '::'] : [])])(
    'at %s is reported in one line',
    async (host) => {
      const { port } = await listening(host);
      await expect(reservePort(port)).rejects.toThrow(
        `Port ${port} is in use. Stop the process that uses it, or choose another port`,
      );
    },
  );

  it('leaves no address reserved', async () => {
    const { port, server } = await listening('::1');
    await expect(reservePort(port)).rejects.toThrow('in use');
    server.close();
    await once(server, 'close');
    await reserve(port);
  });
});
