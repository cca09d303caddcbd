import { setTimeout as sleep } from 'node:timers/promises';
import type { StaffRole } from '../../functions/manifest.ts';
import { descendantsOf, isRunning, spawnSystem } from '../local/child-process.ts';
import type { Prng } from '../simulation/prng.ts';
import type { Statistics } from './statistics.ts';

/** A caller with a token. Computers and people with a link have none. */
export type Caller = { readonly email: string; readonly roles?: readonly StaffRole[] };

export type HttpRequest = {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  readonly caller?: Caller;
  readonly idempotencyKey?: string;
};

/** The response to a request, and how many responses were lost before it. */
export type HttpResponse = {
  readonly status: number;
  readonly body: unknown;
  readonly text: string;
  readonly lostResponses: number;
};

/** Sends a request once. Returns undefined when the response is lost. */
export type SendOnce = (request: HttpRequest) => Promise<Omit<HttpResponse, 'lostResponses'> | undefined>;

/**
 * The local system on one folder, which is killed and restarted, and a client that retries until it gets a response.
 */
export type SystemProcess = {
  readonly statistics: Statistics;
  /** Errors that the process shows by itself: failed starts, and failed or missing responses without a kill. */
  readonly problems: string[];
  /** Sends a request until there is a response. After `end`, it throws `RunEndedError`. */
  send(request: HttpRequest): Promise<HttpResponse>;
  /** Advances the clock while no other request is in flight. */
  advanceClock(duration: string): Promise<void>;
  /** Returns the endpoint of the DynamoDB emulator. It is valid while the system runs. */
  readonly dynamoDbEndpoint: () => string;
  /**
   * Starts the system. `inspect` checks it before any other client can send a request, and returns the problems that it
   * found. Resolves when the system serves all clients, or is killed.
   */
  start(inspect: (send: SendOnce) => Promise<readonly string[]>): Promise<void>;
  /** Kills the system and its emulator, as a power failure would. If it serves clients, a request is in flight then. */
  kill(prng: Prng): Promise<void>;
  /** Ends the system for good. From then on, `send` and `start` throw `RunEndedError`. */
  end(): Promise<void>;
};

export class RunEndedError extends Error {}

export function createSystemProcess(folder: string, statistics: Statistics): SystemProcess {
  const problems: string[] = [];
  const tokens = new Map<string, string>();
  let current: ReturnType<typeof spawnSystem> | undefined;
  let address = '';
  let dynamoDbEndpoint = '';
  let isBeingKilled = false;
  let isServing = false;
  let hasEnded = false;
  let serving = Promise.withResolvers<void>();
  let requestsInFlight = 0;
  let advancing: Promise<void> = Promise.resolve();

  const sendOnce: SendOnce = async (request) => {
    const { method, path, body, caller, idempotencyKey } = request;
    const child = current;
    requestsInFlight += 1;
    try {
      const token = caller === undefined ? undefined : await tokenOf(caller);
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
        // 503 is not an error: it asks the client to retry.
        if (response.status !== 503 && !isBeingKilled && child === current)
          problems.push(`${method} ${path} returned ${response.status}: ${text}`);
        return undefined;
      }
      return { status: response.status, text, body: text.startsWith('{') ? JSON.parse(text) : undefined };
    } catch (error) {
      if (!isBeingKilled && child === current)
        problems.push(`${method} ${path} got no response, without a kill: ${error}`);
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

  /** Sends a request until there is a response. Waits for `turn` before each attempt. */
  const sendUntilResponse = async (request: HttpRequest, turn: () => Promise<void>): Promise<HttpResponse> => {
    for (let lostResponses = 0; ; ) {
      await turn();
      if (hasEnded) throw new RunEndedError();
      const response = await sendOnce(request);
      if (response === undefined) {
        lostResponses += 1;
        statistics.retries += 1;
        if (lostResponses === 1) statistics.lostResponses += 1;
        await sleep(20);
      } else if (response.status === 401) {
        tokens.clear();
      } else if (response.text.includes('"request-in-progress"')) {
        // The first attempt was killed. Its idempotency key can be claimed again after a minute.
        statistics.stillInProgress += 1;
        await system.advanceClock('PT61S');
      } else {
        statistics.acknowledged += 1;
        return { ...response, lostResponses };
      }
    }
  };

  const system: SystemProcess = {
    statistics,
    problems,
    dynamoDbEndpoint: () => dynamoDbEndpoint,
    send: (request) =>
      sendUntilResponse(request, async () => {
        for (let awaited: unknown; awaited !== advancing; ) {
          awaited = advancing;
          await serving.promise;
          await advancing;
        }
      }),
    advanceClock: async (duration) => {
      // The system becomes idle only while no other client sends requests.
      const previous = advancing;
      const turn = Promise.withResolvers<void>();
      advancing = turn.promise;
      try {
        await previous;
        while (requestsInFlight > 0) await sleep(2);
        const response = await sendUntilResponse(
          { method: 'POST', path: '/_local/clock', body: { advance: duration } },
          () => serving.promise,
        );
        if (response.status !== 200) problems.push(`The clock did not advance: ${response.text}`);
        statistics.clockAdvances += 1;
      } finally {
        turn.resolve();
      }
    },

    start: async (inspect) => {
      if (hasEnded) throw new RunEndedError();
      isBeingKilled = false;
      const child = spawnSystem({ DATA: folder });
      current = child;
      const readyAddress = await child.ready;
      if (isBeingKilled) return;
      if (readyAddress === undefined) {
        problems.push(`The system did not start: ${child.err()}`);
        return;
      }
      address = readyAddress;
      dynamoDbEndpoint = /DynamoDB\s+(http\S+)/.exec(child.out())?.[1] ?? '';
      const findings = await inspect(sendOnce).catch((error: unknown) => [`The inspection failed: ${error}`]);
      // An inspection that a kill interrupted proves nothing.
      if (isBeingKilled) return;
      problems.push(...findings);
      isServing = true;
      serving.resolve();
    },

    kill: async (prng) => {
      const child = current;
      if (child === undefined) return;
      const processIds = [child.pid, ...descendantsOf(child.pid)];
      while (isServing && requestsInFlight === 0 && !hasEnded) await sleep(1);
      isBeingKilled = true;
      if (isServing) serving = Promise.withResolvers();
      else statistics.killsBeforeReady += 1;
      isServing = false;
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
      isBeingKilled = true;
      serving.resolve();
      if (current === undefined) return;
      const processIds = [current.pid, ...descendantsOf(current.pid)];
      processIds.forEach(killProcess);
      await current.ended;
      while (processIds.some(isRunning)) await sleep(5);
    },
  };
  return system;
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // The process has already ended.
  }
}
