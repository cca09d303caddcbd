import { describe, expect, it } from 'vitest';
import { restartApproval } from '../../../domain/exceptions/approval.ts';
import type { DeliveryFailure } from '../../../domain/exceptions/delivery-failure.ts';
import { recordDeliveryEvent } from '../../../domain/exceptions/delivery-failure.ts';
import type { ExceptionRequest } from '../../../domain/exceptions/request.ts';
import { approvalRoundOf } from '../../../domain/exceptions/request.ts';
import { forwardRequest } from '../../../domain/exceptions/review.ts';
import {
  context,
  expectAccepted,
  listNotifications,
  requestApproved,
  requestAwaitingApproval,
  requestAwaitingRequester,
  requestInEachState,
  requestInSecondRound,
  requestWithdrawn,
  reviewer,
  withEmptyOutbox,
  withWaitingExecution,
} from '../../builders.ts';
import { tuesdayTen, wednesdayNoon } from '../../instants.ts';

const failedDelivery: DeliveryFailure = {
  notificationKind: 'approval-requested',
  to: 'correspondent',
  round: 1,
  kind: 'not-delivered',
  because: 'Permanent/NoEmail',
};
const awaiting = withEmptyOutbox(requestAwaitingApproval());

function record(request: ExceptionRequest, failure: Partial<DeliveryFailure> = {}, hasDeputy = false) {
  return recordDeliveryEvent(request, { ...failedDelivery, ...failure }, hasDeputy, tuesdayTen);
}

describe('an email that asks the Correspondent for approval', () => {
  it.each(['approval-requested', 'approval-reminder'] as const)(
    'EXC-6 LED-1 that is not delivered (%s) marks the round, notifies the team and the requester, and is recorded',
    (notificationKind) => {
      const { request, event } = record(awaiting, { notificationKind });
      expect(approvalRoundOf(request)?.undeliverableAt).toBe(tuesdayTen);
      expect(listNotifications(request)).toEqual(['undeliverable to team', 'undeliverable to requester']);
      expect(event).toEqual({
        actor: 'volume-activation',
        action: 'mail-not-delivered',
        detail: `This email could not be delivered: “${notificationKind}” to the correspondent (Permanent/NoEmail).`,
        reference: 'X-1',
      });
    },
  );

  it('EXC-6 that is not delivered changes neither the round nor the clock, and does not resume the workflow', () => {
    const waiting = withWaitingExecution(awaiting);
    const { request } = record(waiting);
    expect(request.execution).toEqual(waiting.execution);
    expect(request.clock).toEqual(waiting.clock);
    expect(approvalRoundOf(request)).toMatchObject({ number: 1, decision: null, remindersSent: 0 });
  });

  it('EXC-6 that is not delivered is notified once a round, however many of its emails are lost', () => {
    const { request: first } = record(awaiting);
    const { request: second, event } = record(first, { notificationKind: 'approval-reminder' }, true);
    expect(second).toEqual(first);
    expect(event.action).toBe('mail-not-delivered');
  });

  it('AGR-5 that is not delivered goes to the deputy on duty, who alone can decide now', () => {
    expect(listNotifications(record(awaiting, {}, true).request)).toEqual([
      'undeliverable to team',
      'undeliverable to requester',
      'approval-requested to deputy',
    ]);
  });

  it('AGR-4 EXC-7 of a previous round does not mark the open round', () => {
    const second = expectAccepted(restartApproval(awaiting, context({ now: tuesdayTen }))).request;
    expect(approvalRoundOf(record(second).request)?.undeliverableAt).toBeNull();
    expect(approvalRoundOf(record(second, { round: 2 }).request)?.undeliverableAt).toBe(tuesdayTen);
    expect(listNotifications(record(withEmptyOutbox(requestInSecondRound())).request)).toEqual([]);
  });

  it('AGR-4 EXC-7 that is not delivered does not mark the next round', () => {
    const { request } = record(awaiting);
    expect(
      approvalRoundOf(expectAccepted(restartApproval(request, context({ now: wednesdayNoon }))).request)
        ?.undeliverableAt,
    ).toBeNull();
    expect(
      approvalRoundOf(
        expectAccepted(forwardRequest(request, 9, context({ actor: reviewer, now: wednesdayNoon }))).request,
      )?.undeliverableAt,
    ).toBeNull();
  });
});

describe('a delivery failure that is only recorded', () => {
  const { pendingNotifications: _, ...requestMembers } = awaiting;

  it.each<[label: string, failure: Partial<DeliveryFailure>, action: string]>([
    ['a temporary failure', { kind: 'deferred', because: 'Transient/MailboxFull' }, 'mail-put-off'],
    ['a complaint', { kind: 'complaint', because: 'abuse' }, 'mail-complained-of'],
    ['an email to the deputy', { to: 'deputy' }, 'mail-not-delivered'],
    ['an email that asks for no approval', { notificationKind: 'decided' }, 'mail-not-delivered'],
    ['an email to the requester', { notificationKind: 'forwarded', to: 'requester' }, 'mail-not-delivered'],
    ['an email about no round', { round: null }, 'mail-not-delivered'],
  ])('LED-1 is %s', (__, failure, action) => {
    const { request, event } = record(awaiting, failure, true);
    expect(request).toEqual({ ...requestMembers, pendingNotifications: [] });
    expect(event.action).toBe(action);
  });

  it('LED-1 is any failure of a request that waits for no approval', () => {
    const others = [
      ...requestInEachState.filter(({ state }) => state.status !== 'awaiting-approval'),
      requestApproved(),
    ];
    for (const request of others) expect(record(request, {}, true).request).toEqual(request);
    expect(record(requestAwaitingRequester()).event.action).toBe('mail-not-delivered');
    expect(record(requestWithdrawn()).request).toEqual(requestWithdrawn());
  });

  it('LED-1 changes the request object, so that the ledger entry is written', () => {
    expect(record(awaiting, { kind: 'complaint' }).request).not.toBe(awaiting);
  });
});
