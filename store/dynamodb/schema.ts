/**
 * The one table, as plain data: the deployed table and the local one are both made from it. Every item is found by its
 * keys or through one of the sparse indexes; no function ever scans it.
 */
export const tableSchema = {
  partitionKey: 'PK',
  sortKey: 'SK',
  timeToLive: 'expiresAtEpochSeconds',
  stream: 'NEW_AND_OLD_IMAGES',
  indexes: [
    /** Requests by state, soonest due first: what the exceptions team works through. */
    { name: 'exceptions-by-status', partitionKey: 'statusKey', sortKey: 'dueKey' },
    /** Requests of one agreement, soonest due first: what its customers follow. */
    { name: 'exceptions-by-agreement', partitionKey: 'agreementKey', sortKey: 'dueKey' },
    /** Whatever time will do something to, by when: what the sweep reads. */
    { name: 'next-action', partitionKey: 'nextActionKey', sortKey: 'nextActionAt' },
  ],
} as const;

/**
 * The format in which items are written, an attribute of each. It is raised with a change that older code could read
 * wrongly: such an item is refused by code that does not know its format (see `checkFormat`).
 */
export const itemFormat = 1;

export type IndexName = (typeof tableSchema.indexes)[number]['name'];
