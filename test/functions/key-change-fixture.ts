import { randomUUID } from 'node:crypto';
import type { Agreement } from '../../domain/agreement.ts';
import type { AgreementNotification } from '../../domain/agreement-notification.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { Key, KmsKey, Mak } from '../../domain/keys/key.ts';
import { followStream } from '../../local/emulators/dynamodb-stream.ts';
import { registerAgreement } from '../../store/agreements.ts';
import type { KeyChange } from '../../store/key-changes.ts';
import { keyChangeFrom } from '../../store/key-changes.ts';
import { finishReplacement, holdForReplacement } from '../../store/key-replacement.ts';
import { activateKmsHost, grantIncrease, issueMak, listKeys, readKey } from '../../store/keys.ts';
import { activateOnMak } from '../../store/mak-activations.ts';
import type { Store } from '../../store/store.ts';
import { agent, anAgreement, context, expectAccepted, ines, installationId, productKey } from '../builders.ts';
import { mondayNine, mondayTen } from '../instants.ts';
import { scanAllItems } from '../store/dynamodb.ts';

/** A new agreement with a KMS key and a MAK of 100. */
export type KeyChangeFixture = { readonly agreement: Agreement; readonly kms: KmsKey; readonly mak: Mak };

let drawCount = 0;
const draw = () => productKey(7_919 * ++drawCount);

export async function createKeyChangeFixture(
  store: Store,
  overrides: Partial<Agreement> = {},
): Promise<KeyChangeFixture> {
  const agreementNumber = `E-${randomUUID()}`;
  const agreement = anAgreement({ agreementId: agreementNumber, numbers: { agreementNumber }, ...overrides });
  expectAccepted(
    await registerAgreement(
      store,
      agreement,
      draw,
      context({ actor: 'admin', operationId: 'register', now: mondayNine }),
    ),
  );
  const [kms] = (await listKeys(store, agreement.agreementId, { limit: 1, after: null })).items;
  if (kms?.value.type !== 'KMS') throw new Error('no KMS key was issued');
  const mak = expectAccepted(
    await issueMak(
      store,
      agreement,
      { productGroup: 'client', drawKey: draw },
      context({ actor: ines.email, operationId: 'issue', now: mondayNine }),
    ),
  ).value;
  return { agreement, kms: kms.value, mak };
}

/** Activates `count` machines on a MAK, numbered from `from`. */
export async function activateMachines(
  store: Store,
  { keyId }: Pick<Key, 'keyId'>,
  from: number,
  count: number,
  at: Instant = mondayTen,
): Promise<void> {
  for (let machine = from; machine < from + count; machine += 1) {
    const record = await readKey(store, keyId);
    const request = {
      installationId: installationId(machine),
      product: 'windows-vista-business',
      machineName: null,
      activatedAt: at,
    } as const;
    const digest = store.vault.digestOf(keyId, request.installationId);
    const layout = { keyId, bucketCount: record?.internal.bucketCount ?? 0 };
    const { kind } = await activateOnMak(store, layout, digest, request);
    if (kind !== 'activated') throw new Error(`machine ${machine} was not activated: ${kind}`);
  }
}

export async function activateHostOn(
  store: Store,
  { keyId }: Pick<Key, 'keyId'>,
  host: number,
  at: Instant = mondayTen,
): Promise<void> {
  const request = {
    installationId: installationId(host),
    product: 'windows-server-2008-standard',
    machineName: null,
  } as const;
  const result = await activateKmsHost(store, keyId, request, context({ operationId: randomUUID(), now: at }));
  if (!result?.ok) throw new Error(`host ${host} was not activated`);
}

/** Raises the limit of a MAK through the call center. */
export async function raiseLimit(store: Store, { keyId }: Pick<Key, 'keyId'>, newLimit: number): Promise<void> {
  const request = { newLimit, callReference: `to ${newLimit}`, callerName: 'Inés Oliveira' };
  const result = await grantIncrease(
    store,
    keyId,
    request,
    context({ actor: agent, operationId: `raise to ${newLimit}`, now: mondayTen }),
  );
  if (!result?.ok) throw new Error('the limit was not raised');
}

/** Replaces a key and returns its successor. */
export async function replaceKey(store: Store, { keyId }: Pick<Key, 'keyId'>): Promise<Key> {
  const request = { reason: 'It leaked.', reference: 'CALL-1' };
  await holdForReplacement(
    store,
    keyId,
    { ...request, drawKey: draw },
    context({ actor: ines.email, operationId: `replace ${keyId}`, now: mondayTen }),
  );
  const successorId = await finishReplacement(store, keyId, mondayTen);
  const record = successorId === undefined ? undefined : await readKey(store, successorId);
  if (record === undefined) throw new Error(`Key ${keyId} was not replaced.`);
  return record.value;
}

/** Returns the pending agreement notifications, oldest first. */
export async function pendingNotifications(store: Store): Promise<readonly AgreementNotification[]> {
  const items = await scanAllItems(store);
  return items.flatMap(({ SK, notification }) =>
    SK === 'NOTIFICATION' ? [notification as AgreementNotification] : [],
  );
}

/** Returns the pending notifications to one person, sorted: the share of a limit, or the kind of any other. */
export async function notificationsTo(
  store: Store,
  { email }: { readonly email: string } = ines,
): Promise<readonly string[]> {
  const notifications = await pendingNotifications(store);
  return notifications
    .filter(({ to }) => to.email === email)
    .map(({ content }) => (content.kind === 'limit-used' ? `${content.percent}% of ${content.limit}` : content.kind))
    .toSorted();
}

/** A batch of the table stream, as Lambda receives it. */
export type StreamBatch = { readonly Records: readonly StreamRecord[] };
export type StreamRecord = {
  readonly dynamodb: {
    readonly SequenceNumber: string;
    readonly NewImage?: Readonly<Record<string, unknown>>;
    readonly OldImage?: Readonly<Record<string, unknown>>;
  };
};

/** Returns every record of the table stream so far. */
export async function readStreamRecords({ tableName }: Store): Promise<readonly StreamRecord[]> {
  const records: StreamRecord[] = [];
  const endpoint = process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '';
  const stream = await followStream(
    { endpoint, tableName },
    {
      test: (event) => {
        records.push(...(event as StreamBatch).Records);
        return Promise.resolve({ batchItemFailures: [] });
      },
    },
  );
  await stream.whenIdle();
  await stream.stop();
  return records;
}

/** Returns the changes of keys in the table stream, one for each record. */
export async function readKeyChanges(store: Store): Promise<readonly KeyChange[]> {
  const records = await readStreamRecords(store);
  return records.flatMap(
    ({ dynamodb }) => keyChangeFrom({ before: dynamodb.OldImage, after: dynamodb.NewImage }) ?? [],
  );
}
