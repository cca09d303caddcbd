/** What happened while it was killed again and again, added up. */
export type Statistics = {
  kills: number;
  killsBeforeReady: number;
  acknowledged: number;
  /** Operations of which one answer at least was lost, so that nobody knew what had become of them. */
  unanswered: number;
  retries: number;
  stillInProgress: number;
  clockAdvances: number;
  customers: number;
  activations: number;
  repeatedMails: number;
  /** How many requests ended how. */
  readonly outcomes: Map<string, number>;
  /** How much was looked at in the table. */
  agreements: number;
  keys: number;
  requests: number;
};

export function newStatistics(): Statistics {
  return {
    kills: 0,
    killsBeforeReady: 0,
    acknowledged: 0,
    unanswered: 0,
    retries: 0,
    stillInProgress: 0,
    clockAdvances: 0,
    customers: 0,
    activations: 0,
    repeatedMails: 0,
    outcomes: new Map(),
    agreements: 0,
    keys: 0,
    requests: 0,
  };
}

/** For a person. */
export function summaryOf(statistics: Statistics): string {
  const outcomes = [...statistics.outcomes].toSorted().map(([status, count]) => `${count} ${status}`);
  return [
    `${statistics.kills} kills, ${statistics.killsBeforeReady} of them before the system was up again.`,
    `${statistics.customers} customers had ${statistics.acknowledged} operations acknowledged. The clock was wound on ${statistics.clockAdvances} times.`,
    `${statistics.unanswered} operations lost their answer and were sent again, ${statistics.retries} times in all; ${statistics.stillInProgress} times the first was still on the books as under way.`,
    `${statistics.activations} machines activated. Of the requests: ${outcomes.join(', ') || 'none'}. ${statistics.repeatedMails} mails went out twice.`,
    `Looked through in the table: ${statistics.agreements} agreements, with ${statistics.keys} keys and ${statistics.requests} requests.`,
  ].join('\n');
}
