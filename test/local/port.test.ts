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

async function take(port = 0): Promise<ReservedPort> {
  const door = await reservePort(port);
  ends.push(door.close);
  return door;
}

async function listening(host: string): Promise<{ server: Server; port: number }> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  ends.push(async () => server.close());
  return { server, port: (server.address() as AddressInfo).port };
}

const hasIpv6 = Object.values(networkInterfaces()).some((each) => each?.some(({ address }) => address === '::1'));

describe('a port that is free', () => {
  it.each(['127.0.0.1', 'localhost', ...(hasIpv6 ? ['[::1]'] : [])])('is answered at as %s', async (host) => {
    const door = await take();
    door.open((_, response) => response.end('here'));
    expect(await (await fetch(`http://${host}:${door.port}`)).text()).toBe('here');
  });

  it('is not answered at from outside this machine', async () => {
    const door = await take();
    door.open((_, response) => response.end('here'));
    const outside = Object.values(networkInterfaces()).flatMap((each) =>
      (each ?? []).filter(({ internal, family }) => !internal && family === 'IPv4').map(({ address }) => address),
    );
    for (const address of outside) await expect(fetch(`http://${address}:${door.port}`)).rejects.toThrow();
  });

  it('lets those wait who come before it is opened, and answers them then', async () => {
    const door = await take();
    const early = fetch(`http://127.0.0.1:${door.port}`, { method: 'POST', body: 'early' });
    await sleep(50);
    door.open((request, response) => {
      request.pipe(response);
    });
    expect(await (await early).text()).toBe('early');
  });

  it('is given back when the door is closed, once what is under way has been answered', async () => {
    const door = await take();
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    door.open(async (_, response) => {
      asked.resolve();
      await answer.promise;
      response.end('at last');
    });
    const underWay = fetch(`http://127.0.0.1:${door.port}`);
    await asked.promise;
    const closed = door.close();
    answer.resolve();
    expect(await (await underWay).text()).toBe('at last');
    await closed;
    await expect(fetch(`http://127.0.0.1:${door.port}`)).rejects.toThrow();
    await take(door.port);
  });

  it('is given back all the same when somebody never gets an answer', async () => {
    const door = await take();
    const asked = Promise.withResolvers<void>();
    door.open(() => asked.resolve());
    const forgotten = fetch(`http://127.0.0.1:${door.port}`);
    const told = expect(forgotten).rejects.toThrow();
    await asked.promise;
    await door.close();
    await told;
  });
});

describe('a port that is in use', () => {
  it.each(['127.0.0.1', '0.0.0.0', ...(hasIpv6 ? ['::1', '::'] : [])])('at %s is told in one line', async (host) => {
    const { port } = await listening(host);
    await expect(reservePort(port)).rejects.toThrow(
      `Port ${port} is in use. Stop the process that uses it, or choose another port`,
    );
  });

  it('leaves nothing taken', async () => {
    const { port, server } = await listening('::1');
    await expect(reservePort(port)).rejects.toThrow('in use');
    server.close();
    await once(server, 'close');
    await take(port);
  });
});
