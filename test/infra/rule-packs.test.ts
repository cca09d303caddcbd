import { readFileSync } from 'node:fs';
import { type App, Validations } from 'aws-cdk-lib';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { AwsSolutionsChecks, NIST80053R5Checks } from 'cdk-nag';
import type { IConstruct } from 'constructs';
import { describe, expect, it, vi } from 'vitest';
import { createApp } from './synth.ts';

/** What the rule packs find in an app that nobody has acknowledged; nothing when its synthesis goes through. */
function findingsIn(app: App): readonly string[] {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new NIST80053R5Checks(app));
  const written: string[] = [];
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0);
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

// Two packs over two stacks with all of their resources take a while on a busy machine.
describe('the rule packs AwsSolutions and NIST 800-53 R5', { timeout: 120_000 }, () => {
  it('find nothing that is not acknowledged, and each acknowledgement gives its reason in words', () => {
    const { app } = createApp({});
    expect(findingsIn(app)).toEqual([]);
    const acknowledged = app.node
      .findAll()
      .flatMap((each: IConstruct) => each.node.metadata)
      .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
      .map(({ data }) => JSON.stringify(data));
    expect(acknowledged.length).toBeGreaterThan(10);
    for (const each of acknowledged) expect(each).toMatch(/\w+ \w+ \w+ \w+ \w+.*\./);
  });

  it('would find a topic that anybody may publish to without encryption', () => {
    const { app } = createApp({ modify: ({ service }) => new Topic(service, 'Stray') });
    expect(findingsIn(app)).toEqual(['AwsSolutions-SNS3', 'NIST.800.53.R5-SNSEncryptedKMS']);
  });
});
