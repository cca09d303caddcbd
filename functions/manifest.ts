/**
 * Every Lambda of the service, as plain data: its routes or its part in the workflow, who may call it, what it may
 * touch, and what its failure means to people. The deployment, the local system, the published description of the API
 * and the tests all loop over it.
 */

/** Who may call a route. Staff roles are groups of the user pool; a customer is whoever the agreement names. */
export type Audience =
  | 'customer'
  | 'licensing-admins'
  | 'call-center'
  | 'exceptions-team'
  /** Anybody who is signed in. */
  | 'signed-in'
  /** A machine: the product key in the body is its credential. */
  | 'device'
  /** Whoever holds an approval link: the token in the path is the credential. */
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

/** What a function is given to run with, and why so much. */
export type FunctionSize = {
  readonly memoryMegabytes: number;
  readonly timeoutSeconds: number;
  readonly because: string;
};

/** How often a route may be called, by everybody together: for long, and in one burst. Above it the gateway answers 429. */
export type Rate = { readonly perSecond: number; readonly burst: number };

type CommonProperties = {
  /** What it is for, in a sentence. */
  readonly purpose: string;
  readonly permissions: readonly Permission[];
  /** What it costs people when it fails: the words of its alarm. */
  readonly failureImpact: string;
  readonly size: FunctionSize;
  /** How many may run at once, where more would hurt. Whatever has no such number shares what the account has. */
  readonly maxConcurrency?: { readonly limit: number; readonly because: string };
};

type TriggerProperties =
  /** Answers HTTP routes. Each may be called as often as `rate` says, unless it has a rate of its own. */
  | {
      readonly kind: 'api';
      readonly routes: Readonly<Record<string, readonly Audience[]>>;
      readonly rate: Rate;
      readonly rates?: Readonly<Record<string, Rate>>;
      /** Whether it also answers what no route is written for. */
      readonly handlesUnmatchedRoutes?: true;
    }
  /** A step of the workflow. */
  | { readonly kind: 'step' }
  /** Runs by the clock. */
  | { readonly kind: 'schedule'; readonly every: string }
  /** Sees every change of the table, at least once and in order for each item. */
  | { readonly kind: 'stream' }
  /** Sees every mail that comes to the exceptions address. */
  | { readonly kind: 'inbound-mail' }
  /** Hears which of our mails could not be delivered, and who complained of one. */
  | { readonly kind: 'delivery-events' };

export type ManifestEntry = CommonProperties & TriggerProperties;

/** What is counted of the business, and what tells one count from another: the dashboard and alarms look for these names. */
export const businessMetrics = {
  activations: 'keyType',
  refusals: 'code',
  /** Requests by the state that they came into. */
  requests: 'state',
  approvals: 'outcome',
  /** Business minutes of a request that has ended, by who had the ball. */
  elapsedMinutes: 'assignee',
  notifications: 'notificationKind',
  /** What the mail service reported of our mails, in its own words. */
  deliveryEvents: 'eventType',
} as const;

const interactiveSize = {
  memoryMegabytes: 1024,
  timeoutSeconds: 28,
  because:
    'Somebody waits, and the processor comes with the memory (1,769 MB is a whole one). One call of the database is tried for 13 seconds at the most, and the gateway waits for 29.',
} as const;

const workflowStepSize = {
  memoryMegabytes: 512,
  timeoutSeconds: 60,
  because:
    'Nobody waits for it. One email is tried for at most 20 seconds, and emails that a step has claimed are free for others after 120.',
} as const;

