import type { App, Environment as AwsEnvironment } from 'aws-cdk-lib';
import type { Entry } from '../functions/manifest.ts';
import { KeptStack } from './kept-stack.ts';
import { RunningStack } from './running-stack.ts';
import type { Stage } from './stage.ts';

/** All that the stacks are made from. */
export type Deployment = {
  /** What every resource with a name of its own begins with: the service and the stage. */
  readonly prefix: string;
  readonly stageName: string;
  readonly stage: Stage;
  readonly manifest: Readonly<Record<string, Entry>>;
  readonly version: string;
  /** Leaves out what an emulator of AWS cannot make (listed in the docs). */
  readonly emulated: boolean;
  readonly env: AwsEnvironment;
};

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
