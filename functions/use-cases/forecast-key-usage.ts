import type { Instant } from '../../domain/calendar/instant.ts';
import { limitOf } from '../../domain/keys/grant.ts';
import type { Forecast } from '../../domain/keys/usage-forecast.ts';
import { forecast, usualApproval } from '../../domain/keys/usage-forecast.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { approvalMinutes } from '../../store/exceptions.ts';
import type { KeptKey } from '../../store/keys.ts';
import { timesUsed } from '../../store/keys.ts';

const nothing: Forecast = { perDay: null, runsOutOn: null, askBy: null, inWords: null };

/**
 * The forecast of a key, from its own history and from how long the customer's approvals took (ALR-2). A key that is blocked
 * has no future to tell of.
 */
export async function keyForecast(store: Store, key: KeptKey, now: Instant): Promise<Forecast> {
  const { status, grants, agreementId } = key.state;
  if (status.is !== 'live') return nothing;
  const [times, approvals] = await Promise.all([timesUsed(store, key), approvalMinutes(store, agreementId)]);
  const history = {
    activatedAt: times,
    remaining: Math.max(0, limitOf(grants) - times.length),
    usualApprovalBusinessDays: usualApproval(approvals, store.policy),
  };
  return forecast(history, now, store.policy);
}
