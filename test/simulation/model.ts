/*
 * What the people of a run know and were promised, beside what the table says. Nothing here is read from the service:
 * it is what was asked, what was answered, and what was in the mails.
 */

/** A machine on a key: how often it asked, how often it was told that it is activated, and what it was told. */
export type Machine = {
  asked: number;
  promised: number;
  activationId: string | null;
  activatedAt: string | null;
};

/** Something that was asked under a text of its own: by that it is found in a history or among grants, once at most. */
export type Deed = {
  readonly owner: string;
  readonly where: 'entry' | 'grant';
  readonly text: string;
  promised: boolean;
};

export type Link = {
  readonly token: string;
  readonly code: string;
  readonly to: string;
  readonly exceptionId: string;
  readonly askNumber: number;
};

export type Model = {
  /** By key id, then by the name of the machine's mark (MAK) or its installation id (KMS). */
  readonly machines: Map<string, Map<string, Machine>>;
  readonly deeds: Map<string, Deed>;
  /** Who has entered the right code to approve, by request and question. */
  readonly approving: Map<string, Set<string>>;
  /** Ids of requests that were acknowledged. */
  readonly requests: Set<string>;
  readonly agreements: Set<string>;
  /** Keys that were promised to be issued. */
  readonly keys: Set<string>;
};

export function newModel(): Model {
  return {
    machines: new Map(),
    deeds: new Map(),
    approving: new Map(),
    requests: new Set(),
    agreements: new Set(),
    keys: new Set(),
  };
}

export function machineOf(model: Model, keyId: string, name: string): Machine {
  const ofKey = model.machines.get(keyId) ?? new Map<string, Machine>();
  model.machines.set(keyId, ofKey);
  const machine = ofKey.get(name) ?? { asked: 0, promised: 0, activationId: null, activatedAt: null };
  ofKey.set(name, machine);
  return machine;
}

export function deedOf(model: Model, owner: string, where: Deed['where'], text: string): Deed {
  const deed = model.deeds.get(text) ?? { owner, where, text, promised: false };
  model.deeds.set(text, deed);
  return deed;
}

export function askName(exceptionId: string, askNumber: number): string {
  return `${exceptionId} question ${askNumber}`;
}
