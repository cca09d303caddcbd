import { randomUUID } from 'node:crypto';
import type { Agreement } from '../../domain/agreement.ts';
import type { Notice } from '../../domain/agreement-notification.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { Key, KmsKey, Mak } from '../../domain/keys/key.ts';
import { followStream } from '../../local/emulators/dynamodb-stream.ts';
import { registerAgreement } from '../../store/agreements.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import type { KeyChange } from '../../store/key-changes.ts';
import { keyChangeIn } from '../../store/key-changes.ts';
import { finishReplacement, holdForReplacement } from '../../store/key-replacement.ts';
import { activateKmsHost, giveIncrease, issueMak, keysOf, readKey } from '../../store/keys.ts';
import { activateOnMak } from '../../store/mak-activations.ts';
import { accepted, agent, anAgreement, context, ines, installationId, productKey } from '../builders.ts';
import { mondayNine, mondayTen } from '../instants.ts';
import { everyItem } from '../store/dynamodb.ts';

/** An agreement of its own, with a KMS key and a MAK of 100 that the call centre may raise as far as it likes. */
export type Watchable = { readonly agreement: Agreement; readonly kms: KmsKey; readonly mak: Mak };

let drawn = 0;
const draw = () => productKey(7_919 * ++drawn);

export async function aWatchable(store: Store, facts: Partial<Agreement> = {}): Promise<Watchable> {
  const agreementNumber = `E-${randomUUID()}`;
  const agreement = anAgreement({ agreementId: agreementNumber, numbers: { agreementNumber }, ...facts });
  accepted(
    await registerAgreement(
      store,
      agreement,
      draw,
      context({ actor: 'admin', operationId: 'register', now: mondayNine }),
    ),
  );
  const [kms] = (await keysOf(store, agreement.agreementId, { limit: 1, after: null })).items;
  if (kms?.state.type !== 'KMS') throw new Error('no KMS key was issued');
  const mak = accepted(
    await issueMak(
      store,
      agreement,
      { productGroup: 'client', drawKey: draw },
      context({ actor: ines.email, operationId: 'issue', now: mondayNine }),
    ),
  ).answer;
  return { agreement, kms: kms.state, mak };
}

/** Activates so many machines on a MAK, from a number on. */
export async function activateMachines(
  store: Store,
  { keyId }: Pick<Key, 'keyId'>,
  from: number,
  count: number,
  at: Instant = mondayTen,
): Promise<void> {
  for (let machine = from; machine < from + count; machine += 1) {
    const kept = await readKey(store, keyId);
    const asked = {
      installationId: installationId(machine),
      product: 'windows-vista-business',
      machineName: null,
      activatedAt: at,
    } as const;
    const digest = store.vault.digestOf(keyId, asked.installationId);
    const layout = { keyId, bucketCount: kept?.kept.bucketCount ?? 0 };
    const { is } = await activateOnMak(store, layout, digest, asked);
    if (is !== 'activated') throw new Error(`machine ${machine} was not activated: ${is}`);
  }
}

export async function activateHostOn(
  store: Store,
  { keyId }: Pick<Key, 'keyId'>,
  host: number,
  at: Instant = mondayTen,
): Promise<void> {
  const asked = {
    installationId: installationId(host),
    product: 'windows-server-2008-standard',
    machineName: null,
  } as const;
  const outcome = await activateKmsHost(store, keyId, asked, context({ operationId: randomUUID(), now: at }));
  if (!outcome?.ok) throw new Error(`host ${host} was not activated`);
}

/** Raises the limit of a MAK by phone. */
export async function raise(store: Store, { keyId }: Pick<Key, 'keyId'>, newLimit: number): Promise<void> {
  const ask = { newLimit, callReference: `to ${newLimit}`, callerName: 'Inés Oliveira' };
  const outcome = await giveIncrease(
    store,
    keyId,
    ask,
    context({ actor: agent, operationId: `raise to ${newLimit}`, now: mondayTen }),
  );
  if (!outcome?.ok) throw new Error('the limit was not raised');
}

/** Replaces a key, and answers its successor. */
export async function replace(store: Store, { keyId }: Pick<Key, 'keyId'>): Promise<Key> {
  const ask = { reason: 'It leaked.', reference: 'CALL-1' };
  await holdForReplacement(
    store,
    keyId,
    { ...ask, drawKey: draw },
    context({ actor: ines.email, operationId: `replace ${keyId}`, now: mondayTen }),
  );
  const issued = await finishReplacement(store, keyId, mondayTen);
  const kept = issued === undefined ? undefined : await readKey(store, issued);
  if (kept === undefined) throw new Error(`Key ${keyId} was not replaced.`);
  return kept.state;
}

/** The notices that are owed, oldest occasion first. */
export async function noticesKept(store: Store): Promise<readonly Notice[]> {
  const items = await everyItem(store);
  return items.flatMap(({ SK, notification }) => (SK === 'NOTIFICATION' ? [notification as Notice] : []));
}

/** What is told to one reader: the share of a limit, or what else the notice is about, in no order. */
export async function toldTo(store: Store, { email }: { readonly email: string } = ines): Promise<readonly string[]> {
  const notices = await noticesKept(store);
  return notices
    .filter(({ to }) => to.email === email)
    .map(({ about }) => (about.is === 'limit-used' ? `${about.percent}% of ${about.limit}` : about.is))
    .toSorted();
}

/** One batch of the stream, as Lambda hands it over. */
export type Batch = { readonly Records: readonly StreamRecord[] };
export type StreamRecord = {
  readonly dynamodb: {
    readonly SequenceNumber: string;
    readonly NewImage?: Readonly<Record<string, unknown>>;
    readonly OldImage?: Readonly<Record<string, unknown>>;
  };
};

/** Every change of a table so far, as its stream has it. */
export async function recordsOf({ tableName }: Store): Promise<readonly StreamRecord[]> {
  const records: StreamRecord[] = [];
  const endpoint = process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '';
  const stream = await followStream(
    { endpoint, tableName },
    {
      test: (event) => {
        records.push(...(event as Batch).Records);
        return Promise.resolve({ batchItemFailures: [] });
      },
    },
  );
  await stream.quiet();
  await stream.stop();
  return records;
}

/** What the stream of a table tells of keys, change by change. */
export async function changesOf(store: Store): Promise<readonly KeyChange[]> {
  const records = await recordsOf(store);
  return records.flatMap(({ dynamodb }) => keyChangeIn({ before: dynamodb.OldImage, after: dynamodb.NewImage }) ?? []);
}
