import * as z from 'zod';

/*
 * The one place where functions read their environment. Each part is read and checked when it is first needed, so that a
 * function needs only what its manifest entry lets it touch. A missing or wrong value is one line that names it.
 */

const tableSchema = z.lazy(() =>
  z.object({
    TABLE_NAME: z.string().min(3),
    POLICY_FILE: z.string().min(1).default('policy.json'),
    VAULT_SECRET: z.string().min(32),
  }),
);

const mailSchema = z.lazy(() =>
  z.object({
    MAIL_FROM: z.string().min(3),
    MAIL_TEAM: z.email(),
    MAIL_SUPERVISORS: z.email(),
    /** Where requests and answers arrive; what is before its `@` leaves room for a request's id and mark (RFC 5321: 64). */
    MAIL_INBOUND: z.email().regex(/^[^@]{1,20}@/, 'must have at most 20 characters before the @'),
    MAIL_CONFIGURATION_SET: z.string().min(1).optional(),
    PUBLIC_URL: z.url(),
  }),
);

const inboundMailSchema = z.lazy(() => z.object({ INBOUND_MAIL_BUCKET: z.string().min(3) }));

const engineSchema = z.lazy(() => z.object({ STATE_MACHINE_ARN: z.string().min(1) }));

const serviceSchema = z.lazy(() => z.object({ SERVICE_VERSION: z.string().min(1).default('development') }));

export type TableEnvironment = z.infer<typeof tableSchema>;
export type MailEnvironment = z.infer<typeof mailSchema>;
export type InboundMailEnvironment = z.infer<typeof inboundMailSchema>;
export type EngineEnvironment = z.infer<typeof engineSchema>;

/** The name of every variable, for what sets them. */
export type Environment = TableEnvironment &
  MailEnvironment &
  InboundMailEnvironment &
  EngineEnvironment &
  z.infer<typeof serviceSchema>;

export const tableEnvironment = (): TableEnvironment => readFrom(tableSchema);
export const mailEnvironment = (): MailEnvironment => readFrom(mailSchema);
export const inboundMailEnvironment = (): InboundMailEnvironment => readFrom(inboundMailSchema);
export const engineEnvironment = (): EngineEnvironment => readFrom(engineSchema);
export const serviceVersion = (): string => readFrom(serviceSchema).SERVICE_VERSION;

function readFrom<Shape extends z.ZodType>(schema: Shape): z.infer<Shape> {
  const parsed = schema.safeParse(process.env);
  if (parsed.success) return parsed.data;
  // The values themselves may be secrets and are not repeated.
  const wrong = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new Error(`The environment of this function is not complete. ${wrong.join('; ')}`);
}
