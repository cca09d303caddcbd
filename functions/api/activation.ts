import type { Instant } from '../../domain/calendar/instant.ts';
import type { Product, ProductGroup } from '../../domain/catalog.ts';
import type { Context } from '../../domain/context.ts';
import { confirmationIdFrom, type InstallationId, parseInstallationId } from '../../domain/keys/installation-id.ts';
import { refusedUnlessCovered, refusedUnlessLive } from '../../domain/keys/key.ts';
import { refusedAtLimit } from '../../domain/keys/mak.ts';
import { parseProductKey } from '../../domain/keys/product-key.ts';
import { validate } from '../../domain/keys/replacement.ts';
import { refuse } from '../../domain/refusal.ts';
import type { Secret } from '../../domain/secret.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { Contention } from '../../store/dynamodb/table.ts';
import type { KeptKey } from '../../store/keys.ts';
import { activateKmsHost, readKey, recordClients } from '../../store/keys.ts';
import type { Activation, Layout, MakOutcome } from '../../store/mak-activations.ts';
import { activateOnMak, hasMark } from '../../store/mak-activations.ts';
import { activateBatchOnMak } from '../../store/mak-batch-activations.ts';
import type { Answer, RefusedAs } from '../http/handler.ts';
import { http } from '../http/handler.ts';
import { problemOf } from '../http/problems.ts';
import { count } from '../runtime/observability.ts';
import { theStore } from '../runtime/store.ts';

export const handler = http('activation', {
  'POST /activations': async ({ body, now, context }) => {
    const store = theStore();
    const installation = parseInstallationId(body.installationId);
    if (!installation.ok) return installation;
    const keyId = keyIdFrom(store, body.productKey);
    if (keyId === undefined) return unknownKey();
    const { installationId } = installation;
    const { product, machineName = null } = body;
    return activate(store, keyId, { installationId, product, machineName, activatedAt: now }, context);
  },

  'POST /activations/batch': async ({ body, now, context }) => {
    const store = theStore();
    const keyId = keyIdFrom(store, body.productKey);
    const facts = keyId === undefined ? undefined : await recall(store, keyId);
    if (keyId === undefined || facts === undefined) return unknownKey();
    const answers =
      facts.type === 'MAK'
        ? await batchOnMak(store, { keyId, facts }, body.activations, now)
        : await batchOnKms(store, keyId, body.activations, context);
    const results = body.activations.map(({ installationId }, index) => lineResult(installationId, answers[index]));
    return { status: 200, body: { results } };
  },

  'POST /validations': async ({ body, context }) => {
    const store = theStore();
    const installation = parseInstallationId(body.installationId);
    if (!installation.ok) return installation;
    const { installationId } = installation;
    const keyId = keyIdFrom(store, body.productKey);
    const key = keyId === undefined ? undefined : await readKey(store, keyId);
    const hasActivated = key !== undefined && (await hasActivatedWith(store, key, installationId));
    return { status: 200, body: validate(key?.state, hasActivated, context) };
  },

  'POST /kms-hosts/client-reports': async ({ body, context }) => {
    const store = theStore();
    const installation = parseInstallationId(body.installationId);
    if (!installation.ok) return installation;
    const keyId = keyIdFrom(store, body.productKey);
    if (keyId === undefined) return unknownKey();
    const report = { installationId: installation.installationId, clients: body.clients };
    const outcome = await recordClients(store, keyId, report, context);
    if (outcome === undefined) return unknownKey();
    if (!outcome.ok) return outcome;
    return outcome.answer.known
      ? { status: 204 }
      : refuse(
          'not-found',
          'No KMS host with this installation id has activated with this key. Activate the host first.',
        );
  },
});

function keyIdFrom(store: Store, typed: Secret): string | undefined {
  const productKey = parseProductKey(typed.reveal());
  return productKey === undefined ? undefined : store.vault.keyIdOf(productKey);
}

function unknownKey(): RefusedAs {
  return refuse(
    'unknown-key',
    'No key like this was ever issued. Check each of its 25 symbols; a key has no 0, 1, 5, A, E, I, L, N, O, S, U or Z.',
  );
}

/**
 * What a warm function remembers of a key: only what never changes, or is found out to have changed by the write itself.
 * With it a machine's activation is one conditional write.
 */
