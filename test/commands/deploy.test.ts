import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findApiUrl, type StackOutputs, formatSummary } from '../../commands/deploy.ts';
import { root } from '../project-files.ts';
import { stageNamed } from '../infra/synth.ts';

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

describe('what a deployment prints', () => {
  it('tells where the stage is, and how to try it', () => {
    expect(findApiUrl(outputs)).toBe('https://api.contoso.com');
    const text = formatSummary('x', outputs);
    for (const value of Object.values(outputs).flatMap(Object.values)) expect(text).toContain(value);
    expect(text).toContain('npm run smoke -- --stage x');
    expect(text).not.toMatch(/DNS records|receipt-rule-set/);
  });

  it('asks for what CloudFormation cannot do, where there is something', () => {
    const text = formatSummary('x', {
      ...outputs,
      more: { DnsRecord1: 'a._domainkey.contoso.com CNAME b.dkim', ReceiptRuleSetName: 'volume-activation-x' },
    });
    expect(text).toContain('  a._domainkey.contoso.com CNAME b.dkim\n');
    expect(text).toContain('aws ses set-active-receipt-rule-set --rule-set-name volume-activation-x\n');
  });
});

describe('a deployment that cannot be', () => {
  it.each([
    [
      'of a stage that nobody filled in',
      ['deploy', '--stage', 'prod'],
      /^cdk\.json: context\.stages\.prod: still an example: domain\.name, .*\n$/,
    ],
    [
      'of a stage that is not there',
      ['deploy', '--stage', 'live'],
      /^There is no stage "live"; cdk\.json has: dev, prod\.\n$/,
    ],
    ['of no stage', ['destroy'], /^Name a stage; cdk\.json has: dev, prod\.\n$/],
    ['with a word that it does not know', ['deploy', '--sage', 'dev'], /^Unknown option '--sage'.*\n$/],
  ])('%s ends with one line and exit code 1', (_, args, line) => {
    expect(run('commands/deploy.ts', args)).toEqual({ status: 1, stderr: expect.stringMatching(line) });
  });
});

// The CDK takes its time to load on a busy machine.
describe('a synthesis that cannot be', { timeout: 120_000 }, () => {
  it.each([
    [
      'a setting is missing',
      { region: 'us-east-1' },
      /^cdk\.json: context\.stages\.x: domain is missing; .*alarmEmail is missing; [^\n]*\n$/,
    ],
    [
      'the policy is not there',
      { ...stageNamed('dev'), policyFile: 'no-policy.json' },
      /^cdk\.json: context\.stages\.x: policyFile cannot be read: ENOENT[^\n]*\n$/,
    ],
  ])('since %s ends with one line and exit code 1', (_, x, line) => {
    const context = { stage: 'x', stages: { x } };
    const told = run('infra/app.ts', [], { CDK_CONTEXT_JSON: JSON.stringify(context) });
    expect(told).toEqual({ status: 1, stderr: expect.stringMatching(line) });
  });
});
