import { randomUUID } from 'node:crypto';
import type { Agreement } from '../../domain/agreement.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { ExceptionRequest, Intake } from '../../domain/exceptions/request.ts';
import type { Mak } from '../../domain/keys/key.ts';
import { registerAgreement } from '../../store/agreements.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { findException, receiveException } from '../../store/exceptions.ts';
import { issueMak } from '../../store/keys.ts';
import { accepted, anAgreement, anIntake, context, ines, productKey } from '../builders.ts';
import { mondayNine, mondayTen } from '../instants.ts';

/** A request that was just taken in, with the agreement and the key that it is about. */
export type Asked = { readonly exceptionId: string; readonly agreement: Agreement; readonly mak: Mak };

// A number that shares no factor with the symbols' count, so that no two keys end alike.
let drawn = 0;
const draw = () => productKey(7_919 * ++drawn);

/** Registers an agreement of its own and takes a request for its MAK in; nothing of it is sent or signalled. */
export async function aRequestTaken(
  store: Store,
  {
    agreement: facts = {},
    intake = {},
    at = mondayTen,
  }: { agreement?: Partial<Agreement>; intake?: Partial<Intake>; at?: Instant } = {},
): Promise<Asked> {
  const agreementNumber = `E-${randomUUID()}`;
  const agreement = anAgreement({ agreementId: agreementNumber, numbers: { agreementNumber }, ...facts });
  accepted(
    await registerAgreement(
      store,
      agreement,
      draw,
      context({ actor: 'admin', operationId: 'register', now: mondayNine }),
    ),
  );
  const mak = accepted(
    await issueMak(
      store,
      agreement,
      { productGroup: 'client', drawKey: draw },
      context({ actor: ines.email, operationId: 'issue', now: mondayNine }),
    ),
  ).answer;
  const exceptionId = `EX-${randomUUID().slice(0, 8)}`;
  const asked = anIntake({ ...agreement.numbers, keyLastFive: mak.lastFive, ...intake } as Partial<Intake>);
  const sender = { maySpeakFor: () => true };
  accepted(
    await receiveException(store, { exceptionId, intake: asked }, sender, context({ operationId: 'receive', now: at })),
  );
  return { exceptionId, agreement, mak };
}

/** The request as it is kept now. */
export async function kept(store: Store, { exceptionId }: Pick<Asked, 'exceptionId'>): Promise<ExceptionRequest> {
  const request = await findException(store, exceptionId);
  if (request === undefined) throw new Error(`There is no request ${exceptionId}.`);
  return request;
}