type Remembered = {
  readonly type: 'MAK' | 'KMS';
  readonly productGroup: ProductGroup;
  readonly lastFive: string;
  readonly bucketCount: number;
};
const remembered = new Map<string, Remembered>();
const rememberedAtMost = 10_000;

async function recall(store: Store, keyId: string): Promise<Remembered | undefined> {
  const known = remembered.get(keyId);
  if (known !== undefined) return known;
  const key = await readKey(store, keyId);
  return key === undefined ? undefined : remember(key);
}

function remember({ state, kept }: KeptKey): Remembered {
  const { keyId, type, productGroup, lastFive } = state;
  const facts = { type, productGroup, lastFive, bucketCount: kept.bucketCount };
  if (remembered.size >= rememberedAtMost) remembered.clear();
  remembered.set(keyId, facts);
  return facts;
}

async function activate(store: Store, keyId: string, asked: Activation, context: Context): Promise<Answer | RefusedAs> {
  const facts = await recall(store, keyId);
  if (facts === undefined) return unknownKey();
  return facts.type === 'KMS' ? onKms(store, keyId, asked, context) : onMak(store, keyId, facts, asked);
}

/**
 * The number of times that the key is read for one activation. Once is the rule, twice after its limit has grown. A key
 * that is still behind its buckets after that, as after a restore from a backup, is not waited for any longer.
 */
const layoutReadsMax = 4;

/**
 * Tries an activation with the layout that this function remembers, and reads the key again while that layout is stale.
 * Throws `Contention` when the key and its buckets still disagree after `layoutReadsMax` readings.
 */
async function withCurrentLayout<Outcome>(
  store: Store,
  { keyId, facts }: { readonly keyId: string; readonly facts: Remembered },
  activateWith: (layout: Layout) => Promise<Outcome | 'laid-out-anew'>,
): Promise<Outcome> {
  let { bucketCount } = facts;
  for (let reads = 1; reads <= layoutReadsMax; reads += 1) {
    // The first new reading is the remedy for a layout that has grown; only then others are in the middle of something.
    if (reads > 2) await store.pause(reads);
    const outcome = await activateWith({ keyId, bucketCount });
    if (outcome !== 'laid-out-anew') return outcome;
    ({ bucketCount } = remember(await readAgain(store, keyId)));
  }
  throw new Contention(`Key ${keyId} and its buckets still disagree after ${layoutReadsMax} readings.`);
}

async function onMak(store: Store, keyId: string, facts: Remembered, asked: Activation): Promise<Answer | RefusedAs> {
  const notCovered = refusedUnlessCovered(facts, asked.product, store.policy);
  if (notCovered !== undefined) return notCovered;
  const digest = store.vault.digestOf(keyId, asked.installationId);
  const outcome = await withCurrentLayout(store, { keyId, facts }, async (layout) => {
    const tried = await activateOnMak(store, layout, digest, asked);
    return tried.is === 'laid-out-anew' ? tried.is : tried;
  });
  return answerMak(store, { keyId, digest, asked }, outcome);
}

/** What a machine is answered to what came of its activation. */
async function answerMak(
  store: Store,
  { keyId, digest, asked }: { readonly keyId: string; readonly digest: Buffer; readonly asked: Activation },
  outcome: Exclude<MakOutcome, { is: 'laid-out-anew' }>,
): Promise<Answer | RefusedAs> {
  switch (outcome.is) {
    case 'activated':
      return activated({ keyType: 'MAK', digest, activatedAt: outcome.activation.activatedAt }, 201);
    case 'known':
      return activated({ keyType: 'MAK', digest, activatedAt: outcome.activation.activatedAt }, 200);
    case 'blocked':
    case 'spent': {
      const { state, kept } = await readAgain(store, keyId);
      const notLive = refusedUnlessLive(state);
      if (notLive !== undefined) return blocked(notLive);
      if (state.type !== 'MAK' || outcome.is === 'blocked') throw new Error(`Key ${keyId} and its buckets disagree.`);
      return refusedAtLimit(state, outcome.used, { agreement: kept.agreement, product: asked.product }, store.policy);
    }
  }
}

async function onKms(store: Store, keyId: string, asked: Activation, context: Context): Promise<Answer | RefusedAs> {
  const outcome = await activateKmsHost(store, keyId, asked, context);
  if (outcome === undefined) return unknownKey();
  if (!outcome.ok) return outcome.refusal.code === 'key-blocked' ? blocked(outcome) : outcome;
  const { host, advisory } = outcome.answer;
  const more = { uses: host.uses, ...(advisory === undefined ? {} : { advisory }) };
  const digest = store.vault.digestOf(keyId, asked.installationId);
  return activated({ keyType: 'KMS', digest, activatedAt: asked.activatedAt }, 201, more);
}

