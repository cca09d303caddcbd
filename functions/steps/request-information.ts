import { createWaitingStep } from './waiting-step.ts';

/** Puts the team's question to the requester and waits for the answer (EXC-7). */
export const handler = createWaitingStep('requestInformation', 'request-information', () => 'no-change');
