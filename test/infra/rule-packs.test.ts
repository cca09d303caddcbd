import { readFileSync } from 'node:fs';
import { type App, Validations } from 'aws-cdk-lib';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { AwsSolutionsChecks, NIST80053R5Checks } from 'cdk-nag';
import type { IConstruct } from 'constructs';
import { describe, expect, it, vi } from 'vitest';
import { createApp } from './synth.ts';

/** Returns the rules with findings in an app that are not acknowledged, or an empty list if the synthesis succeeds. */
function findingsIn(app: App): readonly string[] {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new NIST80053R5Checks(app));
  const spy = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    app.synth();
    return [];
  } catch (error) {
    const report = /found in: (\S+)/.exec(error instanceof Error ? error.message : '')?.[1];
    if (report === undefined) throw error;
    return [...new Set(readFileSync(report, 'utf8').match(/(AwsSolutions|NIST\.800\.53\.R5)-\w+/g) ?? [])].toSorted();
  } finally {
    spy.mockRestore();
  }
}

// The rule packs check every resource of both stacks, which is slow on a busy machine.
describe('the rule packs AwsSolutions and NIST 800-53 R5', { timeout: 120_000 }, () => {
  it('find nothing that is not acknowledged with a reason', () => {
    const { app } = createApp({});
    expect(findingsIn(app)).toEqual([]);
    const acknowledgments = app.node
      .findAll()
      .flatMap((each: IConstruct) => each.node.metadata)
      .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
      .map(({ data }) => JSON.stringify(data));
    expect(acknowledgments.length).toBeGreaterThan(10);
    for (const each of acknowledgments) expect(each).toMatch(/\w+ \w+ \w+ \w+ \w+.*\./);
  });

  it('find an unencrypted topic that does not require TLS', () => {
    const { app } = createApp({ modify: ({ service }) => new Topic(service, 'Stray') });
    expect(findingsIn(app)).toEqual(['AwsSolutions-SNS3', 'NIST.800.53.R5-SNSEncryptedKMS']);
  });
});
