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
  member,
  recordProductKey,
  recordResponse,
  revealNewKeys,
  setUpFuzzSystem,
} from './fuzz-system.ts';
import type { FuzzRequest } from './request.ts';
import { curlOf, expectationsOf, toRequest } from './request.ts';
import type { Draft } from './request-arbitrary.ts';
import { anyDraft } from './request-arbitrary.ts';

export type Failure = {
  readonly route: string;
  readonly violations: readonly string[];
  readonly status: number;
  readonly text: string;
  readonly curl: string;
};

export type Report = {
  readonly seed: number;
  readonly requests: number;
  /** The number of responses by route and status. */
  readonly statusCounts: ReadonlyMap<string, ReadonlyMap<number, number>>;
  /** The number of problems by code. */
  readonly codes: ReadonlyMap<string, number>;
  readonly failures: readonly Failure[];
  readonly milliseconds: { readonly slowest: number; readonly slowestRoute: string };
};

/** The number of requests after which new links and keys are collected, and after which the clock advances by a day. */
const requestsPerMailboxCheck = 40;
const requestsPerDay = 1_000;

/**
 * Sends requests to an empty system, one after the other, and compares each response with the OpenAPI document. The
 * same seed generates the same requests; ids and keys differ between systems. A failing request is sent again in
 * smaller forms, and the smallest one that fails in the same way is reported.
 */