type Asked = { readonly installationId: string; readonly product: Product; readonly machineName?: string | undefined };

/** Each line of a batch gets its own answer, in order; what is wrong with one keeps none of the others (MAK-6). */
async function batchOnMak(
  store: Store,
  { keyId, facts }: { readonly keyId: string; readonly facts: Remembered },
  asked: readonly Asked[],
  now: Instant,
): Promise<readonly (Answer | RefusedAs)[]> {
  const parsed = asked.map(({ installationId: text, product, machineName = null }) => {
    const installation = parseInstallationId(text);
    if (!installation.ok) return installation;
    const notCovered = refusedUnlessCovered(facts, product, store.policy);
    if (notCovered !== undefined) return notCovered;
    const { installationId } = installation;
    const digest = store.vault.digestOf(keyId, installationId);
    return {
      ok: true,
      line: { digest, activation: { installationId, product, machineName, activatedAt: now } },
    } as const;
  });
  const lines = parsed.flatMap((each) => (each.ok ? [each.line] : []));
  const outcomes =
    lines.length === 0
      ? []
      : await withCurrentLayout(store, { keyId, facts }, (layout) => activateBatchOnMak(store, layout, lines));
  const inOrder = outcomes.values();
  return Promise.all(
    parsed.map((each) => {
      if (!each.ok) return each;
      const outcome = inOrder.next().value;
      if (outcome === undefined) throw new Error('A line of a batch was left without an answer.');
      const { digest, activation } = each.line;
      // A line can find its layout stale by itself, when the others of its batch are through already.
      if (outcome.is === 'laid-out-anew') return onMak(store, keyId, facts, activation);
      return answerMak(store, { keyId, digest, asked: activation }, outcome);
    }),
  );
}

/** Hosts are few and share one item: a batch of them is activated one after the other. */
async function batchOnKms(
  store: Store,
  keyId: string,
  asked: readonly Asked[],
  context: Context,
): Promise<readonly (Answer | RefusedAs)[]> {
  const answers: (Answer | RefusedAs)[] = [];
  for (const [index, { installationId: text, product, machineName = null }] of asked.entries()) {
    const installation = parseInstallationId(text);
    if (!installation.ok) {
      answers.push(installation);
      continue;
    }
    const { installationId } = installation;
    const line = { installationId, product, machineName, activatedAt: context.now };
    answers.push(await onKms(store, keyId, line, { ...context, operationId: `${context.operationId} line ${index}` }));
  }
  return answers;
}

function lineResult(installationId: string, answer: Answer | RefusedAs | undefined) {
  if (answer === undefined) throw new Error('A line of a batch was left without an answer.');
  if ('ok' in answer) {
    const problem = problemOf(answer.refusal, answer.status);
    return { installationId, status: problem.status, problem };
  }
  return { installationId, status: answer.status, activation: answer.body };
}

async function hasActivatedWith(
  store: Store,
  { state, kept }: KeptKey,
  installationId: InstallationId,
): Promise<boolean> {
  if (state.type === 'KMS') return state.hosts.some((host) => host.installationId === installationId);
  const { keyId } = state;
  const digest = store.vault.digestOf(keyId, installationId);
  return hasMark(store, { keyId, bucketCount: kept.bucketCount }, digest, installationId);
}

/** A device may not use a blocked key: for it that is forbidden, where staff hear of a conflict. */
function blocked(refused: RefusedAs): RefusedAs {
  return { ...refused, status: 403 };
}

async function readAgain(store: Store, keyId: string): Promise<KeptKey> {
  const key = await readKey(store, keyId);
  if (key === undefined) throw new Error(`Key ${keyId} has gone; keys are never deleted.`);
  return key;
}

function activated(
  of: { readonly keyType: 'MAK' | 'KMS'; readonly digest: Buffer; readonly activatedAt: Instant },
  status: 200 | 201,
  more: object = {},
): Answer {
  const { keyType, digest, activatedAt } = of;
  const activationId = digest.subarray(0, 16).toString('hex');
  if (status === 201) count('activations', keyType);
  return { status, body: { activationId, confirmationId: confirmationIdFrom(digest), keyType, activatedAt, ...more } };
}
