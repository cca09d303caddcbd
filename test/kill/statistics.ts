/** What happened while it was killed again and again, added up. */
export type Tally = {
  kills: number;
  killsBeforeReady: number;
  acknowledged: number;
  /** Operations of which one answer at least was lost, so that nobody knew what had become of them. */
  inDoubt: number;
  repeated: number;
  stillRunning: number;
  windings: number;
  customers: number;
  activations: number;
  repeatedMails: number;
  /** How many requests ended how. */
  readonly ends: Map<string, number>;
  /** How much was looked at in the table. */
  agreements: number;
  keys: number;
  requests: number;
};

export function newTally(): Tally {
  return {
    kills: 0,
    killsBeforeReady: 0,
    acknowledged: 0,
    inDoubt: 0,
    repeated: 0,
    stillRunning: 0,
    windings: 0,
    customers: 0,
    activations: 0,
    repeatedMails: 0,
    ends: new Map(),
    agreements: 0,
    keys: 0,
    requests: 0,
  };
}

/** For a person. */
export function summaryOf(tally: Tally): string {
  const ends = [...tally.ends].toSorted().map(([status, count]) => `${count} ${status}`);
  return [
    `${tally.kills} kills, ${tally.killsBeforeReady} of them before the system was up again.`,
    `${tally.customers} customers had ${tally.acknowledged} operations acknowledged. The clock was wound on ${tally.windings} times.`,
    `${tally.inDoubt} operations lost their answer and were sent again, ${tally.repeated} times in all; ${tally.stillRunning} times the first was still on the books as under way.`,
    `${tally.activations} machines activated. Of the requests: ${ends.join(', ') || 'none'}. ${tally.repeatedMails} mails went out twice.`,
    `Looked through in the table: ${tally.agreements} agreements, with ${tally.keys} keys and ${tally.requests} requests.`,
  ].join('\n');
}
