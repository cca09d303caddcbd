import { setTimeout as sleep } from 'node:timers/promises';
import type { StaffRole } from '../../functions/manifest.ts';
import { descendantsOf, isThere, spawnSystem } from '../local/child-process.ts';
import type { Dice } from '../simulation/prng.ts';
import type { Tally } from './statistics.ts';

/** Somebody who asks, with a token; a machine and whoever holds a link have none. */
export type Asker = { readonly email: string; readonly roles?: readonly StaffRole[] };

export type Asking = {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  readonly as?: Asker;
  readonly idempotencyKey?: string;
};

/** What was answered in the end, and how often the same had to be sent again for it because an answer was lost. */
export type Heard = { readonly status: number; readonly body: unknown; readonly text: string; readonly lost: number };

/** Asks once; undefined when the answer was lost. */
export type Once = (asking: Asking) => Promise<Omit<Heard, 'lost'> | undefined>;

/** The local system on one folder, which is killed and comes back, and a client that never gives up. */
export type Victim = {
  readonly tally: Tally;
  /** All that was found wrong so far: here, faults that were answered while nobody was killing it, and failed starts. */
  readonly wrong: string[];
  /** Sends the same until it is answered. Once the run was ended, throws `Ended`. */
  ask(asking: Asking): Promise<Heard>;
  /** Winds the clock on while nothing else is asked. */
  wind(duration: string): Promise<void>;
  /** The engine's address, once it runs and until it is killed. */
  readonly engine: () => string;
  /**
   * Starts it, and lets `settle` look at it before anybody else may, and say what is wrong; comes back when it is open to
   * all, or killed.
   */
  start(settle: (ask: Once) => Promise<readonly string[]>): Promise<void>;
  /** Ends its process and its engine's as a power cut would: if it is open to all, while it is answering somebody. */
  kill(dice: Dice): Promise<void>;
  /** Ends it for good. From then on whoever asks or starts it is thrown `Ended`. */
  end(): Promise<void>;
};

export class Ended extends Error {}

export function victimIn(folder: string, tally: Tally): Victim {
  const wrong: string[] = [];
  const tokens = new Map<string, string>();
  let spawned: ReturnType<typeof spawnSystem> | undefined;
  let address = '';
  let engine = '';
  let isDying = false;
  let isOpen = false;
  let ended = false;
  let open = Promise.withResolvers<void>();
  let underWay = 0;
  let winding: Promise<void> = Promise.resolve();

  const once: Once = async (asking) => {
    const { method, path, body, as, idempotencyKey } = asking;
    const life = spawned;
    underWay += 1;
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
        if (response.status !== 503 && !isDying && life === spawned)
          wrong.push(`${method} ${path} was answered ${response.status}: ${text}`);
        return undefined;
      }
      return { status: response.status, text, body: text.startsWith('{') ? JSON.parse(text) : undefined };
    } catch (error) {
      if (!isDying && life === spawned)
        wrong.push(`${method} ${path} was not answered, and nobody was killed: ${error}`);
      return undefined;
    } finally {
      underWay -= 1;
    }
  };

  const tokenOf = async ({ email, roles = [] }: Asker): Promise<string> => {
    const known = tokens.get(`${email} ${roles.join()}`);
    if (known !== undefined) return known;
    const response = await fetch(`${address}/_local/tokens`, {
      method: 'POST',
      body: JSON.stringify({ email, roles }),
    });
    const { token } = (await response.json()) as { token: string };
    tokens.set(`${email} ${roles.join()}`, token);
    return token;
  };

  /** Sends it until it is answered, in turn with nobody. */
  const persist = async (asking: Asking, mayGo: () => Promise<void>): Promise<Heard> => {
    for (let lost = 0; ; ) {
      await mayGo();
      if (ended) throw new Ended();
      const heard = await once(asking);
      if (heard === undefined) {
        lost += 1;
        tally.repeated += 1;
        if (lost === 1) tally.inDoubt += 1;
        await sleep(20);
      } else if (heard.status === 401) {
        tokens.clear();
      } else if (heard.text.includes('"request-in-progress"')) {
        // The first was killed at work; after a minute it counts as lost.
        tally.stillRunning += 1;
        await victim.wind('PT61S');
      } else {
        tally.acknowledged += 1;
        return { ...heard, lost };
      }
    }
  };

  const victim: Victim = {
    tally,
    wrong,
    engine: () => engine,
    ask: (asking) =>
      persist(asking, async () => {
        for (let seen: unknown; seen !== winding; ) {
          seen = winding;
          await open.promise;
          await winding;
        }
      }),
    wind: async (duration) => {
      // Quiet would never come while others go on asking.
      const before = winding;
      const mine = Promise.withResolvers<void>();
      winding = mine.promise;
      try {
        await before;
        while (underWay > 0) await sleep(2);
        const heard = await persist(
          { method: 'POST', path: '/_local/clock', body: { advance: duration } },
          () => open.promise,
        );
        if (heard.status !== 200) wrong.push(`The clock was not wound: ${heard.text}`);
        tally.windings += 1;
      } finally {
        mine.resolve();
      }
    },

    start: async (settle) => {
      if (ended) throw new Ended();
      isDying = false;
      const life = spawnSystem({ DATA: folder });
      spawned = life;
      const answered = await life.ready;
      if (isDying) return;
      if (answered === undefined) {
        wrong.push(`It did not start: ${life.err()}`);
        return;
      }
      address = answered;
      engine = /DynamoDB\s+(http\S+)/.exec(life.out())?.[1] ?? '';
      const found = await settle(once).catch((error: unknown) => [`It could not be looked at: ${error}`]);
      // What was looked at while it was being killed proves nothing.
      if (isDying) return;
      wrong.push(...found);
      isOpen = true;
      open.resolve();
    },

    kill: async (dice) => {
      const life = spawned;
      if (life === undefined) return;
      const everything = [life.pid, ...descendantsOf(life.pid)];
      while (isOpen && underWay === 0 && !ended) await sleep(1);
      isDying = true;
      if (isOpen) open = Promise.withResolvers();
      else tally.killsBeforeReady += 1;
      isOpen = false;
      tally.kills += 1;
      for (const pid of dice.chance(0.5) ? everything : everything.toReversed()) {
        killOutright(pid);
        if (dice.chance(0.3)) await sleep(dice.below(4));
      }
      await life.ended;
      while (everything.some(isThere)) await sleep(5);
    },

    end: async () => {
      ended = true;
      isDying = true;
      open.resolve();
      if (spawned === undefined) return;
      const everything = [spawned.pid, ...descendantsOf(spawned.pid)];
      everything.forEach(killOutright);
      await spawned.ended;
      while (everything.some(isThere)) await sleep(5);
    },
  };
  return victim;
}

function killOutright(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself between two looks.
  }
}
