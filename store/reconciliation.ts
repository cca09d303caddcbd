import type { Agreement } from '../domain/agreement.ts';
import { normalizeEmail } from '../domain/agreement.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { agreementIndexKeys, agreementKey, personEmailsOf, personPointer } from './agreements.ts';
import type { Item } from './dynamodb/table.ts';
import { commit, get, getAll } from './dynamodb/table.ts';
import type { Versioned } from './dynamodb/versioned-item.ts';
import { fromItem, requireUnchanged } from './dynamodb/versioned-item.ts';
import { openRequestPointer } from './exceptions.ts';
import { checkRequest, readAgreementRequests, readRequests } from './reconcile-exceptions.ts';
import type { Finding } from './reconcile-items.ts';
import {
  checkIndexKeys,
  checkLedger,
  checkPointers,
  mapSequentially,
  queryAll,
  unrepairableFinding,
} from './reconcile-items.ts';
import { checkKey, checkLastFivePointers, checkLiveMakPointers, readKeysWithNeighbors } from './reconcile-keys.ts';
import type { Store } from './store.ts';
import type { AgreementReferences } from './table-scan.ts';

/*
 * Checks that the items of the table are consistent with each other. A copy of a table (a restore from point-in-time
 * recovery or from a backup) is correct for each item, and almost correct for all: two items that were written in one
 * transaction can be from different moments.
 *
 * Bounded reads find all items of an agreement. Only an item that has lost every pointer to it, and a pointer that
 * should not exist, need a table scan (`scanReferences`), which only an operator's command may run.
 */

export type ReconciliationResult = {
  readonly findings: readonly Finding[];
  readonly keyCount: number;
  readonly requestCount: number;
};

const noReferences: AgreementReferences = { keyIds: new Set(), exceptionIds: new Set(), pointers: [] };

/**
 * Checks one agreement: the pointers of its people, its keys with their slots and hosts, its requests with their index
 * keys, and the ledger of each (KEY-7, KEY-8, EXC-5, LED-2). Writes nothing.
 * @param references the references to the agreement that a table scan found; none without a scan.
 */
export async function checkAgreement(
  store: Store,
  agreementId: string,
  now: Instant,
  references = noReferences,
): Promise<ReconciliationResult> {
  const agreementItem = await get(store, agreementKey(agreementId));
  if (agreementItem === undefined) {
    const referenceCount = references.keyIds.size + references.exceptionIds.size + references.pointers.length;
    const problem =
      referenceCount === 0
        ? 'It is not in the table.'
        : `It is not in the table, but ${referenceCount} items refer to it.`;
    return { findings: [unrepairableFinding(`AGREEMENT#${agreementId}`, problem)], keyCount: 0, requestCount: 0 };
  }
  const agreement = fromItem<Agreement>(agreementItem);
  const pointers = await queryAll(store, {
    partition: ['PK', `AGREEMENT#${agreementId}`],
    sort: { name: 'SK', condition: '#sort BETWEEN :from AND :to', values: { ':from': 'KEY#', ':to': 'MAK#~' } },
  });
  const liveMakPointers = pointers.filter(({ SK }) => SK.startsWith('MAK#'));
  const requests = await readAgreementRequests(store, agreementId, references.exceptionIds);
  const { keys, missingIds } = await readKeysWithNeighbors(store, [
    ...pointers.filter(({ SK }) => SK.startsWith('KEY#')).map(({ SK }) => SK.slice('KEY#'.length)),
    ...liveMakPointers.map(({ keyId }) => String(keyId)),
    ...requests.map(({ record }) => record.value.keyId),
    ...references.keyIds,
  ]);
  const openRequestItems = await getAll(
    store,
    keys.map(({ value }) => openRequestPointer(value.keyId)),
  );
  const openExceptionIds = new Map(openRequestItems.map((item) => [item.PK, String(item.exceptionId)]));
  // A request without its index keys can still be the open request of its key.
  const unlistedIds = [...openExceptionIds.values()].filter(
    (id) => !requests.some(({ record }) => record.value.exceptionId === id),
  );
  requests.push(
    ...(await readRequests(store, unlistedIds)).filter(({ record }) => record.value.agreementId === agreementId),
  );
  const context = { liveMakPointers, requests, keys, openExceptionIds };

  const findings = [
    ...(await checkAgreementItem(store, agreementItem, agreement, references)),
    ...missingIds.map((keyId) =>
      unrepairableFinding(
        `KEY#${keyId}`,
        `It is not in the table, but an item of agreement ${agreementId} refers to it.`,
      ),
    ),
    ...(await mapSequentially(keys, (key) => checkKey(store, agreement, key, context))),
    ...checkLiveMakPointers(liveMakPointers, keys),
    ...(await mapSequentially(requests, (request) => checkRequest(store, request, context, now))),
    ...checkLastFivePointers(references, keys),
  ];
  return { findings, keyCount: keys.length, requestCount: requests.length };
}

/**
 * Repairs a finding. Returns true if all its items were unchanged since the check; otherwise it stops and returns
 * false.
 */
export async function repair(store: Store, finding: Finding): Promise<boolean> {
  for (const writes of finding.repairs) if ((await commit(store, writes)) !== 'committed') return false;
  return finding.repairs.length > 0;
}

/**
 * Checks the ledger and the index keys of an agreement, and the pointers of its people. The repair deletes stray
 * pointers.
 */
async function checkAgreementItem(
  store: Store,
  item: Item,
  record: Versioned<Agreement>,
  references: AgreementReferences,
): Promise<Finding[]> {
  const { agreementId } = record.value;
  const owner = `AGREEMENT#${agreementId}` as const;
  const emails = new Set(personEmailsOf(record.value));
  const strayPointers = await getAll(
    store,
    references.pointers.filter(
      ({ PK }) => PK.startsWith('PERSON#') && !emails.has(normalizeEmail(PK.slice('PERSON#'.length))),
    ),
  );
  return [
    ...(await checkLedger(store, owner)),
    ...checkIndexKeys(owner, record, item, agreementIndexKeys(record.value)),
    ...(await checkPointers(
      store,
      owner,
      [...emails].map((email) => personPointer(email, agreementId)),
      record,
    )),
    ...strayPointers.map(({ PK, SK }) => ({
      subject: owner,
      problem: `${PK} has a pointer to it, but is neither a contact nor the Notices Correspondent.`,
      repairs: [[{ Delete: { Key: { PK, SK } } }, requireUnchanged(record)]],
    })),
  ];
}
