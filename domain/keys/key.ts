import type { AgreementNumbers } from '../agreement.ts';
import type { Instant } from '../calendar/instant.ts';
import type { KeyType, Product, ProductGroup } from '../catalog.ts';
import { productsCovered } from '../catalog.ts';
import type { Policy } from '../policy.ts';
import type { RefusalResult } from '../refusal.ts';
import { refuse } from '../refusal.ts';
import type { ExceptionDraft, ExceptionKind } from '../remedy.ts';
import type { Grant } from './grant.ts';
import type { InstallationId } from './installation-id.ts';

/** The properties of every key, MAK or KMS. The product key itself is not one of them: the store seals it (KEY-6). */
type KeyBase = {
  readonly keyId: string;
  readonly agreementId: string;
  readonly productGroup: ProductGroup;
  readonly lastFive: string;
  readonly state: KeyState;
  /** The grants that make up the limit, oldest first (KEY-8). */
  readonly grants: readonly Grant[];
  readonly issuedAt: Instant;
  readonly replaces: string | null;
};

/**
 * A key is live until it is blocked. A replacement first moves it to `blocking`, which stops activations and grants.
 * Then, in one write, it blocks the key and issues the new one (BLK-2). A blocked key has two timestamps, for
 * activation and for genuine validation, which a replacement sets together (BLK-1).
 */
export type KeyState =
  | { readonly status: 'live' }
  | {
      readonly status: 'blocking';
      readonly since: Instant;
      readonly by: string;
      readonly reason: string;
      readonly successor: Successor;
    }
  | {
      readonly status: 'blocked';
      /** The time at which activations and grants stopped. */
      readonly at: Instant;
      /** The time of the block for validation. Installations stay genuine for a grace period after it (VAL-1). */
      readonly validationAt: Instant;
      readonly replacedBy: Successor | null;
    };

/** The reference from a replaced key to its replacement. */
export type Successor = { readonly keyId: string; readonly lastFive: string };

export type Mak = KeyBase & { readonly type: 'MAK' };

export type KmsKey = KeyBase & {
  readonly type: 'KMS';
  readonly hosts: readonly KmsHost[];
  readonly overrides: readonly Override[];
};

export type Key = Mak | KmsKey;

/** A KMS host that has activated. A host that activated only by overrides takes no host slot. */
export type KmsHost = {
  readonly installationId: InstallationId;
  readonly machineName: string | null;
  readonly product: Product;
  readonly slot: 'standard' | 'override';
  /** All activations of the host, of which `overridesSpent` were overrides. */
  readonly uses: number;
  readonly overridesSpent: number;
  readonly firstActivatedAt: Instant;
  readonly lastActivatedAt: Instant;
  readonly clientsReported: number | null;
};

/** One extra activation for one host, granted by the call center (OVR-1, OVR-2). */
export type Override = {
  readonly installationId: InstallationId;
  readonly at: Instant;
  readonly callReference: string;
  readonly usedAt: Instant | null;
};

/** Refuses an operation on a key that is not live (BLK-1); `undefined` when it is live. */
export function refuseUnlessLive(key: Pick<Key, 'state' | 'lastFive'>): RefusalResult | undefined {
  const { state } = key;
  switch (state.status) {
    case 'live':
      return undefined;
    case 'blocking':
      return refuse(
        'key-blocked',
        `The key ending in ${key.lastFive} is being replaced. Use the new key, which is available shortly.`,
        {
          replacedBy: null,
        },
      );
    case 'blocked':
      return refuse(
        'key-blocked',
        state.replacedBy === null
          ? `The key ending in ${key.lastFive} is blocked. Ask your license administrator for the current key.`
          : `The key ending in ${key.lastFive} is blocked. Use the key ending in ${state.replacedBy.lastFive}, which replaced it.`,
        { replacedBy: state.replacedBy?.lastFive ?? null },
      );
  }
}

/**
 * Refuses a product that the key does not cover, and lists those that it covers (KEY-3, MAK-3); `undefined` when
 * covered.
 */
export function refuseUnlessCovered(
  key: { readonly type: KeyType; readonly productGroup: ProductGroup; readonly lastFive: string },
  product: Product,
  policy: Policy,
): RefusalResult | undefined {
  const coveredProducts = productsCovered(key.type, key.productGroup, policy.catalog);
  if (coveredProducts.includes(product)) return undefined;
  const names = coveredProducts.map((each) => policy.catalog[each].name).join(', ');
  return refuse(
    'product-not-covered',
    `The key ending in ${key.lastFive} does not cover ${policy.catalog[product].name}. It covers ${names}. Use another key for this product.`,
    { covers: coveredProducts },
  );
}

/** The part of an agreement that a draft of an exception request is made from. */
export type DraftAgreement = { readonly organization: { readonly name: string }; readonly numbers: AgreementNumbers };

/** Drafts an exception request with everything that the service already knows (MAK-5, OVR-3). */
export function draftRequest(
  key: Pick<Key, 'type' | 'productGroup' | 'lastFive'>,
  details: { readonly agreement: DraftAgreement; readonly activationsRequested: number; readonly product?: Product },
  policy: Policy,
): ExceptionDraft {
  const { agreement, activationsRequested, product } = details;
  const [firstCoveredProduct] = productsCovered('MAK', key.productGroup, policy.catalog);
  const draftProduct = product ?? firstCoveredProduct;
  return {
    kind: exceptionKindOf(key.type),
    organizationName: agreement.organization.name,
    ...agreement.numbers,
    ...(draftProduct === undefined ? {} : { product: draftProduct }),
    keyLastFive: key.lastFive,
    activationsRequested,
  };
}

/** Returns the kind of exception request that raises the limit of a key of this type. */
export function exceptionKindOf(type: KeyType): ExceptionKind {
  return type === 'MAK' ? 'MAKADD' : 'KMSADD';
}