export async function fuzz(address: string, requests: number, seed: number): Promise<Report> {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  try {
    const callApi = createApiClient(address, agent);
    const system = await setUpFuzzSystem(callApi);
    const run = createRun(system, callApi, (each) => send(address, agent, each));
    // Each failure ends a round. The next round continues and ignores the failures that are already known.
    for (let round = 0; run.requestCount() < requests; round += 1) {
      await fc.check(fc.asyncProperty(anyDraft, run.isAsExpected).beforeEach(run.startRequest), {
        seed: seed + round,
        numRuns: requests - run.requestCount(),
        maxSkipsPerRun: 0,
      });
      run.endRound();
    }
    return {
      seed,
      requests: run.requestCount(),
      ...run.results(),
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
  const statusCounts = new Map<string, Map<number, number>>();
  const codes = new Map<string, number>();
  const failures = new Map<string, Failure>();
  let requestCount = 0;
  let shrinking: { readonly signature: string; smallest: Failure } | undefined;
  let slowest = { slowest: 0, slowestRoute: '' };

  const isAsExpected = async (draft: Draft): Promise<boolean> => {
    const request = toRequest(draft, system);
    const expectations = expectationsOf(request, draft, system);
    const startedAt = performance.now();
    const response = await sendRequest(request);
    const elapsed = performance.now() - startedAt;
    const described = operationAt(request.method, request.path);
    const unknownRoute = isLocal(request.path) ? 'a local route' : 'no route';
    const route = described === undefined ? unknownRoute : `${described.method} ${described.path}`;
    if (elapsed > slowest.slowest) slowest = { slowest: elapsed, slowestRoute: route };
    const violations = [
      ...(response.status >= 500 ? [`${response.status}: a fault of the service`] : []),
      ...(isLocal(request.path) ? [] : findViolations(request.method, request.path, response)),
      ...expectations
        .filter(({ allows }) => !allows(response.status))
        .map(({ because }) => `${response.status}, although ${because}`),
      ...leakedKeysIn(response, route, system),
    ];
    if (response.status < 300) recordSuccess(system, request, response);
    if (shrinking === undefined) {
      count(statusCounts, route, response.status);
      const code = codeIn(response);
      if (code !== undefined && !isLocal(request.path)) codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    if (violations.length === 0) return true;

    const signature = signatureOf(route, violations);
    if (shrinking === undefined ? failures.has(signature) : shrinking.signature !== signature) return true;
    const failure = { route, violations, status: response.status, text: response.text, curl: curlOf(request) };
    shrinking = { signature, smallest: failure };
    return false;
  };

  return {
    isAsExpected,
    startRequest: async () => {
      if (shrinking !== undefined) return;
      requestCount += 1;
      if (requestCount % requestsPerMailboxCheck === 0) {
        await collectLinks(customerAt(system, requestCount / requestsPerMailboxCheck), callApi);
        await revealNewKeys(system, callApi);
      }
      if (requestCount % requestsPerDay === 0) await callApi('POST', '/_local/clock', { advance: 'P1D' });
    },
    endRound: () => {
      if (shrinking !== undefined) failures.set(shrinking.signature, shrinking.smallest);
      shrinking = undefined;
    },
    requestCount: () => requestCount,
    results: () => ({ statusCounts, codes, failures: [...failures.values()] }),
    slowest: () => slowest,
  };
}

/** Returns the same text for failures that differ only in values. */
function signatureOf(route: string, violations: readonly string[]): string {
  const [first = ''] = violations;
  return `${route}: ${first.replaceAll(/"[^"]*"|“[^”]*”|\d{4,}|\/\d+/g, '…').slice(0, 120)}`;
}

function count(statusCounts: Map<string, Map<number, number>>, route: string, status: number, times = 1): void {
  const counts = statusCounts.get(route) ?? new Map<number, number>();
  statusCounts.set(route, counts.set(status, (counts.get(status) ?? 0) + times));
}

function codeIn({ text, headers }: ReceivedResponse): string | undefined {
  if (headers.get('content-type') !== problemType) return undefined;
  const code = text === '' ? undefined : member(JSON.parse(text), 'code');
  return typeof code === 'string' ? code : undefined;
}

/** Only the response to a reveal can contain a full product key (KEY-6). */
function leakedKeysIn({ text }: ReceivedResponse, route: string, { customers }: FuzzSystem): readonly string[] {
  if (route === 'POST /keys/{keyId}/reveal') return [];
  const keys = customers.flatMap((customer) => customer.keys.flatMap(({ productKey }) => productKey ?? []));
  return keys.some((key) => text.includes(key) || text.includes(key.replaceAll('-', '')))
    ? ['contains a full product key']
    : [];
}

function recordSuccess(system: FuzzSystem, { path }: FuzzRequest, { text, headers }: ReceivedResponse): void {
  if (!(headers.get('content-type') ?? '').includes('json')) return;
  const body: unknown = JSON.parse(text);
  recordResponse(system, body);
  const productKey = member(body, 'productKey');
  const [, , keyId = ''] = path.split('/');
  if (typeof productKey === 'string') recordProductKey(system, keyId, productKey);
}

// ---- HTTP

async function send(
  address: string,
  agent: Agent,
  { method, path, headers, body }: FuzzRequest,
): Promise<ReceivedResponse> {
  const { hostname, port } = new URL(address);
  const outgoing = httpRequest({
    host: hostname,
    port,
    method,
    path,
    agent,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-length': body.length }) },
  });
  const responding = once(outgoing, 'response');
  outgoing.end(body);
  const [response] = await responding;
  const text = (await buffer(response)).toString('utf8');
  const responseHeaders: Readonly<Record<string, string | string[] | undefined>> = response.headers;
  return {
    status: response.statusCode,
    headers: { get: (name) => responseHeaders[name.toLowerCase()]?.toString() ?? null },
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

/** Merges the reports of several systems. */
export function mergeReports(reports: readonly Report[], seed: number): Report {
  const statusCounts = new Map<string, Map<number, number>>();
  const codes = new Map<string, number>();
  for (const report of reports) {
    for (const [route, counts] of report.statusCounts) {
      for (const [status, times] of counts) count(statusCounts, route, status, times);
    }
    for (const [code, times] of report.codes) codes.set(code, (codes.get(code) ?? 0) + times);
  }
  const failures = new Map(
    reports.flatMap((report) =>
      report.failures.map((failure) => [signatureOf(failure.route, failure.violations), failure]),
    ),
  );
  const slowest = reports.reduce((one, other) => (one.milliseconds.slowest < other.milliseconds.slowest ? other : one));
  return {
    seed,
    requests: reports.reduce((sum, report) => sum + report.requests, 0),
    statusCounts,
    codes,
    failures: [...failures.values()],
    milliseconds: slowest.milliseconds,
  };
}

// ---- The report

/** Formats a report: a table of requests by route and status, and the failures, each with a command to reproduce it. */
export function formatReport({ seed, requests, statusCounts, codes, failures, milliseconds }: Report): string {
  const statuses = [...new Set([...statusCounts.values()].flatMap((counts) => [...counts.keys()]))].toSorted();
  const routes = [...statusCounts.keys()].toSorted();
  const width = Math.max(...routes.map((route) => route.length));
  const cell = (text: string | number) => String(text).padStart(6);
  const rows = routes.map(
    (route) =>
      route.padEnd(width) + statuses.map((status) => cell(statusCounts.get(route)?.get(status) ?? '·')).join(''),
  );
  const withoutSuccess = routes.filter(
    (route) => route.includes('/') && ![...(statusCounts.get(route)?.keys() ?? [])].some((status) => status < 300),
  );
  return [
    ' '.repeat(width) + statuses.map(cell).join(''),
    ...rows,
    '',
    `${requests} requests with seed ${seed}; the slowest took ${milliseconds.slowest.toFixed(0)} ms (${milliseconds.slowestRoute}).`,
    `Problem codes: ${[...codes]
      .toSorted()
      .map(([code, times]) => `${code} ${times}`)
      .join(', ')}.`,
    `Problem codes that did not occur: ${problemCodes.filter((code) => !codes.has(code)).join(', ')}.`,
    ...(withoutSuccess.length > 0 ? [`Routes without a successful response: ${withoutSuccess.join(', ')}.`] : []),
    failures.length === 0
      ? 'All responses are as described.'
      : `${failures.length} kinds of responses are not as described:`,
    ...failures.flatMap(({ route, violations, status, text, curl }) => [
      '',
      `${route} → ${status}`,
      ...violations.map((violation) => `  ${violation}`),
      ...curl.split('\n').map((line) => `    ${line}`),
      `  ${text.slice(0, 600)}`,
    ]),
  ].join('\n');
}
