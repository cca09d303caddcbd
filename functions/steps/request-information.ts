import { createWaitingStep } from './waiting-step.ts';

/** Sends the question of the exceptions team to the requester and waits for the answer (EXC-7). */
export const handler = createWaitingStep('requestInformation', 'request-information', () => 'no-change');
