import { describe, expect, it } from 'vitest';
import type { MailTrouble } from '../../../domain/exceptions/delivery-failure.ts';
import { hearOfMail } from '../../../domain/exceptions/delivery-failure.ts';
import type { ExceptionRequest } from '../../../domain/exceptions/request.ts';
import { askAnew, askOf, forward } from '../../../domain/exceptions/request.ts';
import {
  accepted,
  context,
  parked,
  requestApproved,
  requestAskedAnew,
  requestAwaitingApproval,
  requestAwaitingRequester,
  requestInEachState,
  requestWithdrawn,
  reviewer,
} from '../../builders.ts';
import { tuesdayTen, wednesdayNoon } from '../../instants.ts';

const lost: MailTrouble = {
  letter: 'approval-wanted',
  to: 'correspondent',
  askNumber: 1,
  is: 'not-delivered',
  because: 'Permanent/NoEmail',
};
const awaiting = { ...requestAwaitingApproval(), letters: [] };

function hear(request: ExceptionRequest, trouble: Partial<MailTrouble> = {}, hasDeputy = false) {
  return hearOfMail(request, { ...lost, ...trouble }, hasDeputy, tuesdayTen);
}

const owed = ({ letters }: ExceptionRequest) => letters.map(({ kind, to }) => `${kind} to ${to}`);

describe('the mail that asks the Correspondent', () => {
  it.each(['approval-wanted', 'approval-reminder'] as const)(
    'EXC-6 LED-1 that is lost for good (%s) is shown, told to the team and the requester, and written down',
    (letter) => {
      const { request, deed } = hear(awaiting, { letter });
      expect(askOf(request)?.undeliverableAt).toBe(tuesdayTen);
      expect(owed(request)).toEqual(['undeliverable to team', 'undeliverable to requester']);
      expect(deed).toEqual({
        actor: 'volume-activation',
        action: 'mail-not-delivered',
        detail: `Could not be delivered: the mail “${letter}” to the correspondent (Permanent/NoEmail).`,
        reference: 'X-1',
      });
    },
  );

  it('EXC-6 changes neither the question nor its clock, and wakes nobody: there is nothing to drive', () => {
    const waiting = parked(awaiting);
    const { request } = hear(waiting);
    expect(request.drive).toEqual(waiting.drive);
    expect(request.clock).toEqual(waiting.clock);
    expect(askOf(request)).toMatchObject({ askNumber: 1, decision: null, remindersSent: 0 });
  });

  it('EXC-6 is told of once for each question, however many of its mails are lost', () => {
    const { request: once } = hear(awaiting);
    const { request: twice, deed } = hear(once, { letter: 'approval-reminder' }, true);
    expect(twice).toEqual(once);
    expect(deed.action).toBe('mail-not-delivered');
  });

  it('AGR-5 is sent to the deputy who stands in on that day, who alone can answer now', () => {
    expect(owed(hear(awaiting, {}, true).request)).toEqual([
      'undeliverable to team',
      'undeliverable to requester',
      'approval-wanted to deputy',
    ]);
  });

  it('AGR-4 EXC-7 of an earlier question says nothing about the one that is out', () => {
    const second = accepted(askAnew(awaiting, context({ now: tuesdayTen }))).request;
    expect(askOf(hear(second).request)?.undeliverableAt).toBeNull();
    expect(askOf(hear(second, { askNumber: 2 }).request)?.undeliverableAt).toBe(tuesdayTen);
    expect(owed(hear({ ...requestAskedAnew(), letters: [] }).request)).toEqual([]);
  });

  it('AGR-4 EXC-7 is not held against the next question', () => {
    const { request } = hear(awaiting);
    expect(askOf(accepted(askAnew(request, context({ now: wednesdayNoon }))).request)?.undeliverableAt).toBeNull();
    expect(
      askOf(accepted(forward(request, 9, context({ actor: reviewer, now: wednesdayNoon }))).request)?.undeliverableAt,
    ).toBeNull();
  });
});

describe('what is only written down', () => {
  const { letters: _, ...asItWas } = awaiting;

  it.each<[what: string, trouble: Partial<MailTrouble>, action: string]>([
    ['a mailbox that took nothing for now', { is: 'put-off', because: 'Transient/MailboxFull' }, 'mail-put-off'],
    ['a complaint', { is: 'complained', because: 'abuse' }, 'mail-complained-of'],
    ['a mail to the deputy', { to: 'deputy' }, 'mail-not-delivered'],
    ['a mail that asks for nothing', { letter: 'decided' }, 'mail-not-delivered'],
    ['a mail to the requester', { letter: 'forwarded', to: 'requester' }, 'mail-not-delivered'],
    ['a mail about no question', { askNumber: null }, 'mail-not-delivered'],
  ])('LED-1 is %s', (__, trouble, action) => {
    const { request, deed } = hear(awaiting, trouble, true);
    expect(request).toEqual({ ...asItWas, letters: [] });
    expect(deed.action).toBe(action);
  });

  it('LED-1 is whatever is heard of a request that asks nobody any more', () => {
    const others = [...requestInEachState.filter(({ stage }) => stage.is !== 'awaiting-approval'), requestApproved()];
    for (const request of others) expect(hear(request, {}, true).request).toEqual(request);
    expect(hear(requestAwaitingRequester()).deed.action).toBe('mail-not-delivered');
    expect(hear(requestWithdrawn()).request).toEqual(requestWithdrawn());
  });

  it('LED-1 is a change all the same, so that it gets into the history', () => {
    expect(hear(awaiting, { is: 'complained' }).request).not.toBe(awaiting);
  });
});
