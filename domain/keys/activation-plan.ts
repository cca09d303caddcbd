import { makLimitFor } from '../agreement.ts';
import type { KeyType, ProductGroup, Program } from '../catalog.ts';
import { productGroups } from '../catalog.ts';
import type { Policy } from '../policy.ts';

/** How many machines of each product group a site has. */
export type Site = { readonly name: string; readonly machines: Readonly<Record<ProductGroup, number>> };

/** How the machines of one group at one site are best activated, and how many they are. */
export type SitePart = { readonly productGroup: ProductGroup; readonly machines: number; readonly keyType: KeyType };

export type SitePlan = {
  readonly name: string;
  readonly parts: readonly SitePart[];
  readonly kmsHosts: number;
  /** Why, in sentences. */
  readonly reasons: readonly string[];
};

/** One key that the plan needs: how much of its limit, and what must be asked for beyond what it starts with. */
export type KeyPlan = {
  readonly type: KeyType;
  readonly productGroup: ProductGroup;
  /** Host places of a KMS key, activations of a MAK. */
  readonly needed: number;
  readonly startsWith: number;
  readonly beyond: {
    readonly amount: number;
    readonly ask: 'call-center' | 'KMSADD' | 'MAKADD';
    readonly how: string;
  } | null;
};

export type ActivationPlan = {
  readonly program: Program;
  readonly advice: 'mix' | 'kms' | 'mak';
  readonly summary: string;
  readonly sites: readonly SitePlan[];
  readonly keys: readonly KeyPlan[];
};

const serverGroups = ['server-a', 'server-b', 'server-c'] as const;

/**
 * The activation plan (AGR-6): which keys to use where, how many KMS hosts and MAK activations that takes, and what must
 * be asked for beyond the standard limits. At a site, machines of a kind (clients, servers) that pass the KMS threshold
 * use a KMS host there; all others use MAKs. Open customers are advised MAK, unless a site passes a threshold.
 */
export function planActivations(program: Program, sites: readonly Site[], policy: Policy): ActivationPlan {
  const sitePlans = sites.map((site) => planSite(site, policy));
  const keys = [...planKmsKey(sitePlans, policy), ...planMaks(sitePlans, program, policy)];
  const types = new Set(keys.map(({ type }) => type));
  const advice = types.size === 2 ? 'mix' : types.has('KMS') ? 'kms' : 'mak';
  return { program, advice, summary: summaryOf(program, advice, keys), sites: sitePlans, keys };
}

function planSite({ name, machines }: Site, policy: Policy): SitePlan {
  const { clients: clientThreshold, servers: serverThreshold } = policy.plan.kmsThreshold;
  const serverCount = serverGroups.reduce((sum, group) => sum + machines[group], 0);
  const clientsByKms = machines.client >= clientThreshold;
  const serversByKms = serverCount >= serverThreshold;
  const parts = productGroups
    .filter((group) => machines[group] > 0)
    .map((productGroup): SitePart => {
      const byKms = productGroup === 'client' ? clientsByKms : serversByKms;
      return { productGroup, machines: machines[productGroup], keyType: byKms ? 'KMS' : 'MAK' };
    });
  const reasons = [
    ...reasonsFor('clients', machines.client, clientThreshold),
    ...reasonsFor('servers', serverCount, serverThreshold),
  ];
  return { name, parts, kmsHosts: parts.some(({ keyType }) => keyType === 'KMS') ? 1 : 0, reasons };
}

function reasonsFor(machineKind: string, count: number, threshold: number): readonly string[] {
  if (count === 0) return [];
  return count >= threshold
    ? [`${count} ${machineKind} are at least the ${threshold} that a KMS host needs: use one KMS host here for them.`]
    : [`${count} ${machineKind} are fewer than the ${threshold} that a KMS host needs: activate each with a MAK.`];
}

/** One KMS key serves all sites: its group is the highest that any of them activates by KMS. */
function planKmsKey(sites: readonly SitePlan[], policy: Policy): readonly KeyPlan[] {
  const needed = sites.reduce((sum, { kmsHosts }) => sum + kmsHosts, 0);
  const byKms = sites.flatMap(({ parts }) => parts).filter(({ keyType }) => keyType === 'KMS');
  const productGroup = productGroups.findLast((group) => byKms.some((part) => part.productGroup === group));
  if (productGroup === undefined) return [];
  const startsWith = policy.kms.hostPlaces;
  const amount = needed - startsWith;
  const { overridesPerKey } = policy.callCenter;
  return [
    {
      type: 'KMS',
      productGroup,
      needed,
      startsWith,
      beyond:
        amount <= 0
          ? null
          : amount <= overridesPerKey
            ? {
                amount,
                ask: 'call-center',
                how: `Call the activation call centre from beside each further host: one override a day, ${overridesPerKey} in all.`,
              }
            : { amount, ask: 'KMSADD', how: `Send a KMSADD request for ${amount} more host places.` },
    },
  ];
}

/** One MAK for each group that has machines off KMS; what it starts with is reckoned for as many licenses as machines. */
function planMaks(sites: readonly SitePlan[], program: Program, policy: Policy): readonly KeyPlan[] {
  const parts = sites.flatMap((site) => site.parts);
  return productGroups.flatMap((productGroup): readonly KeyPlan[] => {
    const ofGroup = parts.filter((part) => part.productGroup === productGroup);
    const needed = ofGroup.filter(({ keyType }) => keyType === 'MAK').reduce((sum, { machines }) => sum + machines, 0);
    if (needed === 0) return [];
    const licenses = ofGroup.reduce((sum, { machines }) => sum + machines, 0);
    const startsWith = makLimitFor(licenses, program, null, policy);
    const amount = needed - startsWith;
    const byPhone = startsWith * (policy.callCenter.increaseUpToTimesOriginal - 1);
    return [
      {
        type: 'MAK',
        productGroup,
        needed,
        startsWith,
        beyond:
          amount <= 0
            ? null
            : amount <= byPhone
              ? { amount, ask: 'call-center', how: `Call the activation call centre for ${amount} more activations.` }
              : { amount, ask: 'MAKADD', how: `Send a MAKADD request for ${amount} more activations.` },
      },
    ];
  });
}

function summaryOf(program: Program, advice: ActivationPlan['advice'], keys: readonly KeyPlan[]): string {
  const hosts = keys.find(({ type }) => type === 'KMS')?.needed ?? 0;
  const activations = keys.filter(({ type }) => type === 'MAK').reduce((sum, { needed }) => sum + needed, 0);
  const requirement = `It takes ${hosts} KMS ${hosts === 1 ? 'host' : 'hosts'} and ${activations} MAK activations.`;
  if (program === 'open') {
    return advice === 'mak'
      ? `For Open agreements we advise MAKs. ${requirement}`
      : `For Open agreements we advise MAKs, except where a site is large enough for a KMS host. ${requirement}`;
  }
  return `A mix of KMS where a site is large enough and MAKs elsewhere suits this agreement best. ${requirement}`;
}
