import type { App } from 'aws-cdk-lib';
import type { Deployment } from './deployment.ts';
import { RunningStack } from './service-stack.ts';
import { KeptStack } from './stateful-stack.ts';

/** Builds a stage: what is kept in one stack, and what runs in another that can go and come back. */
export function build(
  app: App,
  given: Omit<Deployment, 'prefix'>,
): { readonly kept: KeptStack; readonly running: RunningStack } {
  const deployment = { ...given, prefix: `volume-activation-${given.stageName}` };
  const kept = new KeptStack(app, `${deployment.prefix}-kept`, deployment);
  const running = new RunningStack(app, `${deployment.prefix}-running`, deployment, kept);
  return { kept, running };
}
