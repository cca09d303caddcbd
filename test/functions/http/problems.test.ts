import { describe, expect, it } from 'vitest';
import type { RefusalCode } from '../../../domain/refusal.ts';
import { refuse } from '../../../domain/refusal.ts';
import { problemOf, problems } from '../../../functions/http/problems.ts';
import { mondayTen } from '../../instants.ts';

/** The statuses that the contract gives to each code. */
const contract: Readonly<Record<number, readonly RefusalCode[]>> = {
  400: ['malformed-json'],
  401: ['unauthenticated'],
  403: ['forbidden'],
  404: ['not-found', 'unknown-key', 'link-unknown'],
  409: [
    'idempotency-key-reused',
    'request-in-progress',
    'agreement-exists',
    'mak-already-issued',
    'key-blocked',
    'activation-limit-reached',
    'override-used-today',
    'overrides-exhausted',
    'above-call-center-limit',
    'limit-not-raised',
    'wrong-key-type',
    'not-an-exception',
    'exception-already-open',
    'not-in-that-state',
    'already-decided',
  ],
  410: ['link-void'],
  413: ['too-large'],
  415: ['unsupported-media-type'],
  422: [
    'invalid-request',
    'invalid-installation-id',
    'product-not-covered',
    'requester-not-authorized',
    'key-not-found',
    'wrong-code',
  ],
};

describe('a problem document', () => {
  it.each(Object.entries(contract))('has the status that the contract says: %s', (status, codes) => {
    for (const code of codes) expect(problems[code].status, code).toBe(Number(status));
  });

  it('has a different title for each code', () => {
    const titles = Object.values(problems).map(({ title }) => title);
    expect(new Set(titles).size).toBe(titles.length);
    for (const title of titles) expect(title).toMatch(/^[A-Z][^.]{5,60}$/);
  });

  it('has type, title, status, detail, code, and the members of its code', () => {
    const { refusal } = refuse('override-used-today', 'Tomorrow again.', { availableAt: mondayTen });
    expect(problemOf(refusal)).toEqual({
      type: 'urn:volume-activation:problem:override-used-today',
      title: problems['override-used-today'].title,
      status: 409,
      code: 'override-used-today',
      detail: 'Tomorrow again.',
      availableAt: mondayTen,
    });
  });

  it('BLK-1 can have the status of the route: 403 for a device with a blocked key', () => {
    const { refusal } = refuse('key-blocked', 'Use the new key.', { replacedBy: 'BCDFG' });
    expect(problemOf(refusal, 403)).toMatchObject({ status: 403, code: 'key-blocked', replacedBy: 'BCDFG' });
  });
});
