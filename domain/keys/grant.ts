import type { Instant } from '../calendar/instant.ts';

/**
 * Anything that made a limit what it is (KEY-8): how much, when, by whom, under which reference, and who approved.
 * `override` grants are single activations of one KMS host; all other kinds count in the unit of the key's limit
 * (activations for a MAK, host places for a KMS key).
 */
export type Grant = {
  readonly kind: 'initial' | 'override' | 'call-center' | 'exception';
  readonly amount: number;
  readonly at: Instant;
  readonly by: string;
  readonly reference: string;
  readonly approvedBy: string | null;
};

/** The limit that is enforced: the sum of the grants that count in its unit (KEY-8). */
export function limitOf(grants: readonly Grant[]): number {
  return grants.reduce((sum, grant) => (grant.kind === 'override' ? sum : sum + grant.amount), 0);
}

/** What the key was issued with: call-centre increases are measured against it (MAK-4). */
export function originalLimitOf(grants: readonly Grant[]): number {
  return grants.reduce((sum, grant) => (grant.kind === 'initial' ? sum + grant.amount : sum), 0);
}

/** The grant that was already given under this reference, so that a repeated call gives nothing more (OVR-4). */
export function findGrant(grants: readonly Grant[], kind: Grant['kind'], reference: string): Grant | undefined {
  return grants.find((grant) => grant.kind === kind && grant.reference === reference);
}
