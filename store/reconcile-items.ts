import { itemIsAbsent, versionUnchanged } from './dynamodb/conditions.ts';
import { tableSchema } from './dynamodb/schema.ts';
import type { Item, Range, TransactItem } from './dynamodb/table.ts';
import { getAll, query } from './dynamodb/table.ts';
import type { Versioned } from './dynamodb/versioned-item.ts';
import { requireUnchanged } from './dynamodb/versioned-item.ts';
import type { Owner } from './ledger.ts';
import { verifyLedger } from './ledger.ts';
import type { Store } from './store.ts';

/** One inconsistency. */
export type Finding = {
  /** The key of the item, or the owner of the items. */
  readonly subject: string;
  readonly problem: string;
  /** Transactions that repair it, in this order; none if a repair would be a guess. */
  readonly repairs: readonly (readonly TransactItem[])[];
};

/** Returns a finding without a repair. */
export function unrepairableFinding(subject: string, problem: string): Finding {
  return { subject, problem, repairs: [] };
}

/**
 * Runs a check for each item, one after the other, so that the reads of a check do not multiply. Returns all findings.
 */
export async function mapSequentially<Each>(
  items: readonly Each[],
  check: (item: Each) => Promise<readonly Finding[]>,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const item of items) findings.push(...(await check(item)));
  return findings;
}

/** Reads all items of a range, page by page. An index must have the sort key `dueKey`. */
export async function queryAll(store: Store, range: Omit<Range, 'limit' | 'startAfter'>): Promise<Item[]> {
  const limit = 100;
  const items: Item[] = [];
  for (let startAfter: Record<string, string> | undefined, more = true; more; ) {
    const page = await query(store, { ...range, limit, ...(startAfter === undefined ? {} : { startAfter }) });
    items.push(...page);
    const last = page.at(-1);
    more = page.length === limit && last !== undefined;
    if (last !== undefined) {
      const { PK, SK } = last;
      const [name] = range.partition;
      const indexKeys = range.index === undefined ? {} : { [name]: String(last[name]), dueKey: String(last.dueKey) };
      startAfter = { PK, SK, ...indexKeys };
    }
  }
  return items;
}

/** Checks the hash chain of a ledger (LED-2). */
export async function checkLedger(store: Store, owner: Owner): Promise<readonly Finding[]> {
  const verification = await verifyLedger(store, owner);
  return verification.kind === 'intact'
    ? []
    : [unrepairableFinding(owner, `Its ledger is broken at entry ${verification.sequence}. ${verification.because}`)];
}

/**
 * Checks the index keys of an item against those that follow from its value. The repair sets or removes the wrong ones.
 */
export function checkIndexKeys(
  subject: string,
  record: Versioned<unknown>,
  item: Item,
  expected: Readonly<Record<string, string>>,
): Finding[] {
  const names = tableSchema.indexes.flatMap(({ partitionKey, sortKey }) => [partitionKey, sortKey]);
  const wrongNames = [...new Set(names)].filter((name) => item[name] !== expected[name]);
  if (wrongNames.length === 0) return [];
  const namesToSet = wrongNames.filter((name) => expected[name] !== undefined);
  const namesToRemove = wrongNames.filter((name) => expected[name] === undefined);
  const updateExpression = [
    ...(namesToSet.length === 0 ? [] : [`SET ${namesToSet.map((name) => `#${name} = :${name}`).join(', ')}`]),
    ...(namesToRemove.length === 0 ? [] : [`REMOVE ${namesToRemove.map((name) => `#${name}`).join(', ')}`]),
  ].join(' ');
  const update: TransactItem = {
    Update: {
      Key: record.key,
      UpdateExpression: updateExpression,
      ConditionExpression: versionUnchanged,
      ExpressionAttributeNames: {
        '#version': 'version',
        ...Object.fromEntries(wrongNames.map((name) => [`#${name}`, name])),
      },
      ExpressionAttributeValues: {
        ':version': record.version,
        ...Object.fromEntries(namesToSet.map((name) => [`:${name}`, expected[name]])),
      },
    },
  };
  return [{ subject, problem: `It has wrong index keys: ${wrongNames.join(', ')}.`, repairs: [[update]] }];
}

/**
 * Checks that the pointers to an item exist. The repair adds a missing one, if the item is unchanged since the read.
 */
export async function checkPointers(
  store: Store,
  subject: string,
  pointers: readonly Item[],
  record: Versioned<unknown>,
): Promise<Finding[]> {
  const existingItems = await getAll(
    store,
    pointers.map(({ PK, SK }) => ({ PK, SK })),
  );
  const existing = new Set(existingItems.map(({ PK, SK }) => `${PK} ${SK}`));
  return pointers
    .filter(({ PK, SK }) => !existing.has(`${PK} ${SK}`))
    .map((Item) => ({
      subject,
      problem: `The pointer to it in ${Item.PK} is missing.`,
      repairs: [[{ Put: { Item, ConditionExpression: itemIsAbsent } }, requireUnchanged(record)]],
    }));
}
