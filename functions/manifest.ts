/**
 * Every Lambda of the service, as plain data: its routes or its part in the workflow, who may call it, what it may
 * touch, and what its failure means to people. The deployment, the local system, the published description of the API
 * and the tests all loop over it.
 */

/** Who may call a route. Staff roles are groups of the user pool; a customer is whoever the agreement names. */
export type Who =
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

export type Right =
  | 'read-table'
  | 'write-table'
  | 'read-vault'
  | 'start-workflow'
  | 'answer-task-token'
  | 'send-mail'
  | 'read-inbound-mail';

/** What a function is given to run with, and why so much. */
export type Size = { readonly memoryMegabytes: number; readonly timeoutSeconds: number; readonly because: string };

/** How often a route may be called, by everybody together: for long, and in one burst. Above it the gateway answers 429. */
export type Rate = { readonly perSecond: number; readonly burst: number };

type OfEveryKind = {
  /** What it is for, in a sentence. */
  readonly purpose: string;
  readonly may: readonly Right[];
  /** What it costs people when it fails: the words of its alarm. */
  readonly whenItFails: string;
  readonly size: Size;
  /** How many may run at once, where more would hurt. Whatever has no such number shares what the account has. */
  readonly atOnce?: { readonly most: number; readonly because: string };
};

type OfOneKind =
  /** Answers HTTP routes. Each may be called as often as `rate` says, unless it has a rate of its own. */
  | {
      readonly is: 'api';
      readonly routes: Readonly<Record<string, readonly Who[]>>;
      readonly rate: Rate;
      readonly rates?: Readonly<Record<string, Rate>>;
      /** Whether it also answers what no route is written for. */
      readonly answersTheRest?: true;
    }
  /** A step of the workflow. */
  | { readonly is: 'step' }
  /** Runs by the clock. */
  | { readonly is: 'schedule'; readonly every: string }
  /** Sees every change of the table, at least once and in order for each item. */
  | { readonly is: 'stream' }
  /** Sees every mail that comes to the exceptions address. */
  | { readonly is: 'inbound-mail' }
  /** Hears which of our mails could not be delivered, and who complained of one. */
  | { readonly is: 'mail-events' };

export type Entry = OfEveryKind & OfOneKind;

/** What is counted of the business, and what tells one count from another: the dashboard and alarms look for these names. */
export const counted = {
  activations: 'keyType',
  refusals: 'code',
  /** Requests by the state that they came into. */
  requests: 'state',
  approvals: 'outcome',
  /** Business minutes of a request that has ended, by who had the ball. */
  answerMinutes: 'ball',
  letters: 'letter',
  /** What the mail service reported of our mails, in its own words. */
  mailEvents: 'event',
} as const;

const whileSomebodyWaits = {
  memoryMegabytes: 1024,
  timeoutSeconds: 28,
  because:
    'Somebody waits, and the processor comes with the memory (1,769 MB is a whole one). One call of the database is tried for 13 seconds at the most, and the gateway waits for 29.',
} as const;

const withinTheWorkflow = {
  memoryMegabytes: 512,
  timeoutSeconds: 60,
  because:
    'Nobody waits for it. One email is tried for at most 20 seconds, and emails that a step has claimed are free for others after 120.',
} as const;