export const manifest = {
  activation: {
    kind: 'api',
    purpose: 'Answers machines that activate.',
    permissions: ['read-table', 'write-table', 'root-secret'],
    failureImpact: 'Machines cannot activate: people are kept from working on new or rebuilt computers.',
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
    purpose: 'Lets call-centre agents find a key and give what a phone call may give.',
    permissions: ['read-table', 'write-table', 'root-secret'],
    failureImpact: 'Callers wait on the phone: agents can give neither overrides nor increases.',
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
    purpose: 'Takes exception requests and what people do to them.',
    permissions: ['read-table', 'write-table', 'root-secret', 'start-workflow', 'answer-task-token'],
    failureImpact: 'Requests for more activations are not taken or not moved on; their five business days run.',
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
    purpose: 'Shows the approval page to who holds its link, and records the decision.',
    permissions: ['read-table', 'write-table', 'root-secret', 'start-workflow', 'answer-task-token', 'send-mail'],
    failureImpact: 'Notices Correspondents cannot answer: customers wait for activations that were asked for.',
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
    purpose: 'Registers agreements and keeps their lists of people.',
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
    purpose: 'Says that the service answers, what it can do, and what no other route answers.',
    permissions: [],
    failureImpact: 'Health checks fail; the service may be well all the same.',
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
    purpose: 'Sends what is owed by mail and says where the request goes next.',
    permissions: ['read-table', 'write-table', 'root-secret', 'send-mail'],
    failureImpact: 'Requests stop where they are and nobody is told; the sweep starts them again.',
    size: workflowStepSize,
  },
  requestReview: {
    kind: 'step',
    purpose: 'Puts a request before the exceptions team and lets the workflow wait.',
    permissions: ['read-table', 'write-table', 'root-secret', 'send-mail', 'answer-task-token'],
    failureImpact: 'The exceptions team does not hear of requests that need its review.',
    size: workflowStepSize,
  },
  requestApproval: {
    kind: 'step',
    purpose: 'Asks the Notices Correspondent by mail and lets the workflow wait for the decision.',
    permissions: ['read-table', 'write-table', 'root-secret', 'send-mail', 'answer-task-token'],
    failureImpact: 'Notices Correspondents are not asked: requests wait and become late.',
    size: workflowStepSize,
  },
  requestInformation: {
    kind: 'step',
    purpose: 'Puts the question to the requester by mail and lets the workflow wait for the answer.',
    permissions: ['read-table', 'write-table', 'root-secret', 'send-mail', 'answer-task-token'],
    failureImpact: 'Requesters do not get the question on which their request waits.',
    size: workflowStepSize,
  },
  raiseLimit: {
    kind: 'step',
    purpose: 'Raises the limit that was approved, exactly once.',
    permissions: ['read-table', 'write-table', 'root-secret'],
    failureImpact: 'Approved increases do not arrive: machines are still refused.',
    size: workflowStepSize,
  },
  sendOutcome: {
    kind: 'step',
    purpose: 'Tells everybody whom the end of a request concerns.',
    permissions: ['read-table', 'write-table', 'root-secret', 'send-mail'],
    failureImpact: 'People are not told what became of a request; the sweep tells them later.',
    size: workflowStepSize,
  },
  inboundMail: {
    kind: 'inbound-mail',
    purpose: 'Takes requests and answers that come by e-mail.',
    permissions: [
      'read-table',
      'write-table',
      'root-secret',
      'start-workflow',
      'answer-task-token',
      'send-mail',
      'read-inbound-mail',
    ],
    failureImpact:
      'Requests and answers by e-mail are not read, and nobody is told; their senders believe that we have them.',
    size: {
      memoryMegabytes: 1024,
      timeoutSeconds: 50,
      because:
        'A mail may have 10 MB, and is read whole. Its answer is tried for 20 seconds at the most, and a mail that was lost on the way may be begun again after 60.',
    },
    maxConcurrency: {
      limit: 5,
      because: 'Anybody may send mails: a flood of them must not take what people wait for.',
    },
  },
  sweep: {
    kind: 'schedule',
    purpose: 'Does what time brings: reminders, lapses, letters and signals that are still owed, lost workflows.',
    permissions: ['read-table', 'write-table', 'root-secret', 'send-mail', 'start-workflow', 'answer-task-token'],
    failureImpact: 'Nobody is reminded, nothing lapses, and what a crash left unsaid stays unsaid.',
    size: {
      memoryMegabytes: 512,
      timeoutSeconds: 300,
      because:
        'It sees to a thousand requests at the most, one after the other; what is left over is for the next run.',
    },
    maxConcurrency: { limit: 1, because: 'Two at once would only get in each other’s way at the same requests.' },
    every: 'PT1M',
  },
  keyChanges: {
    kind: 'stream',
    purpose: 'Warns contacts when a limit is nearly used or a KMS key looks as if it were typed on clients.',
    permissions: ['read-table', 'write-table', 'root-secret', 'send-mail'],
    failureImpact:
      'Contacts are not warned before a key runs out, and machines that have moved stay on a replaced key.',
    size: {
      memoryMegabytes: 512,
      timeoutSeconds: 120,
      because:
        'A batch may make it count a few large keys, each in up to 8,192 buckets, and send a mail to each contact.',
    },
    maxConcurrency: {
      limit: 10,
      because: 'A roll-out changes the table a thousand times a second; warning of it can wait.',
    },
  },
  deliveryEvents: {
    kind: 'delivery-events',
    purpose:
      'Hears which of our mails did not arrive or were complained of, and tells people when it was the one that asks.',
    permissions: ['read-table', 'write-table', 'root-secret'],
    failureImpact: 'Nobody is told that a Notices Correspondent cannot be reached; the request waits until it lapses.',
    size: { memoryMegabytes: 256, timeoutSeconds: 30, because: 'It reads and writes one request.' },
    maxConcurrency: { limit: 5, because: 'A mail that bounces comes with many others; hearing of them can wait.' },
  },
} as const satisfies Readonly<Record<string, ManifestEntry>>;

/** Where in its bucket the mail service puts mails that come in; the id that it gives a mail follows. */
export const inboundMailPrefix = 'mails/';

export type Manifest = typeof manifest;
export type EntryName = keyof Manifest;

/** The entries of one sort. */
type EntryNamesOf<Is extends ManifestEntry['kind']> = {
  [Name in EntryName]: Manifest[Name]['kind'] extends Is ? Name : never;
}[EntryName];
export type ApiName = EntryNamesOf<'api'>;
export type StepName = EntryNamesOf<'step'>;

/** A route as it is written: the method and the path with its parameters in braces. */
export type RouteOf<Name extends ApiName> = keyof Manifest[Name]['routes'] & string;
export type Route = { [Name in ApiName]: RouteOf<Name> }[ApiName];

/** Every route with the entry that answers it and who may call it. */
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

/** Whether the caller of a route must be signed in: the gateway checks the token before the function is called. */
export function needsToken(audience: readonly Audience[]): boolean {
  return !audience.some((each) => each === 'device' || each === 'link-holder' || each === 'anyone');
}

/** An entry's name, written with hyphens. */
export function toKebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
}

/** Returns the file of an entry's Lambda, as a path from the project's root. The kind of the entry names the folder. */
export function fileOf(name: string): string {
  const kind = (manifest as Readonly<Record<string, ManifestEntry>>)[name]?.kind;
  const folder = kind === 'api' ? 'api' : kind === 'step' ? 'steps' : 'events';
  return `functions/${folder}/${toKebabCase(name)}.ts`;
}

/** The names of the entries of one sort. */
export function entryNamesOf<Is extends ManifestEntry['kind']>(kind: Is): readonly EntryNamesOf<Is>[] {
  return Object.entries(manifest).flatMap(([name, entry]) => (entry.kind === kind ? [name as EntryNamesOf<Is>] : []));
}
