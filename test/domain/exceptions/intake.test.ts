import { describe, expect, it } from 'vitest';
import type { Instant } from '../../../domain/calendar/instant.ts';
import { civilDate } from '../../../domain/calendar/instant.ts';
import type { IntakeContext } from '../../../domain/exceptions/intake.ts';
import { receiveRequest, refuseSecondRequest } from '../../../domain/exceptions/intake.ts';
import type { RequestForm } from '../../../domain/exceptions/request.ts';
import { flags } from '../../../domain/exceptions/request.ts';
import {
  aGrant,
  aKmsKey,
  aKmsRequestForm,
  aMak,
  anAgreement,
  anOverride,
  aRequestForm,
  blockedState,
  blockingState,
  context,
  expectAccepted,
  expectRefusal,
  ines,
  intakeContext,
  jorge,
  mallory,
  noor,
} from '../../builders.ts';
import * as on from '../../instants.ts';

const receiveOn = (form: RequestForm, intake: Partial<IntakeContext> = {}, at: Instant = on.mondayTen) =>
  receiveRequest(form, intakeContext(intake), 'X-1', context({ actor: ines.email, now: at }));

describe('a new request', () => {
  it('EXC-1 SLA-1 is received with a running clock, a pending start, and a notification to the requester', () => {
    const form = aRequestForm();
    expect(receiveOn(form)).toEqual({
      ok: true,
      request: {
        exceptionId: 'X-1',
        agreementId: 'E-1001',
        keyId: 'mak-1',
        form,
        flags: [],
        activations: 150,
        receivedAt: on.mondayTen,
        state: { status: 'received' },
        clock: {
          status: 'running',
          dueAt: on.nextMondayFive,
          assignee: 'team',
          since: on.mondayTen,
          elapsed: { team: 0, requester: 0, correspondent: 0 },
        },
        rounds: 0,
        reminded: { team: 0, supervisors: 0 },
        pendingNotifications: [
          { notificationId: '1-received-requester', kind: 'received', to: 'requester', claimedUntil: null },
        ],
        notificationCount: 1,
        execution: { status: 'start-pending', executionNumber: 1, since: on.mondayTen },
      },
      event: {
        actor: ines.email,
        action: 'received',
        detail: 'MAKADD for 150 on the key ending in BCDFG: Two new schools open in autumn.',
        reference: 'X-1',
      },
    });
  });

  it('EXC-2 is refused the same current for an unknown agreement and for an unlisted requester', () => {
    const refusal = {
      code: 'requester-not-authorized',
      detail:
        'The requester’s name and email are not on the Authorized Contact List of this agreement. Check the agreement number and the requester’s details, or ask a listed contact to submit the request.',
    };
    expect(expectRefusal(receiveOn(aRequestForm(), { agreement: undefined }))).toEqual(refusal);
    expect(expectRefusal(receiveOn(aRequestForm({ requester: mallory })))).toEqual(refusal);
    expect(expectRefusal(receiveOn(aRequestForm({ requester: { ...jorge, email: ines.email } })))).toEqual(refusal);
  });

  it('EXC-2 is received from a requester who writes the listed name in capitals and without accents', () => {
    const requester = { ...ines, name: 'INES  OLIVEIRA', email: 'Ines@Alder.example' };
    expect(expectAccepted(receiveOn(aRequestForm({ requester }))).request.form.requester).toEqual(requester);
  });

  it('EXC-3 is refused for last five characters that no key of the agreement has', () => {
    expect(expectRefusal(receiveOn(aRequestForm({ keyLastFive: 'YYYYY' }), { keys: [] }))).toEqual({
      code: 'key-not-found',
      detail:
        'This agreement has no key that ends in YYYYY. Check the last five characters in the list of the agreement’s keys.',
    });
  });

  it('EXC-3 is refused for a key of the other type, with the kind of request to submit', () => {
    expect(expectRefusal(receiveOn(aRequestForm(), { keys: [aKmsKey()] }))).toEqual({
      code: 'wrong-key-type',
      detail: 'The key ending in HJKMP is a KMS key. Submit a KMSADD request instead.',
    });
    expect(expectRefusal(receiveOn(aKmsRequestForm(), { keys: [aMak()] }))).toEqual({
      code: 'wrong-key-type',
      detail: 'The key ending in BCDFG is a MAK key. Submit a MAKADD request instead.',
    });
  });

  it('EXC-3 finds the key of its kind when two keys end alike, and the live key of two of one kind', () => {
    const keys = [aKmsKey({ lastFive: 'BCDFG' }), aMak(), aMak({ keyId: 'mak-0', state: blockingState })];
    expect(expectAccepted(receiveOn(aRequestForm(), { keys })).request.keyId).toBe('mak-1');
  });

  it('EXC-3 is refused for a blocked key, with the last five characters of its replacement', () => {
    expect(expectRefusal(receiveOn(aRequestForm(), { keys: [aMak({ state: blockedState() })] }))).toMatchObject({
      code: 'key-blocked',
      replacedBy: 'QRTVW',
    });
  });

  it('EXC-3 is refused for a product that the key does not cover', () => {
    expect(expectRefusal(receiveOn(aRequestForm({ product: 'windows-web-server-2008' })))).toMatchObject({
      code: 'product-not-covered',
      covers: ['windows-vista-business', 'windows-vista-enterprise'],
    });
  });

  it('EXC-5 is refused while another request is open for the same key, with the id of that request', () => {
    const openExceptionId = (keyId: string) => (keyId === 'mak-1' ? 'X-0' : undefined);
    const refusal = {
      code: 'exception-already-open',
      detail:
        'Request X-0 is already open for the key ending in BCDFG. Follow that request, or withdraw it before you submit another.',
      exceptionId: 'X-0',
    };
    expect(expectRefusal(receiveOn(aRequestForm(), { openExceptionId }))).toEqual(refusal);
    expect(refuseSecondRequest('X-0', 'BCDFG')).toEqual({ ok: false, refusal });
  });

  it('EXC-5 is received while a request is open for another key', () => {
    const openExceptionId = (keyId: string) => (keyId === 'kms-1' ? 'X-0' : undefined);
    expect(expectAccepted(receiveOn(aRequestForm(), { openExceptionId })).request.keyId).toBe('mak-1');
  });
});

