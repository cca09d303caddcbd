/** Totals of a kill test. */
export type Statistics = {
  kills: number;
  killsBeforeReady: number;
  acknowledged: number;
  /** Operations that lost at least one response, so that the client could not know their outcome. */
  lostResponses: number;
  retries: number;
  stillInProgress: number;
  clockAdvances: number;
  customers: number;
  activations: number;
  duplicateEmails: number;
  /** The number of requests in each final status. */
  readonly outcomes: Map<string, number>;
  /** The agreements, keys, and requests that were checked in the table. */
  agreements: number;
  keys: number;
  requests: number;
};

export function newStatistics(): Statistics {
  return {
    kills: 0,
    killsBeforeReady: 0,
    acknowledged: 0,
    lostResponses: 0,
    retries: 0,
    stillInProgress: 0,
    clockAdvances: 0,
    customers: 0,
    activations: 0,
    duplicateEmails: 0,
    outcomes: new Map(),
    agreements: 0,
    keys: 0,
    requests: 0,
  };
}

/** Returns the totals as lines for the terminal, in the terms of docs/kill-test.md. */
export function summaryOf(statistics: Statistics): string {
  const outcomes = [...statistics.outcomes].toSorted().map(([status, count]) => `${count} ${status}`);
  return [
    `${statistics.kills} kills, ${statistics.killsBeforeReady} of them before the system was ready.`,
    `${statistics.customers} customers, ${statistics.acknowledged} acknowledged operations, ${statistics.clockAdvances} clock advances.`,
    `${statistics.lostResponses} operations lost their response and were repeated, ${statistics.retries} times in total; ${statistics.stillInProgress} repetitions found the first attempt still recorded as in progress.`,
    `${statistics.activations} computers activated. Requests: ${outcomes.join(', ') || 'none'}. ${statistics.duplicateEmails} emails sent twice.`,
    `Checked in the table: ${statistics.agreements} agreements, ${statistics.keys} keys, ${statistics.requests} requests.`,
  ].join('\n');
}
