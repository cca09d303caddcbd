import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** The project’s root folder. */
export const root = join(import.meta.dirname, '..');

/** Reads the stages in `cdk.json`, without a check. */
export function readStages(): unknown {
  const { context } = JSON.parse(readFileSync(join(root, 'cdk.json'), 'utf8'));
  return context?.stages;
}

const hostnameSchema = z
  .string()
  .regex(/^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/, 'is not a lowercase domain name');

/** The retention periods that CloudWatch Logs supports, in days. */
const allowedRetentionDays = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653];

/** An address, optionally with a display name: `Volume Activation <no-reply@example.com>`. */
const senderSchema = z
  .string()
  .regex(/^([^<>]+ <[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$/, 'is not a sender address');

/** Returns the address of a sender, without the display name. */
export function bareAddress(from: string): string {
  return from.replace(/^.*</, '').replace(/>$/, '');
}

/** Returns the domain of an address. */
export function domainOf(address: string): string {
  return bareAddress(address).replace(/^.*@/, '');
}

/** The settings of one stage, under its name in `cdk.json`. */
export const stageSchema = z
  .strictObject({
    account: z
      .string()
      .regex(/^\d{12}$/, 'is not an account ID of 12 digits')
      .optional()
      .describe('The only account that this stage can be deployed to. The default is the account of the credentials.'),
    region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'is not a Region such as us-east-1'),
    domain: z
      .strictObject({
        name: hostnameSchema.describe('The address of the API and of the approval page.'),
        zoneName: hostnameSchema,
        zoneId: z.string().regex(/^Z[A-Z0-9]+$/, 'is not a hosted zone ID such as Z0123456789ABC'),
      })
      .refine(({ name, zoneName }) => name === zoneName || name.endsWith(`.${zoneName}`), {
        message: 'is not within zoneName',
        path: ['name'],
      })
      .nullable()
      .describe(
        'With null, the API uses the address that API Gateway assigns, and the operator creates the DNS records.',
      ),
    mail: z
      .strictObject({
        from: senderSchema,
        team: z.email('is not an email address').describe('The exceptions team.'),
        supervisors: z
          .email('is not an email address')
          .describe('The supervisors of the exceptions team. They are notified of overdue requests.'),
        inbound: z
          .email('is not an email address')
          .regex(/^[^@]{1,20}@/, 'must have at most 20 characters before the @, because a tag is added there')
          .describe('The address that receives requests by email.'),
      })
      .refine(({ from, inbound }) => domainOf(from) === domainOf(inbound), {
        message: 'is not in the domain of mail.from, the only verified domain',
        path: ['inbound'],
      }),
    alarmEmail: z.email('is not an email address').describe('The recipient of alarms.'),
    runbook: z.url('is not a URL').describe('The URL of the runbook. Alarms link to its sections.'),
    policyFile: z.string().min(1, 'is not a file path').describe('The policy file, as a path from the project root.'),
    signIn: z.strictObject({
      selfSignUp: z.boolean().describe('True if people can create their own accounts, with a verified email address.'),
      callbackUrls: z.array(z.url('is not a URL')).min(1).describe('The pages that the sign-in page can return to.'),
    }),
    logRetentionDays: z
      .int()
      .refine((days) => allowedRetentionDays.includes(days), `is not one of ${allowedRetentionDays.join(', ')}`),
    inboundMailRetentionDays: z.int().min(1).max(30).describe('The retention of inbound email, in days.'),
    removalPolicy: z
      .enum(['retain', 'destroy'])
      .describe(
        'Retains or destroys the table, its key, the root secret, and the accounts when their stack is deleted.',
      ),
    restoredTable: z
      .strictObject({
        name: z.string().regex(/^[A-Za-z0-9_.-]{3,255}$/, 'is not a table name'),
        streamLabel: z
          .string()
          .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}$/, 'is not a stream label such as 2026-06-01T16:00:00.000'),
      })
      .optional()
      .describe('A table restored from a backup, and its stream. The stage uses it instead of its own table.'),
  })
  .readonly();

export type Stage = z.infer<typeof stageSchema>;

export type StageResult =
  | { readonly ok: true; readonly name: string; readonly stage: Stage }
  | { readonly ok: false; readonly problem: string };

/**
 * Reads one stage from the stages in `cdk.json`. A problem is one line that names each missing or wrong setting by its
 * path.
 */
export function readStage(stages: unknown, name: unknown): StageResult {
  const parsedStages = z.record(z.string(), z.unknown()).safeParse(stages);
  if (!parsedStages.success) return { ok: false, problem: 'cdk.json: context.stages is missing' };
  const names = Object.keys(parsedStages.data).join(', ');
  if (name === undefined) return { ok: false, problem: `Specify a stage. cdk.json has: ${names}.` };
  if (typeof name !== 'string' || !/^[a-z][a-z0-9]{0,15}$/.test(name) || !(name in parsedStages.data)) {
    return { ok: false, problem: `There is no stage ${JSON.stringify(name)}. cdk.json has: ${names}.` };
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
  const description = /^(is|must) /.test(issue.message) ? issue.message : `is invalid (${issue.message})`;
  return [`${pathText(issue.path)} ${description}`];
}

/**
 * Returns the paths of the settings that still have placeholder values, such as an address at `example.com`. A stage
 * with placeholders can be synthesized but not deployed.
 */
export function findPlaceholders(stage: Stage): readonly string[] {
  const pathsIn = (value: unknown, path: string): readonly string[] => {
    if (typeof value === 'string') return /(^|[.@/])example(\.(com|net|org))?([/>]|$)/.test(value) ? [path] : [];
    if (typeof value !== 'object' || value === null) return [];
    return Object.entries(value).flatMap(([key, member]) => pathsIn(member, path === '' ? key : `${path}.${key}`));
  };
  return pathsIn(stage, '');
}
