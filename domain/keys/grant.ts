import type { Instant } from '../calendar/instant.ts';

/**
 * One contribution to the limit of a key (KEY-8): its amount, time, actor, reference, and approver.
 * An `override` grant is one activation of one KMS host. All other kinds count in the unit of the key's limit:
 * activations for a MAK, hosts for a KMS key.
 */
export type Grant = {
  readonly kind: 'initial' | 'override' | 'call-center' | 'exception';
  readonly amount: number;
  readonly at: Instant;
  readonly by: string;
  readonly reference: string;
  readonly approvedBy: string | null;
};

/** Returns the enforced limit: the sum of the grants that count in its unit (KEY-8). */
export function limitOf(grants: readonly Grant[]): number {
  return grants.reduce((sum, grant) => (grant.kind === 'override' ? sum : sum + grant.amount), 0);
}

/** Returns the limit that the key was issued with. Increases by the call center are measured against it (MAK-4). */
export function originalLimitOf(grants: readonly Grant[]): number {
  return grants.reduce((sum, grant) => (grant.kind === 'initial' ? sum + grant.amount : sum), 0);
}

/** Finds the grant that already exists for a reference, so that a repeated call grants nothing more (OVR-4). */
export function findGrant(grants: readonly Grant[], kind: Grant['kind'], reference: string): Grant | undefined {
  return grants.find((grant) => grant.kind === kind && grant.reference === reference);
}