describe('a number that the call center can still grant', () => {
  const raised = (byPhone: number) =>
    aMak({ grants: [aGrant({ amount: 100 }), aGrant({ kind: 'call-center', amount: byPhone })] });
  const overridden = (count: number) =>
    aKmsKey({ overrides: Array.from({ length: count }, () => anOverride({ at: on.sundayNoon })) });

  it('EXC-4 is refused for a MAK, with the new limit and the number to ask for', () => {
    expect(expectRefusal(receiveOn(aRequestForm({ activationsRequested: 100 })))).toEqual({
      code: 'not-an-exception',
      detail:
        'The call center can raise the limit of this key to 200, which is 100 more. Call the call center and ask for 100 more.',
      remedies: [{ kind: 'call-center-increase', available: true, maximum: 100 }],
    });
  });

  it.each([
    [0, 100, false],
    [0, 101, true],
    [60, 40, false],
    [60, 41, true],
    [100, 1, true],
  ])(
    'EXC-4 after %i more by phone on a limit of 100: a request for %i more is received: %s',
    (byPhone, activationsRequested, isReceived) => {
      expect(receiveOn(aRequestForm({ activationsRequested }), { keys: [raised(byPhone)] }).ok).toBe(isReceived);
    },
  );

  it('EXC-4 is refused for a KMS key, with the number of overrides left', () => {
    const form = aKmsRequestForm({ activationsRequested: 5 });
    expect(expectRefusal(receiveOn(form, { keys: [aKmsKey()] }))).toEqual({
      code: 'not-an-exception',
      detail:
        'The call center can still grant 5 overrides for this key, one a day. Call the call center while you are at the host.',
      remedies: [{ kind: 'override', available: true, maximum: 5 }],
    });
  });

  it('EXC-4 is refused with the time of the next override after one today', () => {
    const keys = [aKmsKey({ overrides: [anOverride({ at: on.mondayNine })] })];
    expect(expectRefusal(receiveOn(aKmsRequestForm({ activationsRequested: 1 }), { keys }))).toMatchObject({
      remedies: [{ kind: 'override', available: false, availableAt: on.tuesdayMidnight, maximum: 4 }],
    });
  });

  it.each([
    [0, 5, false],
    [0, 6, true],
    [4, 1, false],
    [4, 2, true],
    [5, 1, true],
  ])(
    'EXC-4 after %i overrides: a request for %i more is received: %s',
    (overrideCount, activationsRequested, isReceived) => {
      expect(receiveOn(aKmsRequestForm({ activationsRequested }), { keys: [overridden(overrideCount)] }).ok).toBe(
        isReceived,
      );
    },
  );
});

