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
  requestApproved,
  requestAwaitingApproval,
  requestAwaitingRequester,
  requestInEachState,
  requestInSecondRound,
  requestWithdrawn,
  reviewer,
  withWaitingExecution,
} from '../../builders.ts';
import { tuesdayTen, wednesdayNoon } from '../../instants.ts';

const lost: DeliveryFailure = {
  notificationKind: 'approval-requested',
  to: 'correspondent',
  round: 1,
  kind: 'not-delivered',
  because: 'Permanent/NoEmail',
};
const awaiting = { ...requestAwaitingApproval(), pendingNotifications: [] };

function hear(request: ExceptionRequest, trouble: Partial<DeliveryFailure> = {}, hasDeputy = false) {
  return recordDeliveryEvent(request, { ...lost, ...trouble }, hasDeputy, tuesdayTen);
}

const owed = ({ pendingNotifications: letters }: ExceptionRequest) => letters.map(({ kind, to }) => `${kind} to ${to}`);

describe('an email that asks the Correspondent for approval', () => {
  it.each(['approval-requested', 'approval-reminder'] as const)(
    'EXC-6 LED-1 that is not delivered (%s) marks the round, notifies the team and the requester, and is recorded',
    (letter) => {
      const { request, event: deed } = hear(awaiting, { notificationKind: letter });
      expect(approvalRoundOf(request)?.undeliverableAt).toBe(tuesdayTen);
      expect(owed(request)).toEqual(['undeliverable to team', 'undeliverable to requester']);
      expect(deed).toEqual({
        actor: 'volume-activation',
        action: 'mail-not-delivered',
        detail: `This email could not be delivered: “${letter}” to the correspondent (Permanent/NoEmail).`,
        reference: 'X-1',
      });
    },
  );

  it('EXC-6 that is not delivered changes neither the round nor the clock, and does not resume the workflow', () => {
    const waiting = withWaitingExecution(awaiting);
    const { request } = hear(waiting);
    expect(request.execution).toEqual(waiting.execution);
    expect(request.clock).toEqual(waiting.clock);
    expect(approvalRoundOf(request)).toMatchObject({ number: 1, decision: null, remindersSent: 0 });
  });

  it('EXC-6 that is not delivered is notified once a round, however many of its emails are lost', () => {
    const { request: once } = hear(awaiting);
    const { request: twice, event: deed } = hear(once, { notificationKind: 'approval-reminder' }, true);
    expect(twice).toEqual(once);
    expect(deed.action).toBe('mail-not-delivered');
  });

  it('AGR-5 that is not delivered goes to the deputy on duty, who alone can decide now', () => {
    expect(owed(hear(awaiting, {}, true).request)).toEqual([
      'undeliverable to team',
      'undeliverable to requester',
      'approval-requested to deputy',
    ]);
  });

  it('AGR-4 EXC-7 of a previous round does not mark the open round', () => {
    const second = expectAccepted(restartApproval(awaiting, context({ now: tuesdayTen }))).request;
    expect(approvalRoundOf(hear(second).request)?.undeliverableAt).toBeNull();
    expect(approvalRoundOf(hear(second, { round: 2 }).request)?.undeliverableAt).toBe(tuesdayTen);
    expect(owed(hear({ ...requestInSecondRound(), pendingNotifications: [] }).request)).toEqual([]);
  });

  it('AGR-4 EXC-7 that is not delivered does not mark the next round', () => {
    const { request } = hear(awaiting);
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
  const { pendingNotifications: _, ...asItWas } = awaiting;

  it.each<[what: string, trouble: Partial<DeliveryFailure>, action: string]>([
    ['a mailbox that took nothing for now', { kind: 'deferred', because: 'Transient/MailboxFull' }, 'mail-put-off'],
    ['a complaint', { kind: 'complaint', because: 'abuse' }, 'mail-complained-of'],
    ['a mail to the deputy', { to: 'deputy' }, 'mail-not-delivered'],
    ['a mail that asks for nothing', { notificationKind: 'decided' }, 'mail-not-delivered'],
    ['a mail to the requester', { notificationKind: 'forwarded', to: 'requester' }, 'mail-not-delivered'],
    ['a mail about no question', { round: null }, 'mail-not-delivered'],
  ])('LED-1 is %s', (__, trouble, action) => {
    const { request, event: deed } = hear(awaiting, trouble, true);
    expect(request).toEqual({ ...asItWas, pendingNotifications: [] });
    expect(deed.action).toBe(action);
  });

  it('LED-1 is any failure of a request that waits for no approval', () => {
    const others = [
      ...requestInEachState.filter(({ state: stage }) => stage.status !== 'awaiting-approval'),
      requestApproved(),
    ];
    for (const request of others) expect(hear(request, {}, true).request).toEqual(request);
    expect(hear(requestAwaitingRequester()).event.action).toBe('mail-not-delivered');
    expect(hear(requestWithdrawn()).request).toEqual(requestWithdrawn());
  });

  it('LED-1 changes the request object, so that the ledger entry is written', () => {
    expect(hear(awaiting, { kind: 'complaint' }).request).not.toBe(awaiting);
  });
});
