/**
 * Every Lambda of the service, as data: its routes or its step, who can call it, its permissions, and what its failure
 * means to people. The deployment, the local system, the OpenAPI document, and the tests loop over it.
 */

/** The audience of a route. Staff roles are groups of the user pool; a customer is a person whom the agreement lists. */
export type Audience =
  | 'customer'
  | 'licensing-admins'
  | 'call-center'
  | 'exceptions-team'
  /** Everybody who is signed in. */
  | 'signed-in'
  /** A machine. The product key in the body is its credential. */
  | 'device'
  /** The holder of an approval link. The token in the path is the credential. */
  | 'link-holder'
  | 'anyone';

export const staffRoles = ['licensing-admins', 'call-center', 'exceptions-team'] as const;
export type StaffRole = (typeof staffRoles)[number];

const staff = staffRoles;

export type Permission =
  | 'read-table'
  | 'write-table'
  | 'root-secret'
  | 'start-workflow'
  | 'answer-task-token'
  | 'send-mail'
  | 'read-inbound-mail';

/** The memory and timeout of a function, with the reason. */
export type FunctionSize = {
  readonly memoryMegabytes: number;
  readonly timeoutSeconds: number;
  readonly because: string;
};

/** The request rate of a route, for all callers together. Above it, the gateway answers 429. */
export type Rate = { readonly perSecond: number; readonly burst: number };

type CommonProperties = {
  /** The purpose, in one sentence. */
  readonly purpose: string;
  readonly permissions: readonly Permission[];
  /** The impact of a failure on people. It is the text of the alarm. */
  readonly failureImpact: string;
  readonly size: FunctionSize;
  /** The maximum concurrency, where more would do harm. Functions without one share the concurrency of the account. */
  readonly maxConcurrency?: { readonly limit: number; readonly because: string };
};

type TriggerProperties =
  /** Answers HTTP routes. `rate` applies to each route that has no rate of its own. */
  | {
      readonly kind: 'api';
      readonly routes: Readonly<Record<string, readonly Audience[]>>;
      readonly rate: Rate;
      readonly rates?: Readonly<Record<string, Rate>>;
      /** Also answers all addresses that no route matches. */
      readonly handlesUnmatchedRoutes?: true;
    }
  /** A step of the workflow. */
  | { readonly kind: 'step' }
  /** Runs on a schedule. */
  | { readonly kind: 'schedule'; readonly every: string }
  /** Receives every change of the table, at least once and in order for each item. */
  | { readonly kind: 'stream' }
  /** Receives every email to the exceptions address. */
  | { readonly kind: 'inbound-mail' }
  /** Receives delivery failures and complaints about our emails. */
  | { readonly kind: 'delivery-events' };

export type ManifestEntry = CommonProperties & TriggerProperties;

/** The business metrics, each with its dimension. The dashboard and the alarms use these names. */
export const businessMetrics = {
  activations: 'keyType',
  refusals: 'code',
  /** Requests by the status that they entered. */
  requests: 'state',
  approvals: 'outcome',
  /** Elapsed business minutes of ended requests, by assignee. */
  elapsedMinutes: 'assignee',
  notifications: 'notificationKind',
  /** Delivery events of our emails, by the event type of SES. */
  deliveryEvents: 'eventType',
} as const;

const interactiveSize = {
  memoryMegabytes: 1024,
  timeoutSeconds: 28,
  because:
    'A person waits, and CPU comes with memory (1,769 MB is one vCPU). One database call takes at most 13 seconds with retries; the gateway waits for 29 seconds.',
} as const;

const workflowStepSize = {
  memoryMegabytes: 512,
  timeoutSeconds: 60,
  because:
    'Nobody waits for it. Sending one email takes at most 20 seconds with retries. A claim on pending emails expires after 120 seconds.',
} as const;

