import type { Environment as AwsEnvironment } from 'aws-cdk-lib';
import type { ManifestEntry } from '../functions/manifest.ts';
import type { Stage } from './stage.ts';

/** All that the stacks are made from. */
export type Deployment = {
  /** What every resource with a name of its own begins with: the service and the stage. */
  readonly prefix: string;
  readonly stageName: string;
  readonly stage: Stage;
  readonly manifest: Readonly<Record<string, ManifestEntry>>;
  readonly version: string;
  /** Leaves out what an emulator of AWS cannot make (listed in the docs). */
  readonly emulated: boolean;
  readonly env: AwsEnvironment;
};
