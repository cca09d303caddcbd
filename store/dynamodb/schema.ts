/**
 * The only table, as plain data: CDK and the local emulator create it from this. Every item is found by its keys or
 * through a sparse index; no function scans the table.
 */
export const tableSchema = {
  partitionKey: 'PK',
  sortKey: 'SK',
  timeToLive: 'expiresAtEpochSeconds',
  stream: 'NEW_AND_OLD_IMAGES',
  indexes: [
    /** Requests by status, earliest due time first: the list of the exceptions team. */
    { name: 'exceptions-by-status', partitionKey: 'statusKey', sortKey: 'dueKey' },
    /** Requests of one agreement, earliest due time first: the list of its customers. */
    { name: 'exceptions-by-agreement', partitionKey: 'agreementKey', sortKey: 'dueKey' },
    /** Items with a next action, earliest first: the list of the sweep. */
    { name: 'next-action', partitionKey: 'nextActionKey', sortKey: 'nextActionAt' },
  ],
} as const;

/**
 * The format of the items that this code writes, stored as an attribute of each. Increment it with a change that older
 * code would misread: code that does not know the format refuses such an item (see `checkFormat`).
 */
export const itemFormat = 1;

export type IndexName = (typeof tableSchema.indexes)[number]['name'];

/** The kinds of items that can have a next action. Each kind has its own partition in the index `next-action`. */
export const dueKinds = ['EXCEPTION', 'KEY', 'AGREEMENT', 'NOTIFICATION'] as const;
export type DueKind = (typeof dueKinds)[number];
