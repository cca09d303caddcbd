import { describe, expect, it } from 'vitest';
import type { ExceptionStatus } from '../../../domain/exception-status.ts';
import { exceptionStatuses, openStatuses, transitionTable } from '../../../domain/exception-status.ts';
import type { Flag } from '../../../domain/exceptions/request.ts';
import { allowedTransitions, flags, isFinal, nextStepOf } from '../../../domain/exceptions/request.ts';
import { exceptionKinds } from '../../../domain/remedy.ts';
import { aRequest, requestApproved, requestInEachState, requestReceived, statusOf } from '../../builders.ts';

describe('the next step', () => {
  it('EXC-8 is the approval without a flag, and the review with any flag', () => {
    expect(nextStepOf(requestReceived())).toBe('request-approval');
    for (const flag of flags) expect(nextStepOf(aRequest({ flags: [flag] }))).toBe('request-review');
  });

  it('EXC-12 follows from the state alone', () => {
    expect(requestInEachState.map((request) => `${statusOf(request)}: ${nextStepOf(request)}`)).toEqual([
      'received: request-approval',
      'in-review: request-review',
      'awaiting-requester: request-information',
      'awaiting-approval: request-approval',
      'fulfilled: end',
      'denied: end',
      'rejected: end',
      'withdrawn: end',
      'lapsed: end',
    ]);
    expect(nextStepOf(requestApproved())).toBe('raise-limit');
  });
});

describe('the transition table', () => {
  it('EXC-12 has the nine statuses, of which the last five are final', () => {
    expect(exceptionStatuses).toEqual([
      'received',
      'in-review',
      'awaiting-requester',
      'awaiting-approval',
      'fulfilled',
      'denied',
      'rejected',
      'withdrawn',
      'lapsed',
    ]);
    expect(openStatuses).toEqual(exceptionStatuses.slice(0, 4));
    expect(exceptionStatuses.filter((status) => Object.keys(transitionTable[status]).length === 0)).toEqual(
      exceptionStatuses.slice(4),
    );
    expect(requestInEachState.filter(isFinal).map(statusOf)).toEqual(exceptionStatuses.slice(4));
    expect(exceptionKinds).toEqual(['MAKADD', 'KMSADD']);
  });

  it('EXC-12 has exactly these transitions', () => {
    const table = Object.entries(transitionTable).flatMap(([from, next]) =>
      Object.entries(next).map(([transition, to]) => `${from} –${transition}→ ${to}`),
    );
    expect(table).toEqual([
      'received –review→ in-review',
      'received –ask→ awaiting-approval',
      'received –question→ awaiting-requester',
      'received –forward→ awaiting-approval',
      'received –reject→ rejected',
      'received –withdraw→ withdrawn',
      'in-review –question→ awaiting-requester',
      'in-review –forward→ awaiting-approval',
      'in-review –reject→ rejected',
      'in-review –withdraw→ withdrawn',
      'awaiting-requester –answer→ in-review',
      'awaiting-requester –reject→ rejected',
      'awaiting-requester –withdraw→ withdrawn',
      'awaiting-requester –lapse→ lapsed',
      'awaiting-approval –question→ awaiting-requester',
      'awaiting-approval –forward→ awaiting-approval',
      'awaiting-approval –approve→ awaiting-approval',
      'awaiting-approval –deny→ denied',
      'awaiting-approval –fulfill→ fulfilled',
      'awaiting-approval –reject→ rejected',
      'awaiting-approval –withdraw→ withdrawn',
      'awaiting-approval –lapse→ lapsed',
      'awaiting-approval –dispute→ in-review',
    ]);
  });

  it('EXC-12 reaches every status from received', () => {
    const reached = new Set<ExceptionStatus>(['received']);
    for (const status of reached) for (const to of Object.values(transitionTable[status])) reached.add(to);
    expect([...reached].toSorted()).toEqual([...exceptionStatuses].toSorted());
  });

  it('EXC-12 allows people exactly these transitions in each status', () => {
    expect(requestInEachState.map((request) => [statusOf(request), ...allowedTransitions(request)])).toEqual([
      ['received', 'question', 'forward', 'reject', 'withdraw'],
      ['in-review', 'question', 'forward', 'reject', 'withdraw'],
      ['awaiting-requester', 'answer', 'reject', 'withdraw'],
      ['awaiting-approval', 'question', 'forward', 'reject', 'withdraw', 'approve', 'deny'],
      ['fulfilled'],
      ['denied'],
      ['rejected'],
      ['withdrawn'],
      ['lapsed'],
    ]);
    expect(allowedTransitions(requestApproved())).toEqual(['reject']);
  });
});

describe('the vocabulary of a request', () => {
  it('EXC-8 APR-8 has five flags of the intake and one of a dispute', () => {
    const all: readonly Flag[] = [
      'not-english',
      'above-review-threshold',
      'correspondent-differs',
      'required-before-due',
      'requester-is-correspondent',
      'approval-disputed',
    ];
    expect(flags).toEqual(all);
  });
});
