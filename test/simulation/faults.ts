/** The kinds of faults that a run injects. */
export const faultKinds = [
  // Between the SDK and the network.
  'request-lost',
  'response-lost',
  'request-duplicated',
  'throttled',
  'transaction-conflict',
  'server-error',
  'response-delayed',
  'stale-index',
  'batch-partial',
  // Email.
  'email-rejected',
  'email-duplicated',
  'email-bounced-late',
  // Functions, schedules, streams, workflows, and clocks.
  'function-killed',
  'sweep-late',
  'sweep-twice',
  'stream-duplicated',
  'task-token-expired',
  'execution-lost',
  'clock-skew',
  // Conflicting operations at the worst moment.
  'key-replaced',
  'correspondent-changed',
  'request-withdrawn',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** The services that a function calls. */
export type Service = 'table' | 'workflows' | 'email';

/**
 * The probability of each kind of fault at one call. In a burst, one kind affects most calls: those of all services, or
 * those of the email service only. Most emails are sent after a write to the table, so that a burst for all services
 * rarely reaches them.
 */
export type FaultProfile =
  | { readonly kind: 'none' }
  | { readonly kind: 'low' }
  | { readonly kind: 'burst'; readonly faultKind: FaultKind; readonly scope: 'all-services' | 'email' };

export const noFaults: FaultProfile = { kind: 'none' };

const burstRate = 0.7;

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
  'email-rejected': 0.05,
  'email-duplicated': 0.06,
  'task-token-expired': 0.15,
};

/** The kinds that occur in bursts for all services. */
export const burstFaults: readonly FaultKind[] = [
  'request-lost',
  'response-lost',
  'throttled',
  'transaction-conflict',
  'server-error',
  'response-delayed',
];

/** The kinds that occur in bursts for the email service only. */
export const emailBurstFaults: readonly FaultKind[] = ['request-lost', 'response-lost', 'throttled', 'server-error'];

/** Returns the probability of a kind of fault at one call of a service. */
export function faultRate(kind: FaultKind, profile: FaultProfile, service: Service): number {
  const isElsewhere = profile.kind === 'burst' && profile.scope === 'email' && service !== 'email';
  if (profile.kind === 'none' || isElsewhere) return 0;
  return profile.kind === 'burst' && profile.faultKind === kind ? burstRate : (lowRates[kind] ?? 0);
}

export type FaultCounts = Record<string, number>;

/** Returns an error of the network, in the form in which Node reports it. */
export function networkError(name: 'TimeoutError' | 'ECONNRESET'): Error {
  return name === 'TimeoutError'
    ? Object.assign(new Error('The request timed out.'), { name })
    : Object.assign(new Error('socket hang up'), { code: name, errno: -104 });
}
