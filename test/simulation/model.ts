/*
 * What the people of a run know and were promised, beside what the table says. Nothing here is read from the service:
 * it is what was asked, what was answered, and what was in the mails.
 */

/** A machine on a key: how often it asked, how often it was told that it is activated, and what it was told. */
export type Machine = {
  requests: number;
  acknowledgments: number;
  activationId: string | null;
  activatedAt: string | null;
};

/** Something that was asked under a text of its own: by that it is found in a history or among grants, once at most. */
export type TrackedWrite = {
  readonly owner: string;
  readonly recordedIn: 'entry' | 'grant';
  readonly text: string;
  isAcknowledged: boolean;
};

export type ApprovalLink = {
  readonly token: string;
  readonly code: string;
  readonly to: string;
  readonly exceptionId: string;
  readonly roundNumber: number;
};

export type Model = {
  /** By key id, then by the name of the machine's mark (MAK) or its installation id (KMS). */
  readonly machines: Map<string, Map<string, Machine>>;
  readonly trackedWrites: Map<string, TrackedWrite>;
  /** Who has entered the right code to approve, by request and question. */
  readonly approvers: Map<string, Set<string>>;
  /** Ids of requests that were acknowledged. */
  readonly requests: Set<string>;
  readonly agreements: Set<string>;
  /** Keys that were promised to be issued. */
  readonly keys: Set<string>;
};

export function newModel(): Model {
  return {
    machines: new Map(),
    trackedWrites: new Map(),
    approvers: new Map(),
    requests: new Set(),
    agreements: new Set(),
    keys: new Set(),
  };
}

export function machineOf(model: Model, keyId: string, name: string): Machine {
  const ofKey = model.machines.get(keyId) ?? new Map<string, Machine>();
  model.machines.set(keyId, ofKey);
  const machine = ofKey.get(name) ?? { requests: 0, acknowledgments: 0, activationId: null, activatedAt: null };
  ofKey.set(name, machine);
  return machine;
}

export function trackWrite(
  model: Model,
  owner: string,
  recordedIn: TrackedWrite['recordedIn'],
  text: string,
): TrackedWrite {
  const trackedWrite = model.trackedWrites.get(text) ?? { owner, recordedIn, text, isAcknowledged: false };
  model.trackedWrites.set(text, trackedWrite);
  return trackedWrite;
}

export function roundName(exceptionId: string, roundNumber: number): string {
  return `${exceptionId} question ${roundNumber}`;
}
