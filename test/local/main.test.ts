import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { SpawnedSystem } from './child-process.ts';
import { descendantsOf, hasCurl, isRunning, spawnSystem, stopAll, waitForAddress } from './child-process.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'main-'));
});
afterEach(async () => {
  await stopAll();
  rmSync(folder, { recursive: true });
});

async function allGone(pids: readonly number[]): Promise<boolean> {
  for (let tries = 0; tries < 200 && pids.some(isRunning); tries += 1) await sleep(25);
  return !pids.some(isRunning);
}

async function post(url: string, body: unknown, token?: string) {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.text() };
}

const get = async (url: string, token: string) =>
  (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).json() as Promise<unknown>;

const signIn = async (address: string, email: string, roles: readonly string[] = []) =>
  z.object({ token: z.string() }).parse(JSON.parse((await post(`${address}/_local/tokens`, { email, roles })).body))
    .token;

describe('a system that gets a signal', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'exits with 0 on %s and stops all its processes',
    async (signal) => {
      const system = spawnSystem();
      const address = await waitForAddress(system);
      const started = descendantsOf(system.pid);
      expect(started.length).toBeGreaterThan(0);
      // npm forwards a Ctrl-C that the terminal has already sent.
      system.kill(signal);
      system.kill(signal);
      expect(await system.ended).toBe(0);
      expect(await allGone(started)).toBe(true);
      expect(system.err()).toBe('');
      await expect(fetch(address)).rejects.toThrow();
    },
  );

  it('also stops all its processes during its start', async () => {
    const system = spawnSystem({ SEED: '' });
    let started: number[] = [];
    while (started.length === 0) {
      await sleep(10);
      started = descendantsOf(system.pid);
    }
    system.kill('SIGTERM');
    expect(await system.ended).toBe(0);
    expect(await allGone(started)).toBe(true);
    expect(system.err()).toBe('');
  });
});

describe('a system that is killed', () => {
  it('leaves no process behind', async () => {
    const system = spawnSystem();
    await waitForAddress(system);
    const started = descendantsOf(system.pid);
    system.kill('SIGKILL');
    await system.ended;
    expect(await allGone(started)).toBe(true);
  });

  it('ends with its parent process, and its engines end with it', async () => {
    const system = spawnSystem({}, { wrapper: ['sh', '-c', '"$@"; exit $?', 'sh'] });
    await waitForAddress(system);
    const started = descendantsOf(system.pid);
    expect(started.length).toBeGreaterThan(1);
    system.kill('SIGKILL');
    expect(await allGone(started)).toBe(true);
  });
});

describe('a system that cannot start', () => {
  /** Returns the error output of a system that must not start. */
  async function errorOutputOf(system: SpawnedSystem): Promise<string> {
    expect(await system.ended).toBe(1);
    expect(system.out()).toBe('');
    return system.err();
  }

  it('reports in one line that its port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    expect(await errorOutputOf(spawnSystem({ PORT: String(port) }))).toMatch(
      new RegExp(
        `^Port ${port} is in use\\. Stop the process that uses it, or choose another port with PORT=…[^\\n]*\\n$`,
      ),
    );
    other.close();
  });

  it('reports in one line that its port is not valid', async () => {
    expect(await errorOutputOf(spawnSystem({ PORT: 'http' }))).toMatch(/^PORT must be a number [^\n]*\n$/);
  });

  it('reports in one line that the external DynamoDB does not respond', async () => {
    const environment = { AWS_ENDPOINT_URL_DYNAMODB: 'http://127.0.0.1:1' };
    expect(await errorOutputOf(spawnSystem(environment))).toMatch(
      /^Nothing responds at http:\/\/127\.0\.0\.1:1\. [^\n]*\n$/,
    );
  });

  it('reports in one line that its data folder is a file', async () => {
    writeFileSync(join(folder, 'file'), '');
    expect(await errorOutputOf(spawnSystem({ DATA: join(folder, 'file') }))).toMatch(/^DATA is [^\n]*\n$/);
  });

  it('reports in one line that there is no engine for this machine', async () => {
    const preload = "Object.defineProperty(process, 'arch', { value: 's390x' });";
    expect(await errorOutputOf(spawnSystem({}, { preload }))).toMatch(
      /^There is no DynamoDB engine for this machine \(@dynoxide\/linux-s390x is not installed\)[^\n]*\n$/,
    );
  });
});

describe('a system whose engine ends unexpectedly', () => {
  it('reports it in one line and exits with 1', async () => {
    const system = spawnSystem();
    await waitForAddress(system);
    const engine = descendantsOf(system.pid).find((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]?.endsWith('/dynoxide'),
    );
    if (engine === undefined) throw new Error('the system has no engine');
    process.kill(engine, 'SIGKILL');
    expect(await system.ended).toBe(1);
    expect(system.err()).toMatch(/^The DynamoDB engine ended unexpectedly[^\n]*\n$/);
  });
});

