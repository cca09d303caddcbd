/** Every kind of trouble that a run makes, and how often it did. */
export const faultKinds = [
  // Between the SDK and the wire.
  'request-lost',
  'answer-lost',
  'request-doubled',
  'throttled',
  'transaction-conflict',
  'server-error',
  'answer-delayed',
  'stale-index',
  'batch-left-undone',
  // Mail.
  'mail-refused',
  'mail-doubled',
  'mail-bounced-late',
  // Functions, schedules, streams, workflows and clocks.
  'function-killed',
  'sweep-late',
  'sweep-twice',
  'stream-doubled',
  'task-token-expired',
  'execution-lost',
  'clocks-apart',
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
export type Weather =
  | { readonly is: 'calm' }
  | { readonly is: 'fair' }
  | { readonly is: 'storm'; readonly of: FaultKind; readonly over: 'everything' | 'mail' };

export const calm: Weather = { is: 'calm' };

const fair: Readonly<Partial<Record<FaultKind, number>>> = {
  'request-lost': 0.012,
  'answer-lost': 0.012,
  'request-doubled': 0.012,
  throttled: 0.012,
  'transaction-conflict': 0.02,
  'server-error': 0.012,
  'answer-delayed': 0.02,
  'stale-index': 0.25,
  'batch-left-undone': 0.03,
  'mail-refused': 0.05,
  'mail-doubled': 0.06,
  'task-token-expired': 0.15,
};

/** What may come as a storm. */
export const storms: readonly FaultKind[] = [
  'request-lost',
  'answer-lost',
  'throttled',
  'transaction-conflict',
  'server-error',
  'answer-delayed',
];

/** What may come as a storm over the mail service. */
export const mailStorms: readonly FaultKind[] = ['request-lost', 'answer-lost', 'throttled', 'server-error'];

/** How likely a call of a service meets such trouble. */
export function likelihood(kind: FaultKind, weather: Weather, service: Service): number {
  const isElsewhere = weather.is === 'storm' && weather.over === 'mail' && service !== 'mail';
  if (weather.is === 'calm' || isElsewhere) return 0;
  return weather.is === 'storm' && weather.of === kind ? 0.7 : (fair[kind] ?? 0);
}

export type Counts = Record<string, number>;

/** An error of the network, as Node gives it. */
export function networkError(name: 'TimeoutError' | 'ECONNRESET'): Error {
  return name === 'TimeoutError'
    ? Object.assign(new Error('The request was not answered in time.'), { name })
    : Object.assign(new Error('socket hang up'), { code: name, errno: -104 });
}
