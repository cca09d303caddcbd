import { requestApproval } from '../../domain/exceptions/approval.ts';
import { createWaitingStep } from './waiting-step.ts';

/** Requests the approval of the Notices Correspondent and waits for the decision (EXC-6). */
export const handler = createWaitingStep('requestApproval', 'request-approval', requestApproval);
