import type { Instant } from '../../domain/calendar/instant.ts';
import { limitOf } from '../../domain/keys/grant.ts';
import type { UsageForecast } from '../../domain/keys/usage-forecast.ts';
import { emptyForecast, forecastUsage, medianApprovalBusinessDays } from '../../domain/keys/usage-forecast.ts';
import { listApprovalMinutes } from '../../store/exceptions.ts';
import type { KeyRecord } from '../../store/keys.ts';
import { listUsageTimes } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';

/**
 * Returns the forecast of a key, from its activations and from how long approvals of the customer took (ALR-2). The
 * forecast of a key that is not live is empty.
 */
export async function forecastKeyUsage(store: Store, key: KeyRecord, now: Instant): Promise<UsageForecast> {
  const { state, grants, agreementId } = key.value;
  if (state.status !== 'live') return emptyForecast;
  const [usageTimes, approvalDurations] = await Promise.all([
    listUsageTimes(store, key),
    listApprovalMinutes(store, agreementId),
  ]);
  const usageHistory = {
    activatedAt: usageTimes,
    remaining: Math.max(0, limitOf(grants) - usageTimes.length),
    usualApprovalBusinessDays: medianApprovalBusinessDays(approvalDurations, store.policy),
  };
  return forecastUsage(usageHistory, now, store.policy);
}