export const manifest = {
  activation: {
    kind: 'api',
    purpose: 'Activates machines and validates installations.',
    permissions: ['read-table', 'write-table', 'root-secret'],
    failureImpact: 'Machines cannot activate. People are unable to work on new or rebuilt computers.',
    size: interactiveSize,
    rate: { perSecond: 1000, burst: 2000 },
    routes: {
      'POST /activations': ['device'],
      'POST /activations/batch': ['device'],
      'POST /validations': ['device'],
      'POST /kms-hosts/client-reports': ['device'],
    },
  },
  customer: {
    kind: 'api',
    purpose: 'Shows customers and staff their agreements and keys, and issues MAKs.',
    permissions: ['read-table', 'write-table', 'root-secret'],
    failureImpact: 'License administrators cannot see their keys or get new ones.',
    size: interactiveSize,
    rate: { perSecond: 50, burst: 100 },
    routes: {
      'GET /agreements': ['signed-in'],
      'GET /agreements/{agreementId}': ['customer', ...staff],
      'GET /agreements/{agreementId}/keys': ['customer', ...staff],
      'POST /agreements/{agreementId}/keys': ['customer', 'call-center'],
      'GET /keys/{keyId}': ['customer', ...staff],
      'POST /keys/{keyId}/reveal': ['customer'],
      'GET /keys/{keyId}/activations': ['customer', ...staff],
      'GET /keys/{keyId}/grants': ['customer', ...staff],
      'GET /keys/{keyId}/history': ['customer', ...staff],
      'GET /keys/{keyId}/allowances': ['customer', 'call-center'],
      'GET /keys/{keyId}/forecast': ['customer', ...staff],
      'POST /keys/{keyId}/replacements': ['customer', 'call-center'],
      'PUT /agreements/{agreementId}/deputy': ['customer'],
      'POST /plans': ['signed-in'],
    },
  },
  callCenter: {
    kind: 'api',
    purpose: 'Lets call-center agents find keys, and grant overrides and increases.',
    permissions: ['read-table', 'write-table', 'root-secret'],
    failureImpact: 'Callers wait on the phone, because agents can grant neither overrides nor increases.',
    size: interactiveSize,
    rate: { perSecond: 20, burst: 40 },
    routes: {
      'GET /call-center/keys': ['call-center'],
      'POST /keys/{keyId}/overrides': ['call-center'],
      'POST /keys/{keyId}/increases': ['call-center'],
    },
  },
  exceptions: {
    kind: 'api',
    purpose: 'Accepts exception requests, questions, answers, reviews, and withdrawals.',
    permissions: ['read-table', 'write-table', 'root-secret', 'start-workflow', 'answer-task-token'],
    failureImpact:
      'Requests for more activations are not accepted or do not move, while their five business days elapse.',
    size: interactiveSize,
    rate: { perSecond: 20, burst: 40 },
    routes: {
      'POST /exceptions': ['customer', 'call-center'],
      'GET /exceptions': ['signed-in'],
      'GET /exceptions/{exceptionId}': ['customer', ...staff],
      'GET /exceptions/{exceptionId}/history': ['customer', ...staff],
      'POST /exceptions/{exceptionId}/questions': ['exceptions-team'],
      'POST /exceptions/{exceptionId}/answers': ['customer'],
      'POST /exceptions/{exceptionId}/review': ['exceptions-team'],
      'POST /exceptions/{exceptionId}/withdrawal': ['customer'],
    },
  },
  approvals: {
    kind: 'api',
    purpose: 'Shows the approval page to the holder of its link, and records the decision.',
    permissions: ['read-table', 'write-table', 'root-secret', 'start-workflow', 'answer-task-token', 'send-mail'],
    failureImpact: 'Notices Correspondents cannot decide, so customers wait for activations.',
    size: interactiveSize,
    rate: { perSecond: 10, burst: 20 },
    routes: {
      'GET /approvals/{token}': ['link-holder'],
      'POST /approvals/{token}': ['link-holder'],
      'POST /approvals/{token}/codes': ['link-holder'],
      'GET /disputes/{token}': ['link-holder'],
      'POST /disputes/{token}': ['link-holder'],
    },
  },
  admin: {
    kind: 'api',
    purpose: 'Registers agreements, and changes their contacts and Correspondents.',
    permissions: ['read-table', 'write-table', 'root-secret'],
    failureImpact: 'New agreements get no keys, and changes of contacts do not take effect.',
    size: interactiveSize,
    rate: { perSecond: 5, burst: 10 },
    routes: {
      'POST /agreements': ['licensing-admins'],
      'PUT /agreements/{agreementId}/contacts': ['licensing-admins'],
      'PUT /agreements/{agreementId}/notices-correspondent': ['licensing-admins'],
    },
  },
  meta: {
    kind: 'api',
    purpose: 'Answers health checks, serves the API documentation, and answers unknown addresses.',
    permissions: [],
    failureImpact: 'Health checks fail, although the service can be healthy.',
    size: interactiveSize,
    rate: { perSecond: 20, burst: 40 },
    handlesUnmatchedRoutes: true,
    routes: {
      'GET /health': ['anyone'],
      'GET /openapi.json': ['anyone'],
      'GET /docs': ['anyone'],
    },
  },
  chooseNextStep: {
    kind: 'step',
    purpose: 'Sends pending emails, and chooses the next step of the request.',
    permissions: ['read-table', 'write-table', 'root-secret', 'send-mail'],
    failureImpact: 'Requests do not move, and nobody is notified, until the sweep restarts them.',
    size: workflowStepSize,
  },
  requestReview: {
    kind: 'step',
    purpose: 'Asks the exceptions team to review a request, and lets the workflow wait.',
    permissions: ['read-table', 'write-table', 'root-secret', 'send-mail', 'answer-task-token'],
    failureImpact: 'The exceptions team is not notified of requests that need a review.',
    size: workflowStepSize,
  },
  requestApproval: {
    kind: 'step',
    purpose: 'Asks the Notices Correspondent for approval by email, and lets the workflow wait for the decision.',
    permissions: ['read-table', 'write-table', 'root-secret', 'send-mail', 'answer-task-token'],
    failureImpact: 'Notices Correspondents are not asked, so requests become overdue.',
    size: workflowStepSize,
  },
  requestInformation: {
    kind: 'step',
    purpose: 'Emails the question to the requester, and lets the workflow wait for the answer.',
    permissions: ['read-table', 'write-table', 'root-secret', 'send-mail', 'answer-task-token'],
    failureImpact: 'Requesters do not get the question that their request waits for.',
    size: workflowStepSize,
  },
  raiseLimit: {
    kind: 'step',
    purpose: 'Raises the approved limit exactly once.',
    permissions: ['read-table', 'write-table', 'root-secret'],
    failureImpact: 'Approved increases do not take effect, so machines are still refused.',
    size: workflowStepSize,
  },
  sendOutcome: {
    kind: 'step',
    purpose: 'Notifies everybody concerned of the outcome of a request.',
    permissions: ['read-table', 'write-table', 'root-secret', 'send-mail'],
    failureImpact: 'People are not notified of the outcome of a request until the sweep sends it.',
    size: workflowStepSize,
  },
  inboundMail: {
    kind: 'inbound-mail',
    purpose: 'Accepts requests and answers by email.',
    permissions: [
      'read-table',
      'write-table',
      'root-secret',
      'start-workflow',
      'answer-task-token',
      'send-mail',
      'read-inbound-mail',
    ],
    failureImpact: 'Requests and answers by email are not processed. Their senders believe that we received them.',
    size: {
      memoryMegabytes: 1024,
      timeoutSeconds: 50,
      because:
        'An email has up to 10 MB, and is held in memory. Sending the reply takes at most 20 seconds. An email whose processing crashed can be processed again after 60 seconds.',
    },
    maxConcurrency: {
      limit: 5,
      because: 'Anybody can send emails. A flood of them must not use up the concurrency of the account.',
    },
  },
  sweep: {
    kind: 'schedule',
    purpose: 'Runs due actions: reminders, lapses, pending emails and signals, and lost workflow executions.',
    permissions: ['read-table', 'write-table', 'root-secret', 'send-mail', 'start-workflow', 'answer-task-token'],
    failureImpact: 'Nobody is reminded, nothing lapses, and work that a crash interrupted is not resumed.',
    size: {
      memoryMegabytes: 512,
      timeoutSeconds: 300,
      because: 'It processes at most a thousand items, one after the other. The next run processes the others.',
    },
    maxConcurrency: { limit: 1, because: 'Two at the same time would only conflict with each other.' },
    every: 'PT1M',
  },
  keyChanges: {
    kind: 'stream',
    purpose: 'Alerts contacts when a limit is almost used up, or when a KMS key seems to be used on clients.',
    permissions: ['read-table', 'write-table', 'root-secret', 'send-mail'],
    failureImpact:
      'Contacts are not alerted before a limit is used up, and moved machines are still listed under a replaced key.',
    size: {
      memoryMegabytes: 512,
      timeoutSeconds: 120,
      because:
        'One batch can require counting a few large keys, each with up to 8,192 buckets, and an email to each contact.',
    },
    maxConcurrency: {
      limit: 10,
      because: 'A roll-out changes the table a thousand times a second. Alerts can wait.',
    },
  },
  deliveryEvents: {
    kind: 'delivery-events',
    purpose: 'Records delivery failures and complaints, and notifies people if an approval email did not arrive.',
    permissions: ['read-table', 'write-table', 'root-secret'],
    failureImpact:
      'Nobody is notified that a Notices Correspondent cannot be reached. The request waits until it lapses.',
    size: { memoryMegabytes: 256, timeoutSeconds: 30, because: 'It reads and writes one request.' },
    maxConcurrency: { limit: 5, because: 'Bounces come in bursts. Recording them can wait.' },
  },
} as const satisfies Readonly<Record<string, ManifestEntry>>;

