import { Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/**
 * Says for one construct, and all below it, why findings of the rule packs are no mistake there: rule (with the finding, if
 * the rule has several) to reason. What is not acknowledged stops the synthesis.
 */
export function acknowledge(scope: IConstruct, reasons: Readonly<Record<string, string>>): void {
  Validations.of(scope).acknowledge(...Object.entries(reasons).map(([id, reason]) => ({ id, reason })));
}
