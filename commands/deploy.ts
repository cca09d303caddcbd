import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findPlaceholders, readStage, readStages, root } from '../infra/stage.ts';

/*
 * `npm run deploy -- --stage X` creates or updates a stage in the account of the credentials, and prints its addresses.
 * `npm run destroy -- --stage X` deletes the service stack and retains the stateful stack.
 */

/** An error that the user can fix. The command prints its message on one line, without a stack trace. */
class DeploymentError extends Error {}

/** The CloudFormation outputs of a deployment, by stack and output name. */
export type StackOutputs = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Returns the path of the file with the outputs of the last deployment of a stage from this machine. */
export function outputsFile(stageName: string): string {
  return join(root, 'cdk.out', `outputs-${stageName}.json`);
}

/** Returns the URL of the API from the outputs. */
export function findApiUrl(outputs: StackOutputs): string | undefined {
  return findOutput(/^ApiUrl/, outputs);
}

function findOutput(name: RegExp, outputs: StackOutputs): string | undefined {
  const [, value] =
    Object.values(outputs)
      .flatMap(Object.entries)
      .find(([key]) => name.test(key)) ?? [];
  return value;
}

function main(action: string | undefined, args: readonly string[]): void {
  const { values } = parseArgs({
    args: [...args],
    options: {
      stage: { type: 'string' },
      // Skips the confirmation, for scripts.
      yes: { type: 'boolean', default: false },
      // For an emulator of AWS. It accepts placeholders and does not support every resource.
      emulated: { type: 'boolean', default: false },
    },
  });
  const stageResult = readStage(readStages(), values.stage);
  if (!stageResult.ok) throw new DeploymentError(stageResult.problem);
  const { name, stage } = stageResult;
  const context = ['-c', `stage=${name}`, ...(values.emulated ? ['-c', 'emulated=true'] : [])];
  const stacks = [`volume-activation-${name}-stateful`, `volume-activation-${name}-service`] as const;
  switch (action) {
    case 'deploy': {
      const placeholders = values.emulated ? [] : findPlaceholders(stage);
      if (placeholders.length > 0) {
        throw new DeploymentError(
          `cdk.json: context.stages.${name}: these settings still have placeholder values: ${placeholders.join(', ')}`,
        );
      }
      mkdirSync(join(root, 'cdk.out'), { recursive: true });
      const approval = values.yes ? ['--require-approval', 'never'] : [];
      runCdk('deploy', ...stacks, ...context, ...approval, '--outputs-file', outputsFile(name));
      process.stdout.write(formatSummary(name, JSON.parse(readFileSync(outputsFile(name), 'utf8'))));
      return;
    }
    case 'destroy': {
      runCdk('destroy', stacks[1], '--exclusively', ...context, ...(values.yes ? ['--force'] : []));
      process.stdout.write(
        `\nDeleted the stack ${stacks[1]}. The stack ${stacks[0]} still has the table, its key, the root secret, and the accounts.\n` +
          `To create the service again with this data, run: npm run deploy -- --stage ${name}\n\n`,
      );
      return;
    }
    default:
      throw new DeploymentError('Usage: node commands/deploy.ts deploy|destroy --stage X');
  }
}

function runCdk(...args: readonly string[]): void {
  const command = join(root, 'node_modules', '.bin', 'cdk');
  if (!existsSync(command)) throw new DeploymentError('The CDK is not installed. Run npm ci first.');
  const { status } = spawnSync(command, [...args], { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new DeploymentError('The CDK failed. See the error above.');
}

/** Formats the addresses of a deployed stage, and the steps that CloudFormation cannot do. */
export function formatSummary(stageName: string, outputs: StackOutputs): string {
  const lines = [
    ['API', findApiUrl(outputs)],
    ['Sign-in page', findOutput(/^SignInUrl/, outputs)],
    ['User pool', findOutput(/^UserPoolId/, outputs)],
    ['Client ID', findOutput(/^UserPoolClientId/, outputs)],
    ['Table', findOutput(/^TableName/, outputs)],
    ['Dashboard', findOutput(/^DashboardUrl/, outputs)],
  ].flatMap(([label, value]) => (value === undefined ? [] : `  ${String(label).padEnd(14)}${value}`));
  const dns = Object.values(outputs)
    .flatMap(Object.entries)
    .flatMap(([key, value]) => (/^DnsRecord\d+$/.test(key) ? `  ${value}` : []));
  const ruleSet = findOutput(/ReceiptRuleSetName/, outputs);
  return [
    '',
    `Deployed stage ${stageName}.`,
    '',
    ...lines,
    ...(dns.length === 0
      ? []
      : ['', 'Create these DNS records. Until they exist, the stage can neither send nor receive email:', '', ...dns]),
    ...(ruleSet === undefined
      ? []
      : [
          '',
          'Activate the rule set for inbound email, once for each account and Region:',
          '',
          `  aws ses set-active-receipt-rule-set --rule-set-name ${ruleSet}`,
        ]),
    '',
    'Run the smoke test:',
    '',
    `  npm run smoke -- --stage ${stageName}`,
    '',
    '',
  ].join('\n');
}

if (import.meta.main) {
  try {
    main(process.argv[2], process.argv.slice(3));
  } catch (error) {
    if (!(error instanceof DeploymentError) && !(error instanceof TypeError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