export const manifest = {
  activation: {
    is: 'api',
    purpose: 'Answers machines that activate.',
    may: ['read-table', 'write-table', 'read-vault'],
    whenItFails: 'Machines cannot activate: people are kept from working on new or rebuilt computers.',
    size: whileSomebodyWaits,
    rate: { perSecond: 1000, burst: 2000 },
    routes: {
      'POST /activations': ['device'],
      'POST /activations/batch': ['device'],
      'POST /validations': ['device'],
      'POST /kms-hosts/client-reports': ['device'],
    },
  },
  portal: {
    is: 'api',
    purpose: 'Shows customers and staff their agreements and keys, and issues MAKs.',
    may: ['read-table', 'write-table', 'read-vault'],
    whenItFails: 'License administrators cannot see their keys or get new ones.',
    size: whileSomebodyWaits,
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
    is: 'api',
    purpose: 'Lets call-centre agents find a key and give what a phone call may give.',
    may: ['read-table', 'write-table', 'read-vault'],
    whenItFails: 'Callers wait on the phone: agents can give neither overrides nor increases.',
    size: whileSomebodyWaits,
    rate: { perSecond: 20, burst: 40 },
    routes: {
      'GET /call-center/keys': ['call-center'],
      'POST /keys/{keyId}/overrides': ['call-center'],
      'POST /keys/{keyId}/increases': ['call-center'],
    },
  },
  exceptions: {
    is: 'api',
    purpose: 'Takes exception requests and what people do to them.',
    may: ['read-table', 'write-table', 'read-vault', 'start-workflow', 'answer-task-token'],
    whenItFails: 'Requests for more activations are not taken or not moved on; their five business days run.',
    size: whileSomebodyWaits,
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
    is: 'api',
    purpose: 'Shows the approval page to who holds its link, and records the decision.',
    may: ['read-table', 'write-table', 'read-vault', 'start-workflow', 'answer-task-token', 'send-mail'],
    whenItFails: 'Notices Correspondents cannot answer: customers wait for activations that were asked for.',
    size: whileSomebodyWaits,
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
    is: 'api',
    purpose: 'Registers agreements and keeps their lists of people.',
    may: ['read-table', 'write-table', 'read-vault'],
    whenItFails: 'New agreements get no keys, and changes of contacts do not take effect.',
    size: whileSomebodyWaits,
    rate: { perSecond: 5, burst: 10 },
    routes: {
      'POST /agreements': ['licensing-admins'],
      'PUT /agreements/{agreementId}/contacts': ['licensing-admins'],
      'PUT /agreements/{agreementId}/notices-correspondent': ['licensing-admins'],
    },
  },
  about: {
    is: 'api',
    purpose: 'Says that the service answers, what it can do, and what no other route answers.',
    may: [],
    whenItFails: 'Health checks fail; the service may be well all the same.',
    size: whileSomebodyWaits,
    rate: { perSecond: 20, burst: 40 },
    answersTheRest: true,
    routes: {
      'GET /health': ['anyone'],
      'GET /openapi.json': ['anyone'],
      'GET /docs': ['anyone'],
    },
  },
  seeWhereItStands: {
    is: 'step',
    purpose: 'Sends what is owed by mail and says where the request goes next.',
    may: ['read-table', 'write-table', 'read-vault', 'send-mail'],
    whenItFails: 'Requests stop where they are and nobody is told; the sweep starts them again.',
    size: withinTheWorkflow,
  },
  waitForReview: {
    is: 'step',
    purpose: 'Puts a request before the exceptions team and lets the workflow wait.',
    may: ['read-table', 'write-table', 'read-vault', 'send-mail', 'answer-task-token'],
    whenItFails: 'The exceptions team does not hear of requests that need its review.',
    size: withinTheWorkflow,
  },
  askCorrespondent: {
    is: 'step',
    purpose: 'Asks the Notices Correspondent by mail and lets the workflow wait for the decision.',
    may: ['read-table', 'write-table', 'read-vault', 'send-mail', 'answer-task-token'],
    whenItFails: 'Notices Correspondents are not asked: requests wait and become late.',
    size: withinTheWorkflow,
  },
  askRequester: {
    is: 'step',
    purpose: 'Puts the question to the requester by mail and lets the workflow wait for the answer.',
    may: ['read-table', 'write-table', 'read-vault', 'send-mail', 'answer-task-token'],
    whenItFails: 'Requesters do not get the question on which their request waits.',
    size: withinTheWorkflow,
  },
  raiseTheLimit: {
    is: 'step',
    purpose: 'Raises the limit that was approved, exactly once.',
    may: ['read-table', 'write-table', 'read-vault'],
    whenItFails: 'Approved increases do not arrive: machines are still refused.',
    size: withinTheWorkflow,
  },
  tellPeople: {
    is: 'step',
    purpose: 'Tells everybody whom the end of a request concerns.',
    may: ['read-table', 'write-table', 'read-vault', 'send-mail'],
    whenItFails: 'People are not told what became of a request; the sweep tells them later.',
    size: withinTheWorkflow,
  },
  inboundMail: {
    is: 'inbound-mail',
    purpose: 'Takes requests and answers that come by e-mail.',
    may: [
      'read-table',
      'write-table',
      'read-vault',
      'start-workflow',
      'answer-task-token',
      'send-mail',
      'read-inbound-mail',
    ],
    whenItFails:
      'Requests and answers by e-mail are not read, and nobody is told; their senders believe that we have them.',
    size: {
      memoryMegabytes: 1024,
      timeoutSeconds: 50,
      because:
        'A mail may have 10 MB, and is read whole. Its answer is tried for 20 seconds at the most, and a mail that was lost on the way may be begun again after 60.',
    },
    atOnce: { most: 5, because: 'Anybody may send mails: a flood of them must not take what people wait for.' },
  },
  sweep: {
    is: 'schedule',
    purpose: 'Does what time brings: reminders, lapses, letters and signals that are still owed, lost workflows.',
    may: ['read-table', 'write-table', 'read-vault', 'send-mail', 'start-workflow', 'answer-task-token'],
    whenItFails: 'Nobody is reminded, nothing lapses, and what a crash left unsaid stays unsaid.',
    size: {
      memoryMegabytes: 512,
      timeoutSeconds: 300,
      because:
        'It sees to a thousand requests at the most, one after the other; what is left over is for the next run.',
    },
    atOnce: { most: 1, because: 'Two at once would only get in each other’s way at the same requests.' },
    every: 'PT1M',
  },
  warn: {
    is: 'stream',
    purpose: 'Warns contacts when a limit is nearly used or a KMS key looks as if it were typed on clients.',
    may: ['read-table', 'write-table', 'read-vault', 'send-mail'],
    whenItFails: 'Contacts are not warned before a key runs out, and machines that have moved stay on a replaced key.',
    size: {
      memoryMegabytes: 512,
      timeoutSeconds: 120,
      because:
        'A batch may make it count a few large keys, each in up to 8,192 buckets, and send a mail to each contact.',
    },
    atOnce: { most: 10, because: 'A roll-out changes the table a thousand times a second; warning of it can wait.' },
  },
  mailEvents: {
    is: 'mail-events',
    purpose:
      'Hears which of our mails did not arrive or were complained of, and tells people when it was the one that asks.',
    may: ['read-table', 'write-table', 'read-vault'],
    whenItFails: 'Nobody is told that a Notices Correspondent cannot be reached; the request waits until it lapses.',
    size: { memoryMegabytes: 256, timeoutSeconds: 30, because: 'It reads and writes one request.' },
    atOnce: { most: 5, because: 'A mail that bounces comes with many others; hearing of them can wait.' },
  },
} as const satisfies Readonly<Record<string, Entry>>;

