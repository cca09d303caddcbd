import { once } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { problemType } from '../../functions/http/problems.ts';
import { problemCodes } from '../../functions/openapi/problem-schemas.ts';
import type { ReceivedResponse } from '../openapi-conformance.ts';
import { findViolations, isLocal, operationAt } from '../openapi-conformance.ts';
import type { CallApi, FuzzSystem } from './fuzz-system.ts';
import {
  collectLinks,
  customerAt,
  learn,
  learnProductKey,
  member,
  revealNewKeys,
  setUpFuzzSystem,
} from './fuzz-system.ts';
import type { FuzzRequest } from './request.ts';
import { curlOf, expectationsOf, toRequest } from './request.ts';
import type { Draft } from './request-arbitrary.ts';
import { anyDraft } from './request-arbitrary.ts';

export type Failure = {
  readonly route: string;
  readonly complaints: readonly string[];
  readonly status: number;
  readonly text: string;
  readonly curl: string;
};

export type Report = {
  readonly seed: number;
  readonly requests: number;
  /** How often each route answered with each status. */
  readonly tally: ReadonlyMap<string, ReadonlyMap<number, number>>;
  /** How often each problem code was answered. */
  readonly codes: ReadonlyMap<string, number>;
  readonly failures: readonly Failure[];
  readonly milliseconds: { readonly slowest: number; readonly slowestRoute: string };
};

/** After how many requests a mail box is looked into and new keys are shown, and after how many a day goes by. */
const requestsPerMailCheck = 40;
const requestsPerDay = 1_000;

/**
 * Sends so many requests to a system that has nothing yet, one after the other, and holds every answer against the
 * description. The same seed draws the same requests; ids and keys differ from system to system. Each failure is sent again
 * in smaller and smaller forms, and the smallest that still fails in the same way is told.
 */
export async function fuzz(address: string, requests: number, seed: number): Promise<Report> {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  try {
    const callApi = createApiClient(address, agent);
    const system = await setUpFuzzSystem(callApi);
    const run = createRun(system, callApi, (each) => send(address, agent, each));
    // Each failure ends a round; the next one goes on, and passes over what has been found.
    for (let round = 0; run.sent() < requests; round += 1) {
      await fc.check(fc.asyncProperty(anyDraft, run.holds).beforeEach(run.next), {
        seed: seed + round,
        numRuns: requests - run.sent(),
        maxSkipsPerRun: 0,
      });
      run.endRound();
    }
    return {
      seed,
      requests: run.sent(),
      ...run.found(),
      milliseconds: run.slowest(),
    };
  } finally {
    agent.destroy();
  }
}

