import { describe, expect, it } from 'vitest';
import { policySchema } from '../../domain/policy.ts';
import { findPlaceholders, readStage, readStages, type Stage } from '../../infra/stage.ts';
import { readProjectFile } from '../project-files.ts';
import { stageNamed } from './synth.ts';

const dev = stageNamed('dev');

/** Returns the problem of a stage that differs from a valid one in these settings, or an empty string. */
function problemWith(settings: Readonly<Record<string, unknown>>): string {
  const result = readStage({ x: { ...dev, ...settings } }, 'x');
  return result.ok ? '' : result.problem;
}

describe('the stages of cdk.json', () => {
  it.each(['dev', 'prod'])('%s is complete, and its policy file is valid', (name) => {
    const { policyFile } = stageNamed(name);
    expect(() => policySchema.parse(JSON.parse(readProjectFile(policyFile)))).not.toThrow();
  });

  it('retain the data of prod, and have placeholder values', () => {
    expect(stageNamed('prod').removalPolicy).toBe('retain');
    expect(findPlaceholders(stageNamed('prod'))).toContain('domain.name');
    expect(findPlaceholders(dev)).toEqual([
      'mail.from',
      'mail.team',
      'mail.supervisors',
      'mail.inbound',
      'alarmEmail',
      'runbook',
    ]);
  });
});

describe('a stage with real values', () => {
  it('has no placeholders', () => {
    const stage: Stage = {
      ...dev,
      mail: {
        from: 'Keys <no-reply@keys.contoso.com>',
        team: 'team@contoso.com',
        supervisors: 'chief@contoso.com',
        inbound: 'more@keys.contoso.com',
      },
      alarmEmail: 'ops@contoso.com',
      runbook: 'https://wiki.contoso.com/examples/runbook',
    };
    expect(findPlaceholders(stage)).toEqual([]);
  });
});

describe('a stage with a missing or wrong setting', () => {
  it.each([
    [{ alarmEmail: undefined }, 'cdk.json: context.stages.x: alarmEmail is missing'],
    [{ region: 'virginia' }, 'cdk.json: context.stages.x: region is not a Region such as us-east-1'],
    [{ account: '123' }, 'cdk.json: context.stages.x: account is not an account ID of 12 digits'],
    [{ logRetentionDays: 8 }, /^cdk\.json: context\.stages\.x: logRetentionDays is not one of 1, 3, 5, 7, 14/],
    [{ removalPolicy: 'maybe' }, /^cdk\.json: context\.stages\.x: removalPolicy is invalid/],
    [{ color: 'red' }, 'cdk.json: context.stages.x: color is not a setting'],
    [{ mail: { ...dev.mail, team: 'nobody' } }, 'cdk.json: context.stages.x: mail.team is not an email address'],
    [
      { mail: { ...dev.mail, inbound: 'a@elsewhere.example.com' } },
      'cdk.json: context.stages.x: mail.inbound is not in the domain of mail.from, the only verified domain',
    ],
    [
      { domain: { name: 'keys.contoso.com', zoneName: 'fabrikam.com', zoneId: 'Z1' } },
      'cdk.json: context.stages.x: domain.name is not within zoneName',
    ],
    [
      { restoredTable: { name: 'restored', streamLabel: 'latest' } },
      'cdk.json: context.stages.x: restoredTable.streamLabel is not a stream label such as 2026-06-01T16:00:00.000',
    ],
    [
      { region: undefined, alarmEmail: 'x' },
      'cdk.json: context.stages.x: region is missing; alarmEmail is not an email address',
    ],
  ])('%j is reported on one line that names the setting', (settings, line) => {
    const problem = problemWith(settings);
    expect(problem).not.toContain('\n');
    expect(problem).toMatch(line);
  });

  it('is reported by its name when it does not exist', () => {
    expect(readStage(readStages(), 'live')).toEqual({
      ok: false,
      problem: 'There is no stage "live". cdk.json has: dev, prod.',
    });
    expect(readStage(readStages(), undefined)).toMatchObject({
      problem: 'Specify a stage. cdk.json has: dev, prod.',
    });
    expect(readStage(undefined, 'dev')).toMatchObject({ problem: 'cdk.json: context.stages is missing' });
  });
});
