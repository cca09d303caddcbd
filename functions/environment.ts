import * as z from 'zod';

/*
 * The environment variables of the functions. Only this file reads them. Each group is validated at its first use, so that
 * a function needs only the variables of its permissions. The error for a missing or wrong value names the variable.
 */

const tableSchema = z.lazy(() =>
  z.object({
    TABLE_NAME: z.string().min(3),
    POLICY_FILE: z.string().min(1).default('policy.json'),
    ROOT_SECRET: z.string().min(32),
  }),
);

const mailSchema = z.lazy(() =>
  z.object({
    MAIL_FROM: z.string().min(3),
    MAIL_TEAM: z.email(),
    MAIL_SUPERVISORS: z.email(),
    /** The address for requests and answers. Its local part leaves room for a request ID and a signature (RFC 5321: 64). */
    MAIL_INBOUND: z.email().regex(/^[^@]{1,20}@/, 'must have at most 20 characters before the @'),
    MAIL_CONFIGURATION_SET: z.string().min(1).optional(),
    PUBLIC_URL: z.url(),
  }),
);

const inboundMailSchema = z.lazy(() => z.object({ INBOUND_MAIL_BUCKET: z.string().min(3) }));

const workflowSchema = z.lazy(() => z.object({ STATE_MACHINE_ARN: z.string().min(1) }));

const serviceSchema = z.lazy(() => z.object({ SERVICE_VERSION: z.string().min(1).default('development') }));

export type TableEnvironment = z.infer<typeof tableSchema>;
export type MailEnvironment = z.infer<typeof mailSchema>;
export type InboundMailEnvironment = z.infer<typeof inboundMailSchema>;
export type WorkflowEnvironment = z.infer<typeof workflowSchema>;

/** The names of all variables, for the code that sets them. */
export type Environment = TableEnvironment &
  MailEnvironment &
  InboundMailEnvironment &
  WorkflowEnvironment &
  z.infer<typeof serviceSchema>;

export const tableEnvironment = (): TableEnvironment => readEnvironment(tableSchema);
export const mailEnvironment = (): MailEnvironment => readEnvironment(mailSchema);
export const inboundMailEnvironment = (): InboundMailEnvironment => readEnvironment(inboundMailSchema);
export const workflowEnvironment = (): WorkflowEnvironment => readEnvironment(workflowSchema);
export const serviceVersion = (): string => readEnvironment(serviceSchema).SERVICE_VERSION;

function readEnvironment<Shape extends z.ZodType>(schema: Shape): z.infer<Shape> {
  const parsed = schema.safeParse(process.env);
  if (parsed.success) return parsed.data;
  // The values can be secrets, so the message does not contain them.
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new Error(`The environment of this function is not complete. ${problems.join('; ')}`);
}
