import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { examplesIn, readStage, root, stagesInCdkJson } from '../infra/stage.ts';

/*
 * `npm run deploy -- --stage X` makes a stage in the account that the credentials are for, or brings it up to date, and
 * prints where it is. `npm run destroy -- --stage X` removes what runs and leaves what is kept.
 */

/** What the user can mend: told in one line. */
class CannotDeploy extends Error {}

/** What a deployment put out, by stack and name. */
export type Outputs = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Where the outputs of the last deployment from this folder are. */
export function outputsFile(stageName: string): string {
  return join(root, 'cdk.out', `outputs-${stageName}.json`);
}

/** The address of the API among the outputs. */
export function addressIn(outputs: Outputs): string | undefined {
  return valueNamed(/^ApiAddress/, outputs);
}

function valueNamed(name: RegExp, outputs: Outputs): string | undefined {
  const [, value] =
    Object.values(outputs)
      .flatMap(Object.entries)
      .find(([key]) => name.test(key)) ?? [];
  return value;
}

function main(verb: string | undefined, rest: readonly string[]): void {
  const { values } = parseArgs({
    args: [...rest],
    options: {
      stage: { type: 'string' },
      // Asks nothing: for scripts.
      yes: { type: 'boolean', default: false },
      // For an emulator of AWS, which takes examples for real and cannot make everything.
      emulated: { type: 'boolean', default: false },
    },
  });
  const read = readStage(stagesInCdkJson(), values.stage);
  if (!read.ok) throw new CannotDeploy(read.problem);
  const { name, stage } = read;
  const context = ['-c', `stage=${name}`, ...(values.emulated ? ['-c', 'emulated=true'] : [])];
  const stacks = [`volume-activation-${name}-kept`, `volume-activation-${name}-running`] as const;
  switch (verb) {
    case 'deploy': {
      const examples = values.emulated ? [] : examplesIn(stage);
      if (examples.length > 0) {
        throw new CannotDeploy(`cdk.json: context.stages.${name}: still an example: ${examples.join(', ')}`);
      }
      mkdirSync(join(root, 'cdk.out'), { recursive: true });
      const approval = values.yes ? ['--require-approval', 'never'] : [];
      cdk('deploy', ...stacks, ...context, ...approval, '--outputs-file', outputsFile(name));
      process.stdout.write(summary(name, JSON.parse(readFileSync(outputsFile(name), 'utf8'))));
      return;
    }
    case 'destroy': {
      cdk('destroy', stacks[1], '--exclusively', ...context, ...(values.yes ? ['--force'] : []));
      process.stdout.write(
        `\nWhat runs is gone. The stack ${stacks[0]} still has the table, its key, the root secret and the accounts;\n` +
          `npm run deploy -- --stage ${name} puts everything back to work on them.\n\n`,
      );
      return;
    }
    default:
      throw new CannotDeploy('Say what to do: node commands/deploy.ts deploy|destroy --stage X');
  }
}

function cdk(...args: readonly string[]): void {
  const command = join(root, 'node_modules', '.bin', 'cdk');
  if (!existsSync(command)) throw new CannotDeploy('The CDK is not installed: run npm ci first.');
  const { status } = spawnSync(command, [...args], { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new CannotDeploy('Nothing more was done: what went wrong is told above.');
}

/** What people need of a stage that stands, and what CloudFormation could not do for them. */
export function summary(stageName: string, outputs: Outputs): string {
  const lines = [
    ['API', addressIn(outputs)],
    ['Sign-in page', valueNamed(/^SignInAddress/, outputs)],
    ['User pool', valueNamed(/^UserPoolId/, outputs)],
    ['Client id', valueNamed(/^ClientId/, outputs)],
    ['Table', valueNamed(/^TableName/, outputs)],
    ['Dashboard', valueNamed(/^DashboardAddress/, outputs)],
  ].flatMap(([what, value]) => (value === undefined ? [] : `  ${String(what).padEnd(14)}${value}`));
  const dns = Object.values(outputs)
    .flatMap(Object.entries)
    .flatMap(([key, value]) => (/^DnsRecord\d+$/.test(key) ? `  ${value}` : []));
  const ruleSet = valueNamed(/ReceiptRuleSet/, outputs);
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
    if (!(error instanceof CannotDeploy) && !(error instanceof TypeError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