/** Where in its bucket the mail service puts mails that come in; the id that it gives a mail follows. */
export const inboundMailPrefix = 'mails/';

export type Manifest = typeof manifest;
export type EntryName = keyof Manifest;

/** The entries of one sort. */
type NamesOf<Is extends Entry['is']> = {
  [Name in EntryName]: Manifest[Name]['is'] extends Is ? Name : never;
}[EntryName];
export type ApiName = NamesOf<'api'>;
export type StepName = NamesOf<'step'>;

/** A route as it is written: the method and the path with its parameters in braces. */
export type RouteOf<Name extends ApiName> = keyof Manifest[Name]['routes'] & string;
export type Route = { [Name in ApiName]: RouteOf<Name> }[ApiName];

/** Every route with the entry that answers it and who may call it. */
export function allRoutes(): readonly {
  readonly route: Route;
  readonly entry: ApiName;
  readonly who: readonly Who[];
}[] {
  return Object.entries(manifest).flatMap(([entry, declared]) =>
    'routes' in declared
      ? Object.entries(declared.routes).map(([route, who]) => ({ route: route as Route, entry: entry as ApiName, who }))
      : [],
  );
}

/** Whether the caller of a route must be signed in: the gateway checks the token before the function is called. */
export function needsToken(who: readonly Who[]): boolean {
  return !who.some((each) => each === 'device' || each === 'link-holder' || each === 'anyone');
}

/** An entry's name, written with hyphens. */
export function hyphenated(name: string): string {
  return name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
}

/** The file that holds an entry's Lambda, as a path from the project's root: the kind of the entry names its folder. */
export function fileOf(name: string): string {
  const { is } = (manifest as Readonly<Record<string, Entry>>)[name] ?? { is: 'api' };
  const folder = is === 'api' ? 'api' : is === 'step' ? 'steps' : 'events';
  return `functions/${folder}/${fileNames[name] ?? hyphenated(name)}.ts`;
}

/** The files whose name is not their entry's. */
const fileNames: Readonly<Record<string, string>> = {
  portal: 'customer',
  about: 'meta',
  warn: 'key-changes',
  mailEvents: 'delivery-events',
  seeWhereItStands: 'choose-next-step',
  waitForReview: 'request-review',
  askCorrespondent: 'request-approval',
  askRequester: 'request-information',
  raiseTheLimit: 'raise-limit',
  tellPeople: 'send-outcome',
};

/** The names of the entries of one sort. */
export function namesOf<Is extends Entry['is']>(is: Is): readonly NamesOf<Is>[] {
  return Object.entries(manifest).flatMap(([name, entry]) => (entry.is === is ? [name as NamesOf<Is>] : []));
}
