import { randomUUID } from 'node:crypto';
import type { Agreement } from '../../domain/agreement.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { ExceptionRequest, RequestForm } from '../../domain/exceptions/request.ts';
import type { Mak } from '../../domain/keys/key.ts';
import { registerAgreement } from '../../store/agreements.ts';
import { createException, findException } from '../../store/exceptions.ts';
import { issueMak } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import { anAgreement, aRequestForm, context, expectAccepted, ines, productKey } from '../builders.ts';
import { mondayNine, mondayTen } from '../instants.ts';

/** A newly received request, with its agreement and key. */
export type RequestFixture = { readonly exceptionId: string; readonly agreement: Agreement; readonly mak: Mak };

// The factor is coprime to the number of key characters, so that no two keys have the same last five.
let drawCount = 0;
const draw = () => productKey(7_919 * ++drawCount);

/** Registers a new agreement and creates a request for its MAK. Sends nothing and delivers no signal. */
export async function createRequestFixture(
  store: Store,
  {
    agreement: agreementOverrides = {},
    form = {},
    at = mondayTen,
  }: { agreement?: Partial<Agreement>; form?: Partial<RequestForm>; at?: Instant } = {},
): Promise<RequestFixture> {
  const agreementNumber = `E-${randomUUID()}`;
  const agreement = anAgreement({ agreementId: agreementNumber, numbers: { agreementNumber }, ...agreementOverrides });
  expectAccepted(
    await registerAgreement(
      store,
      agreement,
      draw,
      context({ actor: 'admin', operationId: 'register', now: mondayNine }),
    ),
  );
  const mak = expectAccepted(
    await issueMak(
      store,
      agreement,
      { productGroup: 'client', drawKey: draw },
      context({ actor: ines.email, operationId: 'issue', now: mondayNine }),
    ),
  ).value;
  const exceptionId = `EX-${randomUUID().slice(0, 8)}`;
  const requestForm = aRequestForm({
    ...agreement.numbers,
    keyLastFive: mak.lastFive,
    ...form,
  } as Partial<RequestForm>);
  const sender = { maySpeakFor: () => true };
  expectAccepted(
    await createException(
      store,
      { exceptionId, form: requestForm },
      sender,
      context({ operationId: 'receive', now: at }),
    ),
  );
  return { exceptionId, agreement, mak };
}

/** Returns the request as it is stored now. */
export async function loadRequest(
  store: Store,
  { exceptionId }: Pick<RequestFixture, 'exceptionId'>,
): Promise<ExceptionRequest> {
  const request = await findException(store, exceptionId);
  if (request === undefined) throw new Error(`There is no request ${exceptionId}.`);
  return request;
}