/** The key prefix under which SES stores inbound emails, followed by the ID of the email. */
export const inboundMailPrefix = 'inbound/';

export type Manifest = typeof manifest;
export type EntryName = keyof Manifest;

/** The names of the entries of one kind. */
type EntryNamesOf<Is extends ManifestEntry['kind']> = {
  [Name in EntryName]: Manifest[Name]['kind'] extends Is ? Name : never;
}[EntryName];
export type ApiName = EntryNamesOf<'api'>;
export type StepName = EntryNamesOf<'step'>;

/** A route: the method, and the path with its parameters in braces. */
export type RouteOf<Name extends ApiName> = keyof Manifest[Name]['routes'] & string;
export type Route = { [Name in ApiName]: RouteOf<Name> }[ApiName];

/** Returns every route, with its entry and its audience. */
export function allRoutes(): readonly {
  readonly route: Route;
  readonly entry: ApiName;
  readonly audience: readonly Audience[];
}[] {
  return Object.entries(manifest).flatMap(([entry, definition]) =>
    'routes' in definition
      ? Object.entries(definition.routes).map(([route, audience]) => ({
          route: route as Route,
          entry: entry as ApiName,
          audience,
        }))
      : [],
  );
}

/** Returns whether a route requires a token, which the gateway checks before it calls the function. */
export function needsToken(audience: readonly Audience[]): boolean {
  return !audience.some((each) => each === 'device' || each === 'link-holder' || each === 'anyone');
}

/** Returns the name of an entry in kebab case. */
export function toKebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
}

/** Returns the file of an entry's Lambda, as a path from the project's root. The kind of the entry names the folder. */
export function fileOf(name: string): string {
  const kind = (manifest as Readonly<Record<string, ManifestEntry>>)[name]?.kind;
  const folder = kind === 'api' ? 'api' : kind === 'step' ? 'steps' : 'events';
  return `functions/${folder}/${toKebabCase(name)}.ts`;
}

/** Returns the names of the entries of one kind. */
export function entryNamesOf<Is extends ManifestEntry['kind']>(kind: Is): readonly EntryNamesOf<Is>[] {
  return Object.entries(manifest).flatMap(([name, entry]) => (entry.kind === kind ? [name as EntryNamesOf<Is>] : []));
}
