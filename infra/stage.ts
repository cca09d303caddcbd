import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** The project’s root folder. */
export const root = join(import.meta.dirname, '..');

/** What `cdk.json` says of all stages, as it is. */
export function readStages(): unknown {
  const { context } = JSON.parse(readFileSync(join(root, 'cdk.json'), 'utf8'));
  return context?.stages;
}

const hostnameSchema = z
  .string()
  .regex(/^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/, 'is not a domain in lower case');

/** CloudWatch keeps logs for one of these numbers of days, and for no other. */
const allowedRetentionDays = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653];

/** A plain address, or one with a name before it: `Volume Activation <no-reply@example.com>`. */
const senderSchema = z
  .string()
  .regex(/^([^<>]+ <[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$/, 'is not an address to send from');

/** The bare address of a sender. */
export function bareAddress(from: string): string {
  return from.replace(/^.*</, '').replace(/>$/, '');
}

/** The domain of an address. */
export function domainOf(address: string): string {
  return bareAddress(address).replace(/^.*@/, '');
}

/** All that an operator says of one stage, under its name in `cdk.json`. */
export const stageSchema = z
  .strictObject({
    account: z
      .string()
      .regex(/^\d{12}$/, 'is not an account number of 12 digits')
      .optional()
      .describe('The only account that this stage may be deployed to; without it, whichever the credentials are for.'),
    region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'is not a Region such as us-east-1'),
    domain: z
      .strictObject({
        name: hostnameSchema.describe('The address of the API and of the approval page.'),
        zoneName: hostnameSchema,
        zoneId: z.string().regex(/^Z[A-Z0-9]+$/, 'is not the id of a hosted zone, such as Z0123456789ABC'),
      })
      .refine(({ name, zoneName }) => name === zoneName || name.endsWith(`.${zoneName}`), {
        message: 'is not within zoneName',
        path: ['name'],
      })
      .nullable()
      .describe('Without one the API answers at the address that the gateway gives it, and DNS is up to the operator.'),
    mail: z
      .strictObject({
        from: senderSchema,
        team: z.email('is not an address').describe('The exceptions team.'),
        supervisors: z.email('is not an address').describe('Who hears of late requests.'),
        inbound: z
          .email('is not an address')
          .regex(/^[^@]{1,20}@/, 'must have at most 20 characters before the @, for a mark is added to it')
          .describe('Where requests may be sent by mail.'),
      })
      .refine(({ from, inbound }) => domainOf(from) === domainOf(inbound), {
        message: 'is not at the domain of mail.from, the only one that is verified',
        path: ['inbound'],
      }),
    alarmEmail: z.email('is not an address').describe('Who is told when an alarm goes off.'),
    runbook: z.url('is not a URL').describe('Where the runbook is read; alarms link to its paragraphs.'),
    policyFile: z
      .string()
      .min(1, 'is not the path of a file')
      .describe('The policy, as a path from the project’s root.'),
    signIn: z.strictObject({
      selfSignUp: z.boolean().describe('Whether people may make themselves an account, for an address that is theirs.'),
      callbackUrls: z.array(z.url('is not a URL')).min(1).describe('Where the sign-in page may send people back to.'),
    }),
    logRetentionDays: z
      .int()
      .refine((days) => allowedRetentionDays.includes(days), `is not one of ${allowedRetentionDays.join(', ')}`),
    inboundMailRetentionDays: z.int().min(1).max(30).describe('How long a mail that came in is kept.'),
    removalPolicy: z
      .enum(['retain', 'destroy'])
      .describe('What becomes of the table, its key, the root secret and the accounts when their stack is deleted.'),
    restoredTable: z
      .strictObject({
        name: z.string().regex(/^[A-Za-z0-9_.-]{3,255}$/, 'is not the name of a table'),
        streamLabel: z
          .string()
          .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}$/, 'is not a label such as 2026-06-01T16:00:00.000'),
      })
      .optional()
      .describe('A table that was restored from a backup, with its stream, to work on instead of the stage’s own.'),
  })
  .readonly();

export type Stage = z.infer<typeof stageSchema>;

export type StageResult =
  | { readonly ok: true; readonly name: string; readonly stage: Stage }
  | { readonly ok: false; readonly problem: string };

/**
 * Reads one stage out of what `cdk.json` says of all. The problem, if there is one, is one line that names each missing or
 * wrong value by its place.
 */
export function readStage(stages: unknown, name: unknown): StageResult {
  const parsedStages = z.record(z.string(), z.unknown()).safeParse(stages);
  if (!parsedStages.success) return { ok: false, problem: 'cdk.json: context.stages: is missing' };
  const names = Object.keys(parsedStages.data).join(', ');
  if (name === undefined) return { ok: false, problem: `Name a stage; cdk.json has: ${names}.` };
  if (typeof name !== 'string' || !/^[a-z][a-z0-9]{0,15}$/.test(name) || !(name in parsedStages.data)) {
    return { ok: false, problem: `There is no stage ${JSON.stringify(name)}; cdk.json has: ${names}.` };
  }
  const parsed = stageSchema.safeParse(parsedStages.data[name]);
  if (parsed.success) return { ok: true, name, stage: parsed.data };
  const problems = parsed.error.issues.flatMap(describeIssue);
  return { ok: false, problem: `cdk.json: context.stages.${name}: ${problems.join('; ')}` };
}

function describeIssue(issue: z.core.$ZodIssue): readonly string[] {
  const pathText = (path: readonly PropertyKey[]) => path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `${pathText([...issue.path, key])} is not a setting`);
  }
  if (issue.code === 'invalid_type' && issue.input === undefined) return [`${pathText(issue.path)} is missing`];
  const description = /^(is|must) /.test(issue.message) ? issue.message : `is wrong (${issue.message})`;
  return [`${pathText(issue.path)} ${description}`];
}

/**
 * The settings that still are examples: `example.com` and its like belong to nobody, so a stage with one of them can be
 * looked at but not deployed.
 */
export function findPlaceholders(stage: Stage): readonly string[] {
  const pathsIn = (value: unknown, path: string): readonly string[] => {
    if (typeof value === 'string') return /(^|[.@/])example(\.(com|net|org))?([/>]|$)/.test(value) ? [path] : [];
    if (typeof value !== 'object' || value === null) return [];
    return Object.entries(value).flatMap(([key, member]) => pathsIn(member, path === '' ? key : `${path}.${key}`));
  };
  return pathsIn(stage, '');
}