function createRun(
  system: FuzzSystem,
  callApi: CallApi,
  sendRequest: (request: FuzzRequest) => Promise<ReceivedResponse>,
) {
  const tally = new Map<string, Map<number, number>>();
  const codes = new Map<string, number>();
  const failures = new Map<string, Failure>();
  let sent = 0;
  let shrinking: { readonly signature: string; smallest: Failure } | undefined;
  let slowest = { slowest: 0, slowestRoute: '' };

  const holds = async (draft: Draft): Promise<boolean> => {
    const request = toRequest(draft, system);
    const expectations = expectationsOf(request, draft, system);
    const startedAt = performance.now();
    const response = await sendRequest(request);
    const elapsed = performance.now() - startedAt;
    const described = operationAt(request.method, request.path);
    const unknownRoute = isLocal(request.path) ? 'the local system’s own' : 'nowhere';
    const route = described === undefined ? unknownRoute : `${described.method} ${described.path}`;
    if (elapsed > slowest.slowest) slowest = { slowest: elapsed, slowestRoute: route };
    const complaints = [
      ...(response.status >= 500 ? [`${response.status}: a fault of the service`] : []),
      ...(isLocal(request.path) ? [] : findViolations(request.method, request.path, response)),
      ...expectations
        .filter(({ holds: asExpected }) => !asExpected(response.status))
        .map(({ because }) => `${response.status}, although ${because}`),
      ...leakedKeysIn(response, route, system),
    ];
    if (response.status < 300) learnFromResponse(system, request, response);
    if (shrinking === undefined) {
      count(tally, route, response.status);
      const code = codeIn(response);
      if (code !== undefined && !isLocal(request.path)) codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    if (complaints.length === 0) return true;

    const signature = signatureOf(route, complaints);
    if (shrinking === undefined ? failures.has(signature) : shrinking.signature !== signature) return true;
    const failure = { route, complaints, status: response.status, text: response.text, curl: curlOf(request) };
    shrinking = { signature, smallest: failure };
    return false;
  };

  return {
    holds,
    next: async () => {
      if (shrinking !== undefined) return;
      sent += 1;
      if (sent % requestsPerMailCheck === 0) {
        await collectLinks(customerAt(system, sent / requestsPerMailCheck), callApi);
        await revealNewKeys(system, callApi);
      }
      if (sent % requestsPerDay === 0) await callApi('POST', '/_local/clock', { advance: 'P1D' });
    },
    endRound: () => {
      if (shrinking !== undefined) failures.set(shrinking.signature, shrinking.smallest);
      shrinking = undefined;
    },
    sent: () => sent,
    found: () => ({ tally, codes, failures: [...failures.values()] }),
    slowest: () => slowest,
  };
}

/** Two failures are the same when they differ in values only. */
function signatureOf(route: string, complaints: readonly string[]): string {
  const [first = ''] = complaints;
  return `${route}: ${first.replaceAll(/"[^"]*"|“[^”]*”|\d{4,}|\/\d+/g, '…').slice(0, 120)}`;
}

function count(tally: Map<string, Map<number, number>>, route: string, status: number, times = 1): void {
  const statuses = tally.get(route) ?? new Map<number, number>();
  tally.set(route, statuses.set(status, (statuses.get(status) ?? 0) + times));
}

function codeIn({ text, headers }: ReceivedResponse): string | undefined {
  if (headers.get('content-type') !== problemType) return undefined;
  const code = text === '' ? undefined : member(JSON.parse(text), 'code');
  return typeof code === 'string' ? code : undefined;
}

/** No answer but that of a reveal may hold a whole product key (KEY-6). */
function leakedKeysIn({ text }: ReceivedResponse, route: string, { customers }: FuzzSystem): readonly string[] {
  if (route === 'POST /keys/{keyId}/reveal') return [];
  const keys = customers.flatMap((customer) => customer.keys.flatMap(({ productKey }) => productKey ?? []));
  return keys.some((key) => text.includes(key) || text.includes(key.replaceAll('-', '')))
    ? ['shows a whole product key']
    : [];
}

function learnFromResponse(system: FuzzSystem, { path }: FuzzRequest, { text, headers }: ReceivedResponse): void {
  if (!(headers.get('content-type') ?? '').includes('json')) return;
  const body: unknown = JSON.parse(text);
  learn(system, body);
  const productKey = member(body, 'productKey');
  const [, , keyId = ''] = path.split('/');
  if (typeof productKey === 'string') learnProductKey(system, keyId, productKey);
}

// ---- The wire

async function send(
  address: string,
  agent: Agent,
  { method, path, headers, body }: FuzzRequest,
): Promise<ReceivedResponse> {
  const { hostname, port } = new URL(address);
  const sent = httpRequest({
    host: hostname,
    port,
    method,
    path,
    agent,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-length': body.length }) },
  });
  const arrived = once(sent, 'response');
  sent.end(body);
  const [response] = await arrived;
  const text = (await buffer(response)).toString('utf8');
  const received: Readonly<Record<string, string | string[] | undefined>> = response.headers;
  return {
    status: response.statusCode,
    headers: { get: (name) => received[name.toLowerCase()]?.toString() ?? null },
    text,
  };
}

function createApiClient(address: string, agent: Agent): CallApi {
  return async (method, path, body, token) => {
    const response = await send(address, agent, {
      method,
      path,
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: body === undefined ? undefined : Buffer.from(JSON.stringify(body)),
      caller: { name: '', roles: [], token },
    });
    return { status: response.status, body: response.text === '' ? undefined : JSON.parse(response.text) };
  };
}

/** Several runs as one. */
export function mergeReports(reports: readonly Report[], seed: number): Report {
  const tally = new Map<string, Map<number, number>>();
  const codes = new Map<string, number>();
  for (const report of reports) {
    for (const [route, statuses] of report.tally) {
      for (const [status, times] of statuses) count(tally, route, status, times);
    }
    for (const [code, times] of report.codes) codes.set(code, (codes.get(code) ?? 0) + times);
  }
  const failures = new Map(
    reports.flatMap((report) =>
      report.failures.map((failure) => [signatureOf(failure.route, failure.complaints), failure]),
    ),
  );
  const slowest = reports.reduce((one, other) => (one.milliseconds.slowest < other.milliseconds.slowest ? other : one));
  return {
    seed,
    requests: reports.reduce((sum, report) => sum + report.requests, 0),
    tally,
    codes,
    failures: [...failures.values()],
    milliseconds: slowest.milliseconds,
  };
}

// ---- The report

/** The report as it is printed: requests by route and status, then what failed, each with a command to see it again. */
export function formatReport({ seed, requests, tally, codes, failures, milliseconds }: Report): string {
  const statuses = [...new Set([...tally.values()].flatMap((each) => [...each.keys()]))].toSorted();
  const routes = [...tally.keys()].toSorted();
  const width = Math.max(...routes.map((route) => route.length));
  const cell = (text: string | number) => String(text).padStart(6);
  const rows = routes.map(
    (route) => route.padEnd(width) + statuses.map((status) => cell(tally.get(route)?.get(status) ?? '·')).join(''),
  );
  const never = routes.filter(
    (route) => route.includes('/') && ![...(tally.get(route)?.keys() ?? [])].some((status) => status < 300),
  );
  return [
    ' '.repeat(width) + statuses.map(cell).join(''),
    ...rows,
    '',
    `${requests} requests with seed ${seed}; the slowest took ${milliseconds.slowest.toFixed(0)} ms (${milliseconds.slowestRoute}).`,
    `Refused with: ${[...codes]
      .toSorted()
      .map(([code, times]) => `${code} ${times}`)
      .join(', ')}.`,
    `Never refused with: ${problemCodes.filter((code) => !codes.has(code)).join(', ')}.`,
    ...(never.length > 0 ? [`Never answered with success: ${never.join(', ')}.`] : []),
    failures.length === 0
      ? 'Every answer was as described.'
      : `${failures.length} kinds of answer were not as described:`,
    ...failures.flatMap(({ route, complaints, status, text, curl }) => [
      '',
      `${route} → ${status}`,
      ...complaints.map((complaint) => `  ${complaint}`),
      ...`${curl}`.split('\n').map((line) => `    ${line}`),
      `  ${text.slice(0, 600)}`,
    ]),
  ].join('\n');
}