describe('the data in a folder', () => {
  const Exception = z.object({ exceptionId: z.string(), status: z.string() });
  const Keys = z.object({ items: z.array(z.object({ type: z.string(), lastFive: z.string(), limit: z.number() })) });
  const Mails = z.object({ items: z.array(z.object({ text: z.string() })) });
  const Workflow = z.object({ states: z.array(z.object({ state: z.string() })) });

  it('survive a kill, and the link from an earlier email decides an open request', async () => {
    const killed = spawnSystem({ SEED: '', DATA: folder });
    const before = await waitForAddress(killed);
    const ada = await signIn(before, 'ada.lind@contoso.example');
    await post(`${before}/_local/clock`, { advance: 'P30D' });
    const mak = async (address: string) => {
      const { items } = Keys.parse(await get(`${address}/agreements/V4407182/keys`, ada));
      const found = items.find(({ type }) => type === 'MAK');
      if (found === undefined) throw new Error('Contoso has no MAK');
      return found;
    };
    const submitted = await post(
      `${before}/exceptions`,
      {
        kind: 'MAKADD',
        organizationName: 'Contoso Ltd',
        agreementNumber: 'V4407182',
        requester: { name: 'Ada Lind', email: 'ada.lind@contoso.example', phone: '+1 425 555 0100' },
        product: 'windows-vista-enterprise',
        keyLastFive: (await mak(before)).lastFive,
        activationsRequested: 150,
        businessReason: 'A new computer lab.',
        requiredDate: '2099-12-31',
      },
      ada,
    );
    expect(submitted).toMatchObject({ status: 202 });
    const { exceptionId } = Exception.parse(JSON.parse(submitted.body));
    const emailTextAt = async (address: string) => {
      for (let tries = 0; tries < 200; tries += 1) {
        const { items } = Mails.parse(await get(`${address}/_local/mail?to=noor.haddad@contoso.example`, ada));
        if (items[0] !== undefined) return items[0].text;
        await sleep(50);
      }
      throw new Error('There is no approval email.');
    };
    const text = await emailTextAt(before);
    const states = async (address: string) =>
      Workflow.parse(await get(`${address}/_local/workflows/${exceptionId}`, ada)).states.map(({ state }) => state);
    const statesBefore = await states(before);
    const clockBefore = z.object({ now: z.string() }).parse(await get(`${before}/_local/clock`, ada)).now;
    killed.kill('SIGKILL');
    await killed.ended;

    const after = await waitForAddress(spawnSystem({ SEED: '', DATA: folder, PORT: new URL(before).port }));
    expect(after).toBe(before);
    expect(z.object({ now: z.string() }).parse(await get(`${after}/_local/clock`, ada)).now > clockBefore).toBe(true);
    expect(await emailTextAt(after)).toBe(text);
    expect((await mak(after)).limit).toBe(50);
    const link = /^http\S+\/approvals\/\S+$/m.exec(text)?.[0] ?? '';
    const code = /^Code: (\d{6})$/m.exec(text)?.[1] ?? '';
    const decided = await fetch(link, { method: 'POST', body: new URLSearchParams({ code, decision: 'approve' }) });
    expect(decided.status).toBe(200);
    let status = '';
    for (let tries = 0; tries < 200 && status !== 'fulfilled'; tries += 1) {
      ({ status } = Exception.parse(await get(`${after}/exceptions/${exceptionId}`, ada)));
      await sleep(50);
    }
    expect(status).toBe('fulfilled');
    expect((await mak(after)).limit).toBe(200);
    const statesAfter = await states(after);
    expect(statesAfter.slice(0, statesBefore.length)).toEqual(statesBefore);
    expect(statesAfter).toContain('Raise the limit');
  });

  it('belong to one system at a time', async () => {
    await waitForAddress(spawnSystem({ DATA: folder }));
    const second = spawnSystem({ DATA: folder });
    expect(await second.ended).toBe(1);
    expect(second.err()).toMatch(/^Another system is using the data in [^\n]*\n$/);
  });
});

describe('the startup message', () => {
  /** Returns the commands to paste, unchanged. */
  function commandsIn(out: string): string {
    return out.slice(out.indexOf('To paste'), out.indexOf('Ctrl-C')).split('\n').slice(1, -3).join('\n');
  }

  it('fits 80 columns and ends with the ready line', async () => {
    const system = spawnSystem({ SEED: '' });
    const address = await waitForAddress(system);
    const lines = system.out().trimEnd().split('\n');
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines.at(-1)).toBe(`ready ${address}`);
    expect(system.out()).toContain('ada.lind@contoso.example');
    expect(system.out()).toContain(`${address}/_local/mailbox`);
  });

  it.runIf(hasCurl)('has commands that lead to an email to the Notices Correspondent', async () => {
    const system = spawnSystem({ SEED: '' });
    const address = await waitForAddress(system);
    const output = execFileSync('sh', ['-eu'], { input: commandsIn(system.out()), encoding: 'utf8' });
    for (const line of [/^"type":"MAK"/m, /^"limit":50\b/m, /^"used":48\b/m]) expect(output).toMatch(line);
    expect(output).toMatch(/"exceptionId":"EX-/);
    await post(`${address}/_local/clock`, { advance: 'PT0S' });
    const mails = await (await fetch(`${address}/_local/mail?to=noor.haddad@contoso.example`)).json();
    expect(mails).toMatchObject({ items: [{ subject: expect.stringContaining('150 more activations') }] });
  });

  it.runIf(hasCurl)('has commands that register an agreement with its key if there is no sample data', async () => {
    const system = spawnSystem();
    await waitForAddress(system);
    const output = execFileSync('sh', ['-eu'], { input: commandsIn(system.out()), encoding: 'utf8' });
    expect(output).toMatch(/"type":"KMS"|"items":\[\]/);
    expect(output).toContain('"agreementId":"V4407182"');
  });
});
