import { describe, expect, it } from 'vitest';
import { auditCustomer, repeatedMails } from './audit.ts';
import type { SystemProcess } from './system-process.ts';
import type { CustomerRecord, RequestRecord } from './workload.ts';

const ines = { email: 'ines@e-1.example' };
const noor = { email: 'noor@e-1.example' };
const mailTo = ({ email }: { email: string }) => `/_local/mail?to=${encodeURIComponent(email)}`;

const asked: RequestRecord = {
  questions: 0,
  answers: 0,
  forwards: 0,
  rejected: false,
  withdrawn: false,
  decisionsSent: ['approve'],
  decisionTaken: 'approve',
};

/** What a customer was told who has a machine, a host, a call with an override, and a request that raised the limit. */
const book = (): CustomerRecord => ({
  agreementId: 'E-1',
  people: { ines, noor },
  keys: { mak: 'mak', kms: 'kms' },
  machines: new Map([
    ['pc-1', { activationId: 'a-1', refused: false }],
    ['pc-2', { activationId: null, refused: true }],
  ]),
  hosts: new Map([['host', { asked: 3, granted: 2 }]]),
  calls: new Map([['call', 1]]),
  requests: new Map([['exc-1', asked]]),
  mailsRead: new Set(['mail-1']),
  problems: [],
});

/** What the system answers when all of that is so. */
const answers = () => ({
  '/agreements/E-1/keys': [{ keyId: 'mak' }, { keyId: 'kms' }],
  '/keys/mak': { limit: 200, used: 1, remaining: 199 },
  '/keys/mak/activations': [{ installationId: 'pc-1' }],
  '/keys/kms': { hosts: [{ installationId: 'host', uses: 2 }] },
  '/keys/mak/grants': [
    { kind: 'initial', amount: 50, reference: null },
    { kind: 'exception', amount: 150, reference: 'exc-1' },
  ],
  '/keys/kms/grants': [{ kind: 'override', amount: 1, reference: 'call' }],
  '/exceptions?agreementId=E-1': [{ exceptionId: 'exc-1', status: 'fulfilled', activations: 150 }],
  '/exceptions/exc-1/history': ['received', 'approved', 'limit-raised'].map((action) => ({ action })),
  '/_local/workflows/exc-1': { executions: [{ status: 'SUCCEEDED' }] },
  [mailTo(noor)]: [{ messageId: 'mail-1', to: noor.email, subject: 'Please decide', text: 'exc-1' }],
  [mailTo(ines)]: [
    { messageId: 'mail-2', to: ines.email, subject: 'It is raised', text: 'exc-1' },
    { messageId: 'mail-3', to: ines.email, subject: 'We have your request', text: 'exc-1' },
  ],
});

async function found(changed: { answers?: Record<string, unknown>; book?: Partial<CustomerRecord> }) {
  const all: Record<string, unknown> = { ...answers(), ...changed.answers };
  const ask: SystemProcess['send'] = ({ path }) => {
    const answer = all[path.replace(/[?&]limit=100$/, '')];
    const body = Array.isArray(answer) ? { items: answer, nextCursor: null } : answer;
    return Promise.resolve({ status: 200, body, text: JSON.stringify(body), lost: 0 });
  };
  return auditCustomer(ask, { ...book(), ...changed.book }, true);
}

