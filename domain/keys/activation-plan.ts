import { makLimitFor } from '../agreement.ts';
import type { KeyType, ProductGroup, Program } from '../catalog.ts';
import { productGroups } from '../catalog.ts';
import type { Policy } from '../policy.ts';

/** A site, with its number of machines in each product group. */
export type Site = { readonly name: string; readonly machines: Readonly<Record<ProductGroup, number>> };

/** The machines of one product group at one site, and the key type that suits them. */
export type SitePart = { readonly productGroup: ProductGroup; readonly machines: number; readonly keyType: KeyType };

export type SitePlan = {
  readonly name: string;
  readonly parts: readonly SitePart[];
  readonly kmsHosts: number;
  /** The reasons, as sentences. */
  readonly reasons: readonly string[];
};

/** One key of the plan: how much of its limit the plan needs, and how to get what exceeds the initial limit. */
export type KeyPlan = {
  readonly type: KeyType;
  readonly productGroup: ProductGroup;
  /** Hosts of a KMS key, activations of a MAK. */
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
 * Plans the activation of a customer's sites (AGR-6): which keys to use where, the number of KMS hosts and MAK
 * activations, and how to get more than the initial limits. If the clients or the servers of a site reach the KMS
 * threshold, they use a KMS host. All other machines use MAKs. For Open agreements, the advice is MAKs unless a site
 * reaches a threshold.
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
    ? [`${count} ${machineKind} reach the KMS threshold of ${threshold}: use one KMS host for them at this site.`]
    : [`${count} ${machineKind} are below the KMS threshold of ${threshold}: activate each with a MAK.`];
}

/** Plans the KMS key. One key serves all sites, so its group is the highest that any site activates by KMS. */
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
                how: `Call the call center while you are at each additional host: one override a day, ${overridesPerKey} in total.`,
              }
            : { amount, ask: 'KMSADD', how: `Submit a KMSADD request for ${amount} more hosts.` },
    },
  ];
}

/**
 * Plans one MAK for each group with machines that do not use KMS. Its initial limit assumes one license for each
 * machine.
 */
function planMaks(sites: readonly SitePlan[], program: Program, policy: Policy): readonly KeyPlan[] {
  const parts = sites.flatMap((site) => site.parts);
  return productGroups.flatMap((productGroup): readonly KeyPlan[] => {
    const groupParts = parts.filter((part) => part.productGroup === productGroup);
    const needed = groupParts
      .filter(({ keyType }) => keyType === 'MAK')
      .reduce((sum, { machines }) => sum + machines, 0);
    if (needed === 0) return [];
    const licenses = groupParts.reduce((sum, { machines }) => sum + machines, 0);
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
              ? { amount, ask: 'call-center', how: `Ask the call center for ${amount} more activations.` }
              : { amount, ask: 'MAKADD', how: `Submit a MAKADD request for ${amount} more activations.` },
      },
    ];
  });
}

function summaryOf(program: Program, advice: ActivationPlan['advice'], keys: readonly KeyPlan[]): string {
  const hosts = keys.find(({ type }) => type === 'KMS')?.needed ?? 0;
  const activations = keys.filter(({ type }) => type === 'MAK').reduce((sum, { needed }) => sum + needed, 0);
  const requirement = `You need ${hosts} KMS ${hosts === 1 ? 'host' : 'hosts'} and ${activations} MAK activations.`;
  if (program === 'open') {
    return advice === 'mak'
      ? `We recommend MAKs for Open agreements. ${requirement}`
      : `We recommend MAKs for Open agreements, except at sites that are large enough for a KMS host. ${requirement}`;
  }
  return `We recommend KMS at sites that are large enough, and MAKs everywhere else. ${requirement}`;
}