describe('the flags of a new request', () => {
  const flagsFor = (form: Partial<RequestForm>, intake: Partial<IntakeContext> = {}) =>
    expectAccepted(receiveOn(aRequestForm(form), intake)).request.flags;
  const kmsFlagsFor = (activationsRequested: number) =>
    expectAccepted(receiveOn(aKmsRequestForm({ activationsRequested }), { keys: [aKmsKey()] })).request.flags;

  it('EXC-8 SLA-3 include a language other than English, which adds time', () => {
    const { request } = expectAccepted(receiveOn(aRequestForm({ language: 'pt-BR' })));
    expect(request.flags).toEqual(['not-english']);
    expect(request.clock).toMatchObject({ dueAt: on.mondayAfterNextFridayFive });
  });

  it.each(['en', 'en-US', 'EN-gb'])('EXC-8 SLA-3 do not include the language %s', (language) => {
    const { request } = expectAccepted(receiveOn(aRequestForm({ language })));
    expect(request.flags).toEqual([]);
    expect(request.clock).toMatchObject({ dueAt: on.nextMondayFive });
  });

  it.each(['enm', 'de-en', 'x-en', ''])('EXC-8 SLA-3 include the language “%s”', (language) => {
    expect(flagsFor({ language })).toEqual(['not-english']);
  });

  it('EXC-8 include more than 1,000 activations for MAKADD', () => {
    expect(flagsFor({ activationsRequested: 1000 })).toEqual([]);
    expect(flagsFor({ activationsRequested: 1001 })).toEqual(['above-review-threshold']);
  });

  it('EXC-8 include more than 20 hosts for KMSADD', () => {
    expect(kmsFlagsFor(20)).toEqual([]);
    expect(kmsFlagsFor(21)).toEqual(['above-review-threshold']);
  });

  it('EXC-6 include another Notices Correspondent than that of the agreement', () => {
    expect(flagsFor({ noticesCorrespondent: { ...noor, email: 'NOOR@alder.example ' } })).toEqual([]);
    expect(flagsFor({ noticesCorrespondent: { ...noor, email: mallory.email } })).toEqual(['correspondent-differs']);
  });

  it('EXC-6 AGR-4 compare with the Correspondent at that time', () => {
    const pendingNoticesCorrespondent = { person: jorge, effectiveAt: on.mondayTen };
    const intake = { agreement: anAgreement({ pendingNoticesCorrespondent }) };
    expect(flagsFor({ noticesCorrespondent: jorge }, intake)).toEqual([]);
    expect(flagsFor({ noticesCorrespondent: noor }, intake)).toEqual(['correspondent-differs']);
    expect(flagsFor({ requester: jorge }, intake)).toEqual(['requester-is-correspondent']);
  });

  it('SLA-7 include a required date before the due date', () => {
    expect(flagsFor({ requiredDate: civilDate('2026-06-08') })).toEqual([]);
    expect(flagsFor({ requiredDate: civilDate('2026-06-07') })).toEqual(['required-before-due']);
  });

  it('EXC-8 include a requester who is the Notices Correspondent', () => {
    const agreement = anAgreement({ contacts: [ines, noor] });
    expect(flagsFor({ requester: noor }, { agreement })).toEqual(['requester-is-correspondent']);
    expect(flagsFor({ requester: ines }, { agreement })).toEqual([]);
  });

  it('EXC-8 include all that apply, in a fixed order', () => {
    const everything = {
      requester: noor,
      language: 'fr',
      activationsRequested: 5000,
      noticesCorrespondent: mallory,
      requiredDate: civilDate('2026-06-02'),
    };
    expect(flagsFor(everything, { agreement: anAgreement({ contacts: [noor] }) })).toEqual(
      flags.filter((flag) => flag !== 'approval-disputed'),
    );
  });
});
