/** Every kind of trouble that a run makes, and how often it did. */
export const faultKinds = [
  // Between the SDK and the wire.
  'request-lost',
  'response-lost',
  'request-duplicated',
  'throttled',
  'transaction-conflict',
  'server-error',
  'response-delayed',
  'stale-index',
  'batch-partial',
  // Mail.
  'mail-refused',
  'mail-duplicated',
  'mail-bounced-late',
  // Functions, schedules, streams, workflows and clocks.
  'function-killed',
  'sweep-late',
  'sweep-twice',
  'stream-duplicated',
  'task-token-expired',
  'execution-lost',
  'clock-skew',
  // The worst moment.
  'key-replaced',
  'correspondent-changed',
  'request-withdrawn',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Whom a function calls. */
export type Service = 'table' | 'workflows' | 'mail';

/**
 * How likely each is at one call; none in calm weather. In a storm one sort of it comes at most calls, of all services or
 * of the mail service alone, since what is written to the table before a mail must not be all that a mail outage hits.
 */
export type FaultProfile =
  | { readonly kind: 'none' }
  | { readonly kind: 'low' }
  | { readonly kind: 'burst'; readonly faultKind: FaultKind; readonly scope: 'all-services' | 'mail' };

export const noFaults: FaultProfile = { kind: 'none' };

const lowRates: Readonly<Partial<Record<FaultKind, number>>> = {
  'request-lost': 0.012,
  'response-lost': 0.012,
  'request-duplicated': 0.012,
  throttled: 0.012,
  'transaction-conflict': 0.02,
  'server-error': 0.012,
  'response-delayed': 0.02,
  'stale-index': 0.25,
  'batch-partial': 0.03,
  'mail-refused': 0.05,
  'mail-duplicated': 0.06,
  'task-token-expired': 0.15,
};

/** What may come as a storm. */
export const burstFaults: readonly FaultKind[] = [
  'request-lost',
  'response-lost',
  'throttled',
  'transaction-conflict',
  'server-error',
  'response-delayed',
];

/** What may come as a storm over the mail service. */
export const mailBurstFaults: readonly FaultKind[] = ['request-lost', 'response-lost', 'throttled', 'server-error'];

/** How likely a call of a service meets such trouble. */
export function faultRate(kind: FaultKind, profile: FaultProfile, service: Service): number {
  const isElsewhere = profile.kind === 'burst' && profile.scope === 'mail' && service !== 'mail';
  if (profile.kind === 'none' || isElsewhere) return 0;
  return profile.kind === 'burst' && profile.faultKind === kind ? 0.7 : (lowRates[kind] ?? 0);
}

export type FaultCounts = Record<string, number>;

/** An error of the network, as Node gives it. */
export function networkError(name: 'TimeoutError' | 'ECONNRESET'): Error {
  return name === 'TimeoutError'
    ? Object.assign(new Error('The request was not answered in time.'), { name })
    : Object.assign(new Error('socket hang up'), { code: name, errno: -104 });
}
