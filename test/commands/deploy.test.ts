import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findApiUrl, formatSummary, type StackOutputs } from '../../commands/deploy.ts';
import { stageNamed } from '../infra/synth.ts';
import { root } from '../project-files.ts';

function run(file: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const { status, stderr } = spawnSync(process.execPath, [join(root, file), ...args], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...environment },
  });
  return { status, stderr };
}

const outputs: StackOutputs = {
  'volume-activation-x-stateful': {
    TableName: 'the-table',
    UserPoolId: 'us-east-1_a',
    UserPoolClientId: 'client',
    SignInUrl: 'https://sign.in',
  },
  'volume-activation-x-service': { ApiUrl: 'https://api.contoso.com', DashboardUrl: 'https://dash' },
};

describe('the summary of a deployment', () => {
  it('lists the addresses of the stage and the command of the smoke test', () => {
    expect(findApiUrl(outputs)).toBe('https://api.contoso.com');
    const text = formatSummary('x', outputs);
    for (const value of Object.values(outputs).flatMap(Object.values)) expect(text).toContain(value);
    expect(text).toContain('npm run smoke -- --stage x');
    expect(text).not.toMatch(/DNS records|receipt-rule-set/);
  });

  it('lists the steps that CloudFormation cannot do, if there are any', () => {
    const text = formatSummary('x', {
      ...outputs,
      more: { DnsRecord1: 'a._domainkey.contoso.com CNAME b.dkim', ReceiptRuleSetName: 'volume-activation-x' },
    });
    expect(text).toContain('  a._domainkey.contoso.com CNAME b.dkim\n');
    expect(text).toContain('aws ses set-active-receipt-rule-set --rule-set-name volume-activation-x\n');
  });
});

describe('a deployment with wrong arguments', () => {
  it.each([
    [
      'for a stage with placeholder values',
      ['deploy', '--stage', 'prod'],
      /^cdk\.json: context\.stages\.prod: these settings still have placeholder values: domain\.name, .*\n$/,
    ],
    [
      'for an unknown stage',
      ['deploy', '--stage', 'live'],
      /^There is no stage "live"\. cdk\.json has: dev, prod\.\n$/,
    ],
    ['without a stage', ['destroy'], /^Specify a stage\. cdk\.json has: dev, prod\.\n$/],
    ['with an unknown option', ['deploy', '--sage', 'dev'], /^Unknown option '--sage'.*\n$/],
  ])('%s prints one line and exits with code 1', (_, args, line) => {
    expect(run('commands/deploy.ts', args)).toEqual({ status: 1, stderr: expect.stringMatching(line) });
  });
});

// The CDK loads slowly on a busy machine.
describe('a synthesis with a wrong configuration', { timeout: 120_000 }, () => {
  it.each([
    [
      'with a missing setting',
      { region: 'us-east-1' },
      /^cdk\.json: context\.stages\.x: domain is missing; .*alarmEmail is missing; [^\n]*\n$/,
    ],
    [
      'with a missing policy file',
      { ...stageNamed('dev'), policyFile: 'no-policy.json' },
      /^cdk\.json: context\.stages\.x: policyFile cannot be read: ENOENT[^\n]*\n$/,
    ],
  ])('%s prints one line and exits with code 1', (_, x, line) => {
    const context = { stage: 'x', stages: { x } };
    const result = run('infra/app.ts', [], { CDK_CONTEXT_JSON: JSON.stringify(context) });
    expect(result).toEqual({ status: 1, stderr: expect.stringMatching(line) });
  });
});
