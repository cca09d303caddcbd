import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { z } from 'zod';
import { type ManifestEntry, manifest as theManifest } from '../../functions/manifest.ts';
import type { ServiceStack } from '../../infra/service-stack.ts';
import { createStacks } from '../../infra/stacks.ts';
import { readStage, readStages, type Stage as StageOf } from '../../infra/stage.ts';
import type { StatefulStack } from '../../infra/stateful-stack.ts';

export type Manifest = Readonly<Record<string, ManifestEntry>>;

/** One resource as CloudFormation is told of it. */
export type Resource = {
  readonly id: string;
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
};
export type Stack = { readonly resources: readonly Resource[]; readonly text: string };
export type Templates = { readonly stateful: Stack; readonly service: Stack };

const templateSchema = z.object({
  Resources: z.record(
    z.string(),
    z.object({ Type: z.string(), Properties: z.record(z.string(), z.unknown()).default({}) }),
  ),
});

export function stageNamed(name: string): StageOf {
  const read = readStage(readStages(), name);
  if (!read.ok) throw new Error(read.problem);
  return read.stage;
}

type SynthOptions = {
  readonly stageName?: string;
  /** What the stage says otherwise than `cdk.json`. */
  readonly settings?: Partial<StageOf>;
  readonly manifest?: Manifest;
  readonly emulated?: boolean;
  /** Does something to the stacks before they are synthesized. */
  readonly modify?: (stacks: { readonly stateful: StatefulStack; readonly service: ServiceStack }) => void;
};

/** The app with a stage of `cdk.json`; no code is bundled. */
export function createApp({
  stageName = 'prod',
  settings = {},
  manifest = theManifest,
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

/** Both templates of a stage. */
export function synthesize(options: SynthOptions = {}): Templates {
  const { stateful, service } = createApp(options);
  const read = (stack: StatefulStack | ServiceStack): Stack => {
    const json = Template.fromStack(stack).toJSON();
    const { Resources } = templateSchema.parse(json);
    return {
      resources: Object.entries(Resources).map(([id, resource]) => ({ id, ...resource })),
      text: JSON.stringify(json),
    };
  };
  return { stateful: read(stateful), service: read(service) };
}

/** The resources of one type. */
export function ofType({ resources }: Stack, type: string): readonly Resource[] {
  return resources.filter(({ Type }) => Type === type);
}

/** A value of a template as one text: references in angle brackets, joined texts joined. */
export function flatten(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return value.map(flatten).join(',');
  const [[key, inner] = ['', '']] = Object.entries(value);
  if (key === 'Ref' || key === 'Fn::ImportValue') return `<${flatten(inner)}>`;
  if (key === 'Fn::GetAtt') return `<${Array.isArray(inner) ? inner.map(flatten).join('.') : flatten(inner)}>`;
  if (key === 'Fn::Join' && Array.isArray(inner)) {
    const [delimiter, parts] = inner;
    return Array.isArray(parts) ? parts.map(flatten).join(flatten(delimiter)) : flatten(parts);
  }
  return JSON.stringify(value);
}

/** A value of a template as a list, whether one or several were written. */
export function toList(value: unknown): readonly unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

/** What stands somewhere inside a value of a template, by the names that lead there. */
export function valueAt(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (at, name) => (typeof at === 'object' && at !== null ? Reflect.get(at, name) : undefined),
    value,
  );
}
