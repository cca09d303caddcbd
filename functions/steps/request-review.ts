import { requestReview } from '../../domain/exceptions/review.ts';
import { createWaitingStep } from './waiting-step.ts';

/** Requests the review of the exceptions team and waits for its result (EXC-8). */
export const handler = createWaitingStep('requestReview', 'request-review', (request) => requestReview(request));
