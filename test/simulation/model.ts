/*
 * The model of a run: what clients requested, what the service acknowledged, and what its emails contained. Nothing
 * here is read from the table, so that the table can be compared with it.
 */

/** A computer on a key: its requests, the acknowledged ones among them, and the activation that it was given. */
export type Computer = {
  requests: number;
  acknowledgments: number;
  activationId: string | null;
  activatedAt: string | null;
};

/**
 * A write whose request contains a unique text. The text appears in a ledger entry or in a grant's reference, at most
 * once.
 */
export type TrackedWrite = {
  readonly owner: string;
  readonly recordedIn: 'entry' | 'grant';
  readonly text: string;
  isAcknowledged: boolean;
};

export type ApprovalLink = {
  readonly token: string;
  /** Null in strict mode: the code is sent on demand (APR-7). */
  readonly code: string | null;
  readonly to: string;
  readonly exceptionId: string;
  readonly roundNumber: number;
};

export type Model = {
  /** By key id, then by the attribute name of the activation record (MAK) or the installation id (KMS). */
  readonly computers: Map<string, Map<string, Computer>>;
  readonly trackedWrites: Map<string, TrackedWrite>;
  /** The email addresses that entered the right code to approve, by approval round. */
  readonly approvers: Map<string, Set<string>>;
  /** Ids of acknowledged requests. */
  readonly requests: Set<string>;
  readonly agreements: Set<string>;
  /** Ids of keys whose issue was acknowledged. */
  readonly keys: Set<string>;
};

export function newModel(): Model {
  return {
    computers: new Map(),
    trackedWrites: new Map(),
    approvers: new Map(),
    requests: new Set(),
    agreements: new Set(),
    keys: new Set(),
  };
}

/** Returns the model of a computer on a key, and adds it when it is missing. */
export function computerOf(model: Model, keyId: string, name: string): Computer {
  const computersOfKey = model.computers.get(keyId) ?? new Map<string, Computer>();
  model.computers.set(keyId, computersOfKey);
  const computer = computersOfKey.get(name) ?? {
    requests: 0,
    acknowledgments: 0,
    activationId: null,
    activatedAt: null,
  };
  computersOfKey.set(name, computer);
  return computer;
}

/** Returns the tracked write with that text, and adds it when it is missing. */
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
  return `${exceptionId} round ${roundNumber}`;
}
