import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, NIST80053R5Checks } from 'cdk-nag';
import { manifest } from '../functions/manifest.ts';
import { createStacks } from './stacks.ts';
import { readStage, root, type Stage } from './stage.ts';

/*
 * The CDK app. It synthesizes the stage of `cdk.json` that the context value `stage` names, without credentials or a
 * container.
 */

/** An error that the user can fix. The app prints its message on one line, without a stack trace. */
class ConfigurationError extends Error {}

function main(): void {
  const app = new App();
  const stageResult = readStage(app.node.tryGetContext('stages'), app.node.tryGetContext('stage'));
  if (!stageResult.ok) throw new ConfigurationError(stageResult.problem);
  const { name: stageName, stage } = stageResult;
  checkPolicy(stageName, stage);
  const account = stage.account ?? process.env.CDK_DEFAULT_ACCOUNT;
  createStacks(app, {
    stageName,
    stage,
    manifest,
    version: readPackageVersion(),
    emulated: String(app.node.tryGetContext('emulated')) === 'true',
    env: { region: stage.region, ...(account === undefined ? {} : { account }) },
  });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new NIST80053R5Checks(app));
  app.synth();
}

/** Refuses a policy file that is missing or not JSON. Without this check, the first function to start would fail. */
function checkPolicy(stageName: string, { policyFile }: Stage): void {
  try {
    JSON.parse(readFileSync(join(root, policyFile), 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigurationError(`cdk.json: context.stages.${stageName}: policyFile cannot be read: ${reason}`);
  }
}

function readPackageVersion(): string {
  const { version }: { readonly version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return version;
}

try {
  main();
} catch (error) {
  console.error(error instanceof ConfigurationError ? error.message : error);
  process.exit(1);
}
