import type { AgreementNumbers } from '../agreement.ts';
import type { Instant } from '../calendar/instant.ts';
import type { KeyType, Product, ProductGroup } from '../catalog.ts';
import { productsCovered } from '../catalog.ts';
import type { Policy } from '../policy.ts';
import type { RefusalResult } from '../refusal.ts';
import { refuse } from '../refusal.ts';
import type { ExceptionDraft } from '../remedy.ts';
import type { Grant } from './grant.ts';
import type { InstallationId } from './installation-id.ts';
import { maskedKey } from './product-key.ts';

/** What every key is, MAK or KMS. The key itself is not here: it is kept sealed by the store (KEY-6). */
type KeyBase = {
  readonly keyId: string;
  readonly agreementId: string;
  readonly productGroup: ProductGroup;
  readonly lastFive: string;
  readonly state: KeyState;
  /** Everything that made the limit what it is, oldest first (KEY-8). */
  readonly grants: readonly Grant[];
  readonly issuedAt: Instant;
  readonly replaces: string | null;
};

/**
 * A key is live until it is blocked. A replacement first holds the key (nothing is granted or activated any more) and
 * then, in one step, blocks it and issues the new one (BLK-2). Blocked carries two marks, for activation and for genuine
 * validation, which a replacement sets together (BLK-1).
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
      /** Since when nothing is activated or granted with it. */
      readonly at: Instant;
      /** Since when it counts as blocked for validation; its installations stay genuine for a grace after that (VAL-1). */
      readonly validationAt: Instant;
      readonly replacedBy: Successor | null;
    };

/** The key that replaces another, as far as the other tells of it. */
export type Successor = { readonly keyId: string; readonly lastFive: string };

export type Mak = KeyBase & { readonly type: 'MAK' };

export type KmsKey = KeyBase & {
  readonly type: 'KMS';
  readonly hosts: readonly KmsHost[];
  readonly overrides: readonly Override[];
};

export type Key = Mak | KmsKey;

/** A KMS host that has activated. One that came in by an override alone takes no host place. */
export type KmsHost = {
  readonly installationId: InstallationId;
  readonly machineName: string | null;
  readonly product: Product;
  readonly slot: 'standard' | 'override';
  /** All its activations; `overridesSpent` of them were overrides. */
  readonly uses: number;
  readonly overridesSpent: number;
  readonly firstActivatedAt: Instant;
  readonly lastActivatedAt: Instant;
  readonly clientsReported: number | null;
};

/** One extra activation, for one host alone, given by the call centre on one of its days (OVR-1, OVR-2). */
export type Override = {
  readonly installationId: InstallationId;
  readonly at: Instant;
  readonly callReference: string;
  readonly usedAt: Instant | null;
};

/** Refuses whatever needs a live key (BLK-1); `undefined` when the key is live. */
export function refuseUnlessLive(key: Pick<Key, 'state' | 'lastFive'>): RefusalResult | undefined {
  const { state } = key;
  switch (state.status) {
    case 'live':
      return undefined;
    case 'blocking':
      return refuse(
        'key-blocked',
        `The key ending in ${key.lastFive} is being replaced. Use the new key, in a moment.`,
        {
          replacedBy: null,
        },
      );
    case 'blocked':
      return refuse(
        'key-blocked',
        state.replacedBy === null
          ? `The key ending in ${key.lastFive} is blocked. Ask your license administrator for the key that is in use.`
          : `The key ending in ${key.lastFive} is blocked. Use the key ending in ${state.replacedBy.lastFive}, which replaced it.`,
        { replacedBy: state.replacedBy?.lastFive ?? null },
      );
  }
}

/** Refuses a product outside the key's group, naming what the key covers (KEY-3, MAK-3); `undefined` when covered. */
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
    `The key ending in ${key.lastFive} does not cover ${policy.catalog[product].name}. It covers ${names}.`,
    { covers: coveredProducts },
  );
}

/** What is known of the agreement when an exception request is begun for somebody. */
export type DraftAgreement = { readonly organization: { readonly name: string }; readonly numbers: AgreementNumbers };

/** The exception request, begun: all that the system knows of the eight facts already (MAK-5, OVR-3). */
export function draftRequest(
  key: Pick<Key, 'type' | 'productGroup' | 'lastFive'>,
  facts: { readonly agreement: DraftAgreement; readonly activationsRequested: number; readonly product?: Product },
  policy: Policy,
): ExceptionDraft {
  const { agreement, activationsRequested, product } = facts;
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

/** Which exception process raises a key of this type. */
export function exceptionKindOf(type: KeyType): 'MAKADD' | 'KMSADD' {
  return type === 'MAK' ? 'MAKADD' : 'KMSADD';
}

/** How the key is shown in every list: all but the last five masked (KEY-6). */
export function maskOf(key: Pick<Key, 'lastFive'>): string {
  return maskedKey(key.lastFive);
}
