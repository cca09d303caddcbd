import type { App } from 'aws-cdk-lib';
import type { Deployment } from './deployment.ts';
import { ServiceStack } from './service-stack.ts';
import { StatefulStack } from './stateful-stack.ts';

/**
 * Creates the stacks of a stage: a stateful stack with the data, and a service stack that can be deleted and recreated.
 */
export function createStacks(
  app: App,
  input: Omit<Deployment, 'prefix'>,
): { readonly stateful: StatefulStack; readonly service: ServiceStack } {
  const deployment = { ...input, prefix: `volume-activation-${input.stageName}` };
  const stateful = new StatefulStack(app, `${deployment.prefix}-stateful`, deployment);
  const service = new ServiceStack(app, `${deployment.prefix}-service`, deployment, stateful);
  return { stateful, service };
}
