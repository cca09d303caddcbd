import { describe, expect, it } from 'vitest';
import { auditCustomer, countDuplicateEmails } from './audit.ts';
import type { CustomerRecord, RequestRecord } from './customer.ts';
import type { SystemProcess } from './system-process.ts';

const ines = { email: 'ines@e-1.example' };
const noor = { email: 'noor@e-1.example' };
const mailboxOf = ({ email }: { email: string }) => `/_local/mail?to=${encodeURIComponent(email)}`;

const approvedRequest: RequestRecord = {
  questions: 0,
  answers: 0,
  forwards: 0,
  rejected: false,
  withdrawn: false,
  decisionsSent: ['approve'],
  acknowledgedDecision: 'approve',
};

/** The record of a customer with a computer, a host, a call with an override, and a request that raised the limit. */
const aRecord = (): CustomerRecord => ({
  agreementId: 'E-1',
  people: { ines, noor },
  keys: { mak: 'mak', kms: 'kms' },
  computers: new Map([
    ['pc-1', { activationId: 'a-1', isRefused: false }],
    ['pc-2', { activationId: null, isRefused: true }],
  ]),
  hosts: new Map([['host', { requested: 3, granted: 2 }]]),
  calls: new Map([['call', 1]]),
  requests: new Map([['exc-1', approvedRequest]]),
  emailsRead: new Set(['mail-1']),
  problems: [],
});

/** The responses of a system that agrees with the record. */
const matchingResponses = () => ({
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
  [mailboxOf(noor)]: [{ messageId: 'mail-1', to: noor.email, subject: 'Please decide', text: 'exc-1' }],
  [mailboxOf(ines)]: [
    { messageId: 'mail-2', to: ines.email, subject: 'It is raised', text: 'exc-1' },
    { messageId: 'mail-3', to: ines.email, subject: 'We received your request', text: 'exc-1' },
  ],
});

async function findProblems(changes: { responses?: Record<string, unknown>; record?: Partial<CustomerRecord> }) {
  const responses: Record<string, unknown> = { ...matchingResponses(), ...changes.responses };
  const send: SystemProcess['send'] = ({ path }) => {
    const response = responses[path.replace(/[?&]limit=100$/, '')];
    const body = Array.isArray(response) ? { items: response, nextCursor: null } : response;
    return Promise.resolve({ status: 200, body, text: JSON.stringify(body), lostResponses: 0 });
  };
  return auditCustomer(send, { ...aRecord(), ...changes.record }, true);
}

