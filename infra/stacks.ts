import type { App } from 'aws-cdk-lib';
import type { Deployment } from './deployment.ts';
import { ServiceStack } from './service-stack.ts';
import { StatefulStack } from './stateful-stack.ts';

/** Builds a stage: what is kept in one stack, and what runs in another that can go and come back. */
export function createStacks(
  app: App,
  input: Omit<Deployment, 'prefix'>,
): { readonly stateful: StatefulStack; readonly service: ServiceStack } {
  const deployment = { ...input, prefix: `volume-activation-${input.stageName}` };
  const stateful = new StatefulStack(app, `${deployment.prefix}-stateful`, deployment);
  const service = new ServiceStack(app, `${deployment.prefix}-service`, deployment, stateful);
  return { stateful, service };
}
