import { drawProductKey } from '../../domain/keys/product-key.ts';
import { changeContacts, nameNewCorrespondent, registerAgreement } from '../../store/agreements.ts';
import { keysOf } from '../../store/keys.ts';
import { answerOf, http, notFound } from '../http/handler.ts';
import { keyAnswer } from '../http/key-view.ts';
import { agreementView } from '../http/views.ts';
import { world } from '../runtime/clock.ts';
import { theStore } from '../runtime/store.ts';

export const handler = http('admin', {
  'POST /agreements': async ({ body, now, context }) => {
    const store = theStore();
    const draw = () => drawProductKey(world.below);
    const outcome = await registerAgreement(store, body, draw, context);
    if (!outcome.ok) return outcome;
    const { items } = await keysOf(store, outcome.answer.agreementId, { limit: 100, after: null });
    const keys = await Promise.all(items.map((key) => keyAnswer(store, key, now)));
    return { status: 201, body: { ...agreementView(outcome.answer), keys } };
  },

  'PUT /agreements/{agreementId}/contacts': async ({ params, body, context }) => {
    const outcome = await changeContacts(theStore(), params.agreementId, body.contacts, context);
    if (outcome === undefined) return notFound('agreement');
    return answerOf(outcome, (agreement) => ({ status: 200, body: agreementView(agreement) }));
  },

  'PUT /agreements/{agreementId}/notices-correspondent': async ({ params, body, context }) => {
    const outcome = await nameNewCorrespondent(theStore(), params.agreementId, body, context);
    if (outcome === undefined) return notFound('agreement');
    return answerOf(outcome, (agreement) => ({ status: 200, body: agreementView(agreement) }));
  },
});
