import { ScanCommand } from '@aws-sdk/lib-dynamodb';
import { tableSchema } from './dynamodb/schema.ts';
import type { Item, ItemKey } from './dynamodb/table.ts';
import { checkFormat, rethrowTransientAsContention } from './dynamodb/table.ts';
import { fromItem } from './dynamodb/versioned-item.ts';
import type { Store } from './store.ts';

/** The items of a table that refer to an agreement. */
export type AgreementReferences = {
  readonly keyIds: Set<string>;
  readonly exceptionIds: Set<string>;
  /** The pointers to it by person or by last five characters. */
  readonly pointers: ItemKey[];
};

/**
 * Scans the table, page by page, for items that refer to an agreement. Returns the references by agreement ID. The scan
 * reads every item once, which no function of the service may do: run it when the table is idle, or at a time of low
 * load.
 */
export async function scanReferences(store: Store): Promise<ReadonlyMap<string, AgreementReferences>> {
  const referencesById = new Map<string, AgreementReferences>();
  const referencesOf = (agreementId: string): AgreementReferences => {
    const references = referencesById.get(agreementId) ?? { keyIds: new Set(), exceptionIds: new Set(), pointers: [] };
    referencesById.set(agreementId, references);
    return references;
  };
  let start: Record<string, unknown> | undefined;
  do {
    const page = await rethrowTransientAsContention(
      store.client.send(
        new ScanCommand({
          TableName: store.tableName,
          ConsistentRead: true,
          ProjectionExpression: '#pk, #sk, #format, #value.#agreementId',
          ExpressionAttributeNames: {
            '#pk': tableSchema.partitionKey,
            '#sk': tableSchema.sortKey,
            '#format': 'format',
            '#value': 'value',
            '#agreementId': 'agreementId',
          },
          ...(start === undefined ? {} : { ExclusiveStartKey: start }),
        }),
      ),
    );
    for (const item of (page.Items ?? []) as Item[]) addReference(checkFormat(item), referencesOf);
    start = page.LastEvaluatedKey;
  } while (start !== undefined);
  return referencesById;
}

function addReference(item: Item, referencesOf: (agreementId: string) => AgreementReferences): void {
  const { PK, SK } = item;
  const [kind, ...rest] = PK.split('#');
  const id = rest.join('#');
  if (SK === 'AGREEMENT') referencesOf(id);
  if (SK === 'KEY') referencesOf(agreementIdOfItem(item)).keyIds.add(id);
  if (SK === 'EXCEPTION') referencesOf(agreementIdOfItem(item)).exceptionIds.add(id);
  if (kind === 'PERSON') referencesOf(SK.slice('AGREEMENT#'.length)).pointers.push({ PK, SK });
  if (kind === 'LASTFIVE')
    referencesOf(SK.slice('AGREEMENT#'.length, SK.lastIndexOf('#KEY#'))).pointers.push({ PK, SK });
}

function agreementIdOfItem(item: Item): string {
  return fromItem<{ readonly agreementId: string }>(item).value.agreementId;
}
