import { drawProductKey } from '../domain/product-key.ts';
import { changeContacts, nameNewCorrespondent, registerAgreement } from '../store/agreements.ts';
import { keysOf } from '../store/keys.ts';
import { answerOf, http, notFound } from './http.ts';
import { keyAnswer } from './key-answer.ts';
import { theStore } from './the-store.ts';
import { agreementView } from './view.ts';
import { world } from './world.ts';

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
