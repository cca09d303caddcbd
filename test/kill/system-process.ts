import { setTimeout as sleep } from 'node:timers/promises';
import type { StaffRole } from '../../functions/manifest.ts';
import { descendantsOf, isRunning, spawnSystem } from '../local/child-process.ts';
import type { Prng } from '../simulation/prng.ts';
import type { Statistics } from './statistics.ts';

/** Somebody who asks, with a token; a machine and whoever holds a link have none. */
export type Caller = { readonly email: string; readonly roles?: readonly StaffRole[] };

export type HttpRequest = {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  readonly as?: Caller;
  readonly idempotencyKey?: string;
};

/** What was answered in the end, and how often the same had to be sent again for it because an answer was lost. */
export type AnsweredRequest = {
  readonly status: number;
  readonly body: unknown;
  readonly text: string;
  readonly lost: number;
};

/** Asks once; undefined when the answer was lost. */
export type SendOnce = (asking: HttpRequest) => Promise<Omit<AnsweredRequest, 'lost'> | undefined>;

/** The local system on one folder, which is killed and comes back, and a client that never gives up. */
export type SystemProcess = {
  readonly statistics: Statistics;
  /** All that was found wrong so far: here, faults that were answered while nobody was killing it, and failed starts. */
  readonly problems: string[];
  /** Sends the same until it is answered. Once the run was ended, throws `Ended`. */
  send(asking: HttpRequest): Promise<AnsweredRequest>;
  /** Winds the clock on while nothing else is asked. */
  advanceClock(duration: string): Promise<void>;
  /** The engine's address, once it runs and until it is killed. */
  readonly engine: () => string;
  /**
   * Starts it, and lets `settle` look at it before anybody else may, and say what is wrong; comes back when it is open to
   * all, or killed.
   */
  start(settle: (send: SendOnce) => Promise<readonly string[]>): Promise<void>;
  /** Ends its process and its engine's as a power cut would: if it is open to all, while it is answering somebody. */
  kill(dice: Prng): Promise<void>;
  /** Ends it for good. From then on whoever asks or starts it is thrown `Ended`. */
  end(): Promise<void>;
};

export class RunEndedError extends Error {}

export function createSystemProcess(folder: string, statistics: Statistics): SystemProcess {
  const problems: string[] = [];
  const tokens = new Map<string, string>();
  let spawned: ReturnType<typeof spawnSystem> | undefined;
  let address = '';
  let engine = '';
  let isDying = false;
  let isOpen = false;
  let hasEnded = false;
  let open = Promise.withResolvers<void>();
  let requestsInFlight = 0;
  let advancing: Promise<void> = Promise.resolve();

  const sendOnce: SendOnce = async (request) => {
    const { method, path, body, as, idempotencyKey } = request;
    const child = spawned;
    requestsInFlight += 1;
    try {
      const token = as === undefined ? undefined : await tokenOf(as);
      const isForm = body instanceof URLSearchParams;
      const response = await fetch(`${address}${path}`, {
        method,
        headers: {
          accept: 'application/json',
          ...(body === undefined || isForm ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
        },
        ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      if (response.status >= 500) {
        // One that is too busy says so, and is asked again.
        if (response.status !== 503 && !isDying && child === spawned)
          problems.push(`${method} ${path} was answered ${response.status}: ${text}`);
        return undefined;
      }
      return { status: response.status, text, body: text.startsWith('{') ? JSON.parse(text) : undefined };
    } catch (error) {
      if (!isDying && child === spawned)
        problems.push(`${method} ${path} was not answered, and nobody was killed: ${error}`);
      return undefined;
    } finally {
      requestsInFlight -= 1;
    }
  };

  const tokenOf = async ({ email, roles = [] }: Caller): Promise<string> => {
    const cached = tokens.get(`${email} ${roles.join()}`);
    if (cached !== undefined) return cached;
    const response = await fetch(`${address}/_local/tokens`, {
      method: 'POST',
      body: JSON.stringify({ email, roles }),
    });
    const { token } = (await response.json()) as { token: string };
    tokens.set(`${email} ${roles.join()}`, token);
    return token;
  };

  /** Sends it until it is answered, in turn with nobody. */
  const sendUntilAnswered = async (
    request: HttpRequest,
    waitForTurn: () => Promise<void>,
  ): Promise<AnsweredRequest> => {
    for (let lost = 0; ; ) {
      await waitForTurn();
      if (hasEnded) throw new RunEndedError();
      const response = await sendOnce(request);
      if (response === undefined) {
        lost += 1;
        statistics.retries += 1;
        if (lost === 1) statistics.unanswered += 1;
        await sleep(20);
      } else if (response.status === 401) {
        tokens.clear();
      } else if (response.text.includes('"request-in-progress"')) {
        // The first was killed at work; after a minute it counts as lost.
        statistics.stillInProgress += 1;
        await system.advanceClock('PT61S');
      } else {
        statistics.acknowledged += 1;
        return { ...response, lost };
      }
    }
  };

  const system: SystemProcess = {
    statistics,
    problems,
    engine: () => engine,
    send: (request) =>
      sendUntilAnswered(request, async () => {
        for (let current: unknown; current !== advancing; ) {
          current = advancing;
          await open.promise;
          await advancing;
        }
      }),
    advanceClock: async (duration) => {
      // Quiet would never come while others go on asking.
      const previous = advancing;
      const turn = Promise.withResolvers<void>();
      advancing = turn.promise;
      try {
        await previous;
        while (requestsInFlight > 0) await sleep(2);
        const response = await sendUntilAnswered(
          { method: 'POST', path: '/_local/clock', body: { advance: duration } },
          () => open.promise,
        );
        if (response.status !== 200) problems.push(`The clock was not wound: ${response.text}`);
        statistics.clockAdvances += 1;
      } finally {
        turn.resolve();
      }
    },

    start: async (inspect) => {
      if (hasEnded) throw new RunEndedError();
      isDying = false;
      const child = spawnSystem({ DATA: folder });
      spawned = child;
      const readyAddress = await child.ready;
      if (isDying) return;
      if (readyAddress === undefined) {
        problems.push(`It did not start: ${child.err()}`);
        return;
      }
      address = readyAddress;
      engine = /DynamoDB\s+(http\S+)/.exec(child.out())?.[1] ?? '';
      const findings = await inspect(sendOnce).catch((error: unknown) => [`It could not be looked at: ${error}`]);
      // What was looked at while it was being killed proves nothing.
      if (isDying) return;
      problems.push(...findings);
      isOpen = true;
      open.resolve();
    },

    kill: async (prng) => {
      const child = spawned;
      if (child === undefined) return;
      const processIds = [child.pid, ...descendantsOf(child.pid)];
      while (isOpen && requestsInFlight === 0 && !hasEnded) await sleep(1);
      isDying = true;
      if (isOpen) open = Promise.withResolvers();
      else statistics.killsBeforeReady += 1;
      isOpen = false;
      statistics.kills += 1;
      for (const pid of prng.chance(0.5) ? processIds : processIds.toReversed()) {
        killProcess(pid);
        if (prng.chance(0.3)) await sleep(prng.below(4));
      }
      await child.ended;
      while (processIds.some(isRunning)) await sleep(5);
    },

    end: async () => {
      hasEnded = true;
      isDying = true;
      open.resolve();
      if (spawned === undefined) return;
      const processIds = [spawned.pid, ...descendantsOf(spawned.pid)];
      processIds.forEach(killProcess);
      await spawned.ended;
      while (processIds.some(isRunning)) await sleep(5);
    },
  };
  return system;
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself between two looks.
  }
}
