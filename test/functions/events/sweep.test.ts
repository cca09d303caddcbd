import { SendEmailCommand } from '@aws-sdk/client-sesv2';
import { beforeEach, describe, expect, it } from 'vitest';
import { later } from '../../../domain/calendar/instant.ts';
import { contextOf } from '../../../local/emulators/api-gateway.ts';
import { nameNewCorrespondent } from '../../../store/agreements.ts';
import { nextDueAt } from '../../../store/dynamodb/due-items.ts';
import { holdForReplacement } from '../../../store/key-replacement.ts';
import { readKey, recordClients } from '../../../store/keys.ts';
import { carla, context, ines, installationId, mallory, productKey, tom } from '../../builders.ts';
import { mondayTen, tuesdayTen } from '../../instants.ts';
import { startEngine } from '../../store/dynamodb.ts';
import { surround } from '../handler-invocation.ts';
import { activateHostOn, aWatchable, noticesKept } from '../key-change-fixture.ts';

const { store, ses, setClock, mailsTo } = await surround(await startEngine(), mondayTen);
const { handler } = await import('../../../functions/events/sweep.ts');

const sweep = () => handler({}, contextOf('sweep'));
beforeEach(() => {
  ses.reset();
  ses.on(SendEmailCommand).resolves({ MessageId: 'message-1' });
});

describe('a sweep', () => {
  it('AGR-4 mails the notices that are owed, once, and then there is nothing to do until the change takes effect', async () => {
    const { agreement } = await aWatchable(store);
    await nameNewCorrespondent(
      store,
      agreement.agreementId,
      mallory,
      context({ actor: 'admin', operationId: 'name', now: mondayTen }),
    );
    setClock(mondayTen);
    expect(await sweep()).toEqual({ seen: 4, nextActionAt: tuesdayTen });
    for (const { email } of [ines, tom, carla, mallory]) expect(mailsTo(email)).toHaveLength(1);
    expect(await sweep()).toEqual({ seen: 0, nextActionAt: tuesdayTen });
    setClock(tuesdayTen);
    expect(await sweep()).toEqual({ seen: 1, nextActionAt: null });
    expect(ses.commandCalls(SendEmailCommand)).toHaveLength(4);
  });

  it('BLK-2 completes a replacement that was begun and left, whatever was done to the key meanwhile, and tells of it', async () => {
    const { kms } = await aWatchable(store);
    await activateHostOn(store, kms, 1, tuesdayTen);
    const ask = { reason: 'It leaked.', reference: 'CALL-1' };
    await holdForReplacement(
      store,
      kms.keyId,
      { ...ask, drawKey: () => productKey(99_991) },
      context({ actor: ines.email, operationId: 'replace', now: tuesdayTen }),
    );
    // A host goes on telling how many it serves: that the key is held must not be forgotten over it.
    const report = { installationId: installationId(1), clients: 30 };
    await recordClients(store, kms.keyId, report, context({ operationId: 'report', now: tuesdayTen }));
    expect(await nextDueAt(store)).toBe(later(tuesdayTen, { seconds: 60 }));
    setClock(later(tuesdayTen, { seconds: 59 }));
    expect((await sweep()).seen).toBe(0);
    setClock(later(tuesdayTen, { seconds: 60 }));
    expect(await sweep()).toEqual({ seen: 3, nextActionAt: null });
    const blocked = await readKey(store, kms.keyId);
    expect(blocked?.state.status).toMatchObject({
      is: 'blocked',
      replacedBy: { lastFive: productKey(99_991).lastFive },
    });
    expect(mailsTo(ines.email)).toEqual([expect.stringContaining(`ending in ${kms.lastFive} was replaced`)]);
    expect(mailsTo(tom.email)).toHaveLength(1);
  });

  it('fails as a whole, after it has seen to the rest, when a notice cannot be sent', async () => {
    const { agreement } = await aWatchable(store);
    const now = later(tuesdayTen, { hours: 1 });
    await nameNewCorrespondent(
      store,
      agreement.agreementId,
      mallory,
      context({ actor: 'admin', operationId: 'name', now }),
    );
    setClock(now);
    ses.on(SendEmailCommand).callsFake(({ Destination }) => {
      if (Destination.ToAddresses.includes(carla.email)) throw new Error('broken');
      return { MessageId: 'm' };
    });
    await expect(sweep()).rejects.toThrow(/could not see to 1 of 4: NOTIFICATION /);
    expect(mailsTo(mallory.email)).toHaveLength(1);
    expect(await noticesKept(store)).toHaveLength(1);
    ses.on(SendEmailCommand).resolves({ MessageId: 'm' });
    setClock(later(now, { minutes: 2 }));
    expect((await sweep()).seen).toBe(1);
    expect(await noticesKept(store)).toEqual([]);
  });
});
