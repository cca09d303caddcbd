import { SendEmailCommand } from '@aws-sdk/client-sesv2';
import { beforeEach, describe, expect, it } from 'vitest';
import { addDuration } from '../../../domain/calendar/instant.ts';
import { lambdaContext } from '../../../local/emulators/api-gateway.ts';
import { nameNewCorrespondent } from '../../../store/agreements.ts';
import { nextDueAt } from '../../../store/dynamodb/due-items.ts';
import { holdForReplacement } from '../../../store/key-replacement.ts';
import { readKey, recordClients } from '../../../store/keys.ts';
import { context, ines, installationId, jorge, mallory, noor, productKey } from '../../builders.ts';
import { mondayTen, tuesdayTen } from '../../instants.ts';
import { startTestDynamoDb } from '../../store/dynamodb.ts';
import { setUpHandlerEnvironment } from '../handler-invocation.ts';
import { activateHostOn, createKeyChangeFixture, pendingNotifications } from '../key-change-fixture.ts';

const { store, ses, setClock, mailsTo } = await setUpHandlerEnvironment(await startTestDynamoDb(), mondayTen);
const { handler } = await import('../../../functions/events/sweep.ts');

const sweep = () => handler({}, lambdaContext('sweep'));
beforeEach(() => {
  ses.reset();
  ses.on(SendEmailCommand).resolves({ MessageId: 'message-1' });
});

describe('a sweep', () => {
  it('AGR-4 sends the pending notifications once, and is next due when the change takes effect', async () => {
    const { agreement } = await createKeyChangeFixture(store);
    await nameNewCorrespondent(
      store,
      agreement.agreementId,
      mallory,
      context({ actor: 'admin', operationId: 'name', now: mondayTen }),
    );
    setClock(mondayTen);
    expect(await sweep()).toEqual({ processed: 4, nextActionAt: tuesdayTen });
    for (const { email } of [ines, jorge, noor, mallory]) expect(mailsTo(email)).toHaveLength(1);
    expect(await sweep()).toEqual({ processed: 0, nextActionAt: tuesdayTen });
    setClock(tuesdayTen);
    expect(await sweep()).toEqual({ processed: 1, nextActionAt: null });
    expect(ses.commandCalls(SendEmailCommand)).toHaveLength(4);
  });

  it('BLK-2 completes an unfinished replacement, whatever else changed the key, and notifies the contacts', async () => {
    const { kms } = await createKeyChangeFixture(store);
    await activateHostOn(store, kms, 1, tuesdayTen);
    const replacement = { reason: 'It leaked.', reference: 'CALL-1', drawKey: () => productKey(99_991) };
    const replaceContext = context({ actor: ines.email, operationId: 'replace', now: tuesdayTen });
    await holdForReplacement(store, kms.keyId, replacement, replaceContext);
    // A host keeps reporting its clients. The report must not undo the hold on the key.
    const report = { installationId: installationId(1), clients: 30 };
    await recordClients(store, kms.keyId, report, context({ operationId: 'report', now: tuesdayTen }));
    expect(await nextDueAt(store)).toBe(addDuration(tuesdayTen, { seconds: 60 }));
    setClock(addDuration(tuesdayTen, { seconds: 59 }));
    expect((await sweep()).processed).toBe(0);
    setClock(addDuration(tuesdayTen, { seconds: 60 }));
    expect(await sweep()).toEqual({ processed: 3, nextActionAt: null });
    const blockedKey = await readKey(store, kms.keyId);
    expect(blockedKey?.value.state).toMatchObject({
      status: 'blocked',
      replacedBy: { lastFive: productKey(99_991).lastFive },
    });
    expect(mailsTo(ines.email)).toEqual([expect.stringContaining(`ending in ${kms.lastFive} was replaced`)]);
    expect(mailsTo(jorge.email)).toHaveLength(1);
  });

  it('processes all other items and then throws, when a notification cannot be sent', async () => {
    const { agreement } = await createKeyChangeFixture(store);
    const now = addDuration(tuesdayTen, { hours: 1 });
    await nameNewCorrespondent(
      store,
      agreement.agreementId,
      mallory,
      context({ actor: 'admin', operationId: 'name', now }),
    );
    setClock(now);
    ses.on(SendEmailCommand).callsFake(({ Destination }) => {
      if (Destination.ToAddresses.includes(noor.email)) throw new Error('broken');
      return { MessageId: 'm' };
    });
    await expect(sweep()).rejects.toThrow(/failed for 1 of 4 items: NOTIFICATION /);
    expect(mailsTo(mallory.email)).toHaveLength(1);
    expect(await pendingNotifications(store)).toHaveLength(1);
    ses.on(SendEmailCommand).resolves({ MessageId: 'm' });
    setClock(addDuration(now, { minutes: 2 }));
    expect((await sweep()).processed).toBe(1);
    expect(await pendingNotifications(store)).toEqual([]);
  });
});
