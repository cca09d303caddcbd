import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { z } from 'zod';
import { manifest as deployedManifest, type ManifestEntry } from '../../functions/manifest.ts';
import type { ServiceStack } from '../../infra/service-stack.ts';
import { createStacks } from '../../infra/stacks.ts';
import { readStage, readStages, type Stage } from '../../infra/stage.ts';
import type { StatefulStack } from '../../infra/stateful-stack.ts';

export type Manifest = Readonly<Record<string, ManifestEntry>>;

/** One resource of a CloudFormation template, with its logical ID. */
export type Resource = {
  readonly id: string;
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
};
export type StackTemplate = { readonly resources: readonly Resource[]; readonly text: string };
export type Templates = { readonly stateful: StackTemplate; readonly service: StackTemplate };

const templateSchema = z.object({
  Resources: z.record(
    z.string(),
    z.object({ Type: z.string(), Properties: z.record(z.string(), z.unknown()).default({}) }),
  ),
});

/** Returns a stage of `cdk.json`. */
export function stageNamed(name: string): Stage {
  const result = readStage(readStages(), name);
  if (!result.ok) throw new Error(result.problem);
  return result.stage;
}

type SynthOptions = {
  readonly stageName?: string;
  /** Settings that replace those in `cdk.json`. */
  readonly settings?: Partial<Stage>;
  readonly manifest?: Manifest;
  readonly emulated?: boolean;
  /** Modifies the stacks before the synthesis. */
  readonly modify?: (stacks: { readonly stateful: StatefulStack; readonly service: ServiceStack }) => void;
};

/** Creates the app with a stage of `cdk.json`, without bundled code. */
export function createApp({
  stageName = 'prod',
  settings = {},
  manifest = deployedManifest,
  emulated = false,
  modify,
}: SynthOptions) {
  const stage = { ...stageNamed(stageName), ...settings };
  const app = new App({
    context: { 'aws:cdk:bundling-stacks': [], '@aws-cdk/core:defaultCrossStackReferences': 'strong' },
  });
  const account = stage.account;
  const env = { region: stage.region, ...(account === undefined ? {} : { account }) };
  const stacks = createStacks(app, { stageName, stage, manifest, version: '1.2.3', emulated, env });
  modify?.(stacks);
  return { app, ...stacks };
}

/** Synthesizes both templates of a stage. */
export function synthesize(options: SynthOptions = {}): Templates {
  const { stateful, service } = createApp(options);
  const read = (stack: StatefulStack | ServiceStack): StackTemplate => {
    const json = Template.fromStack(stack).toJSON();
    const { Resources } = templateSchema.parse(json);
    return {
      resources: Object.entries(Resources).map(([id, resource]) => ({ id, ...resource })),
      text: JSON.stringify(json),
    };
  };
  return { stateful: read(stateful), service: read(service) };
}

/** Returns the resources of one type. */
export function ofType({ resources }: StackTemplate, type: string): readonly Resource[] {
  return resources.filter(({ Type }) => Type === type);
}

/** Returns a template value as a string: references in angle brackets, and `Fn::Join` applied. */
export function toText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return value.map(toText).join(',');
  const [[key, inner] = ['', '']] = Object.entries(value);
  if (key === 'Ref' || key === 'Fn::ImportValue') return `<${toText(inner)}>`;
  if (key === 'Fn::GetAtt') return `<${Array.isArray(inner) ? inner.map(toText).join('.') : toText(inner)}>`;
  if (key === 'Fn::Join' && Array.isArray(inner)) {
    const [delimiter, parts] = inner;
    return Array.isArray(parts) ? parts.map(toText).join(toText(delimiter)) : toText(parts);
  }
  return JSON.stringify(value);
}

/** Returns a template value as a list. CloudFormation accepts one value in place of a list of one. */
export function toList(value: unknown): readonly unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

/** Returns the value at a path inside a template value, or undefined. */
export function valueAt(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (at, name) => (typeof at === 'object' && at !== null ? Reflect.get(at, name) : undefined),
    value,
  );
}