describe('the audit', () => {
  it('finds nothing where all is as the customer was told', async () => {
    expect(await found({})).toEqual([]);
  });

  it('MAK-2 misses a machine that was activated', async () => {
    const lost = {
      '/keys/mak': { limit: 200, used: 0, remaining: 200 },
      '/keys/mak/activations': [],
    };
    expect(await found({ answers: lost })).toEqual(['E-1: machine pc-1 was activated and is not there']);
  });

  it('MAK-2 sees a machine that is there twice', async () => {
    const twice = {
      '/keys/mak': { limit: 200, used: 2, remaining: 198 },
      '/keys/mak/activations': [{ installationId: 'pc-1' }, { installationId: 'pc-1' }],
    };
    expect(await found({ answers: twice })).toEqual(['E-1: machines that are there twice: 1 where it must be 0']);
  });

  it('MAK-2 sees a machine that counts twice, one that was refused, and one that never asked', async () => {
    const more = {
      '/keys/mak': { limit: 200, used: 4, remaining: 196 },
      '/keys/mak/activations': ['pc-1', 'pc-2', 'pc-3'].map((installationId) => ({ installationId })),
    };
    expect(await found({ answers: more })).toEqual([
      'E-1: activations counted: 4 where it must be 3',
      'E-1: machine pc-2 was refused and is there',
      'E-1: machine pc-3 never asked',
    ]);
  });

  it.each([1, 4])('KMS-1 sees that a host which asked three times and got two uses has %i', async (uses) => {
    const hosts = { '/keys/kms': { hosts: [{ installationId: 'host', uses }] } };
    expect(await found({ answers: hosts })).toEqual([
      `E-1: host host asked 3 times, was told yes 2 times, and ${uses} are counted`,
    ]);
  });

  it('OVR-4 sees a call that gave nothing or gave twice', async () => {
    expect(await found({ answers: { '/keys/kms/grants': [] } })).toEqual([
      'E-1: grants of call call: [] where it must be [1]',
    ]);
    const grant = { kind: 'override', amount: 1, reference: 'call' };
    expect(await found({ answers: { '/keys/kms/grants': [grant, grant] } })).toEqual([
      'E-1: grants of call call: [1,1] where it must be [1]',
    ]);
  });

  it('EXC-9 sees a request that raised the limit twice', async () => {
    const raised = { kind: 'exception', amount: 150, reference: 'exc-1' };
    const twice = {
      '/keys/mak': { limit: 350, used: 1, remaining: 349 },
      '/keys/mak/grants': [{ kind: 'initial', amount: 50, reference: null }, raised, raised],
    };
    expect(await found({ answers: twice })).toEqual([
      'E-1: what exceptions gave: ["exc-1 150","exc-1 150"] where it must be ["exc-1 150"]',
    ]);
  });

  it('EXC-5 misses a request that was acknowledged, and what it gave', async () => {
    const lost = await found({ answers: { '/exceptions?agreementId=E-1': [] } });
    expect(lost).toContain('E-1: requests: [] where it must be ["exc-1"]');
  });

  it('APR-6 misses a decision that was acknowledged', async () => {
    const request = { exceptionId: 'exc-1', status: 'lapsed', activations: 150 };
    const lost = {
      '/keys/mak': { limit: 50, used: 1, remaining: 49 },
      '/keys/mak/grants': [{ kind: 'initial', amount: 50, reference: null }],
      '/exceptions?agreementId=E-1': [request],
      '/exceptions/exc-1/history': [{ action: 'received' }, { action: 'lapsed' }],
    };
    expect(await found({ answers: lost })).toEqual(['E-1: exc-1 (lapsed) approved: 0 where it must be 1']);
  });

  it('APR-6 sees a decision that nobody sent', async () => {
    const unsent = new Map([['exc-1', { ...asked, sent: [], decided: null }]]);
    expect(await found({ book: { requests: unsent } })).toEqual(['E-1: exc-1 (fulfilled) was approved by nobody']);
  });

  it('APR-6 sees a decision that was never passed on', async () => {
    const stuck = {
      '/keys/mak': { limit: 50, used: 1, remaining: 49 },
      '/keys/mak/grants': [{ kind: 'initial', amount: 50, reference: null }],
      '/exceptions?agreementId=E-1': [{ exceptionId: 'exc-1', status: 'awaiting-approval', activations: 150 }],
      '/exceptions/exc-1/history': [{ action: 'received' }, { action: 'approved' }],
      '/_local/workflows/exc-1': { executions: [{ status: 'RUNNING' }] },
    };
    expect(await found({ answers: stuck })).toEqual([
      'E-1: exc-1 (awaiting-approval) never ended',
      'E-1: exc-1 (awaiting-approval) once approved: "awaiting-approval" where it must be "fulfilled"',
      'E-1: exc-1 (awaiting-approval): its workflow is RUNNING',
    ]);
  });

  it('EXC-11 misses a mail that was in the box, and one that must have gone out', async () => {
    expect(await found({ answers: { [mailTo(noor)]: [] } })).toEqual([
      'E-1: mails that were there and are gone: ["mail-1"] where it must be []',
    ]);
    expect(await found({ answers: { [mailTo(ines)]: [{ to: ines.email, subject: 'It is', text: 'exc-1' }] } })).toEqual(
      ['E-1: exc-1 (fulfilled): its requester was written to 1 times'],
    );
  });

  it('tells what was seen on the way', async () => {
    expect(await found({ book: { problems: ['exc-1 was decided twice.'] } })).toEqual(['exc-1 was decided twice.']);
  });
});

describe('a mail that went out twice', () => {
  it('is the same one whatever the port was at that time', () => {
    const mail = (port: number) => ({
      to: noor.email,
      subject: 'Decide',
      text: `http://localhost:${port}/approvals/a`,
    });
    expect(repeatedMails([mail(1), mail(2), { ...mail(1), to: ines.email }])).toBe(1);
  });
});
