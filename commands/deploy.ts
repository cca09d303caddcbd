import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findPlaceholders, readStage, readStages, root } from '../infra/stage.ts';

/*
 * `npm run deploy -- --stage X` makes a stage in the account that the credentials are for, or brings it up to date, and
 * prints where it is. `npm run destroy -- --stage X` removes what runs and leaves what is kept.
 */

/** What the user can mend: told in one line. */
class DeploymentError extends Error {}

/** What a deployment put out, by stack and name. */
export type StackOutputs = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Where the outputs of the last deployment from this folder are. */
export function outputsFile(stageName: string): string {
  return join(root, 'cdk.out', `outputs-${stageName}.json`);
}

/** The address of the API among the outputs. */
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
      // Asks nothing: for scripts.
      yes: { type: 'boolean', default: false },
      // For an emulator of AWS, which takes examples for real and cannot make everything.
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
        throw new DeploymentError(`cdk.json: context.stages.${name}: still an example: ${placeholders.join(', ')}`);
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
        `\nWhat runs is gone. The stack ${stacks[0]} still has the table, its key, the root secret and the accounts;\n` +
          `npm run deploy -- --stage ${name} puts everything back to work on them.\n\n`,
      );
      return;
    }
    default:
      throw new DeploymentError('Say what to do: node commands/deploy.ts deploy|destroy --stage X');
  }
}

function runCdk(...args: readonly string[]): void {
  const command = join(root, 'node_modules', '.bin', 'cdk');
  if (!existsSync(command)) throw new DeploymentError('The CDK is not installed: run npm ci first.');
  const { status } = spawnSync(command, [...args], { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new DeploymentError('Nothing more was done: what went wrong is told above.');
}

/** What people need of a stage that stands, and what CloudFormation could not do for them. */
export function formatSummary(stageName: string, outputs: StackOutputs): string {
  const lines = [
    ['API', findApiUrl(outputs)],
    ['Sign-in page', findOutput(/^SignInUrl/, outputs)],
    ['User pool', findOutput(/^UserPoolId/, outputs)],
    ['Client id', findOutput(/^UserPoolClientId/, outputs)],
    ['Table', findOutput(/^TableName/, outputs)],
    ['Dashboard', findOutput(/^DashboardUrl/, outputs)],
  ].flatMap(([label, value]) => (value === undefined ? [] : `  ${String(label).padEnd(14)}${value}`));
  const dns = Object.values(outputs)
    .flatMap(Object.entries)
    .flatMap(([key, value]) => (/^DnsRecord\d+$/.test(key) ? `  ${value}` : []));
  const ruleSet = findOutput(/ReceiptRuleSetName/, outputs);
  return [
    '',
    `Stage ${stageName} stands.`,
    '',
    ...lines,
    ...(dns.length === 0 ? [] : ['', 'DNS records to make, before which no mail goes out or comes in:', '', ...dns]),
    ...(ruleSet === undefined
      ? []
      : [
          '',
          'Once for this account and Region, so that mails that come in are read:',
          '',
          `  aws ses set-active-receipt-rule-set --rule-set-name ${ruleSet}`,
        ]),
    '',
    'Try it:',
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
