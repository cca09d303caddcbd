import type { Environment as AwsEnvironment } from 'aws-cdk-lib';
import type { ManifestEntry } from '../functions/manifest.ts';
import type { Stage } from './stage.ts';

/** The input of the stacks. */
export type Deployment = {
  /** The prefix of all explicit resource names: the service and the stage. */
  readonly prefix: string;
  readonly stageName: string;
  readonly stage: Stage;
  readonly manifest: Readonly<Record<string, ManifestEntry>>;
  readonly version: string;
  /** Leaves out the resources that an emulator of AWS does not support. `docs/deploy.md` lists them. */
  readonly emulated: boolean;
  readonly env: AwsEnvironment;
};