describe('the audit of a customer', () => {
  it('finds nothing when the system agrees with the record', async () => {
    expect(await findProblems({})).toEqual([]);
  });

  it('MAK-2 finds an activated computer that is missing', async () => {
    const responses = {
      '/keys/mak': { limit: 200, used: 0, remaining: 200 },
      '/keys/mak/activations': [],
    };
    expect(await findProblems({ responses })).toEqual(['E-1: computer pc-1 activated and is not recorded']);
  });

  it('MAK-2 finds a computer that is recorded twice', async () => {
    const responses = {
      '/keys/mak': { limit: 200, used: 2, remaining: 198 },
      '/keys/mak/activations': [{ installationId: 'pc-1' }, { installationId: 'pc-1' }],
    };
    expect(await findProblems({ responses })).toEqual(['E-1: computers recorded twice: 1 instead of 0']);
  });

  it('MAK-2 finds a computer that counts twice, one that was refused, and one that never sent a request', async () => {
    const responses = {
      '/keys/mak': { limit: 200, used: 4, remaining: 196 },
      '/keys/mak/activations': ['pc-1', 'pc-2', 'pc-3'].map((installationId) => ({ installationId })),
    };
    expect(await findProblems({ responses })).toEqual([
      'E-1: activations used: 4 instead of 3',
      'E-1: computer pc-2 was refused and is recorded',
      'E-1: computer pc-3 is recorded and never sent a request',
    ]);
  });

  it.each([1, 4])('KMS-1 finds a host with %i uses that requested three and was granted two', async (uses) => {
    const responses = { '/keys/kms': { hosts: [{ installationId: 'host', uses }] } };
    expect(await findProblems({ responses })).toEqual([`E-1: host host has ${uses} uses: requested 3, granted 2`]);
  });

  it('OVR-4 finds a phone call without its grant, and one with two grants', async () => {
    expect(await findProblems({ responses: { '/keys/kms/grants': [] } })).toEqual([
      'E-1: grants of call call: [] instead of [1]',
    ]);
    const grant = { kind: 'override', amount: 1, reference: 'call' };
    expect(await findProblems({ responses: { '/keys/kms/grants': [grant, grant] } })).toEqual([
      'E-1: grants of call call: [1,1] instead of [1]',
    ]);
  });

  it('EXC-9 finds a request that raised the limit twice', async () => {
    const grant = { kind: 'exception', amount: 150, reference: 'exc-1' };
    const responses = {
      '/keys/mak': { limit: 350, used: 1, remaining: 349 },
      '/keys/mak/grants': [{ kind: 'initial', amount: 50, reference: null }, grant, grant],
    };
    expect(await findProblems({ responses })).toEqual([
      'E-1: grants of exception requests: ["exc-1 150","exc-1 150"] instead of ["exc-1 150"]',
    ]);
  });

  it('EXC-5 finds an acknowledged request that is missing', async () => {
    const problems = await findProblems({ responses: { '/exceptions?agreementId=E-1': [] } });
    expect(problems).toContain('E-1: requests: [] instead of ["exc-1"]');
  });

  it('APR-6 finds an acknowledged decision that is missing', async () => {
    const request = { exceptionId: 'exc-1', status: 'lapsed', activations: 150 };
    const responses = {
      '/keys/mak': { limit: 50, used: 1, remaining: 49 },
      '/keys/mak/grants': [{ kind: 'initial', amount: 50, reference: null }],
      '/exceptions?agreementId=E-1': [request],
      '/exceptions/exc-1/history': [{ action: 'received' }, { action: 'lapsed' }],
    };
    expect(await findProblems({ responses })).toEqual(['E-1: exc-1 (lapsed) approved: 0 instead of 1']);
  });

  it('APR-6 finds a decision that nobody sent', async () => {
    const requests = new Map([['exc-1', { ...approvedRequest, decisionsSent: [], acknowledgedDecision: null }]]);
    expect(await findProblems({ record: { requests } })).toEqual([
      'E-1: exc-1 (fulfilled) was approved, and nobody sent that decision',
    ]);
  });

  it('APR-6 finds a decision that never reached the workflow', async () => {
    const responses = {
      '/keys/mak': { limit: 50, used: 1, remaining: 49 },
      '/keys/mak/grants': [{ kind: 'initial', amount: 50, reference: null }],
      '/exceptions?agreementId=E-1': [{ exceptionId: 'exc-1', status: 'awaiting-approval', activations: 150 }],
      '/exceptions/exc-1/history': [{ action: 'received' }, { action: 'approved' }],
      '/_local/workflows/exc-1': { executions: [{ status: 'RUNNING' }] },
    };
    expect(await findProblems({ responses })).toEqual([
      'E-1: exc-1 (awaiting-approval) did not end',
      'E-1: exc-1 (awaiting-approval) status after the approval: "awaiting-approval" instead of "fulfilled"',
      'E-1: exc-1 (awaiting-approval): the status of its execution is RUNNING',
    ]);
  });

  it('EXC-11 finds an email that is missing from the mailbox, and one that was never sent', async () => {
    expect(await findProblems({ responses: { [mailboxOf(noor)]: [] } })).toEqual([
      'E-1: emails that a client has read and that are missing: ["mail-1"] instead of []',
    ]);
    const onlyOne = [{ to: ines.email, subject: 'The limit is raised', text: 'exc-1' }];
    expect(await findProblems({ responses: { [mailboxOf(ines)]: onlyOne } })).toEqual([
      'E-1: exc-1 (fulfilled): the number of emails to its requester is 1',
    ]);
  });

  it('includes the wrong responses that the customer recorded', async () => {
    const problems = ['exc-1 was decided twice.'];
    expect(await findProblems({ record: { problems } })).toEqual(problems);
  });
});

describe('an email that was sent twice', () => {
  it('counts as a duplicate even if the port of the system changed in between', () => {
    const email = (port: number) => ({
      to: noor.email,
      subject: 'Decide',
      text: `http://localhost:${port}/approvals/a`,
    });
    expect(countDuplicateEmails([email(1), email(2), { ...email(1), to: ines.email }])).toBe(1);
  });
});
