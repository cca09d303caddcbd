import { clock } from '../functions/runtime/clock.ts';
import { getStore } from '../functions/runtime/store.ts';
import type { Finding } from '../store/reconcile-items.ts';
import type { ReconciliationResult } from '../store/reconciliation.ts';
import { checkAgreement, repair } from '../store/reconciliation.ts';
import type { Store } from '../store/store.ts';
import type { AgreementReferences } from '../store/table-scan.ts';
import { scanReferences } from '../store/table-scan.ts';

/*
 * `npm run reconcile -- [--repair] [agreementId …]`: checks that the items of the table are consistent with each other,
 * and above all that every key counts correctly. It checks the given agreements, or scans the table and checks all.
 * With `--repair` it repairs every inconsistency whose repair is not a guess. The table is the one of the environment.
 *
 * Exit codes: 0 if the table is consistent, possibly after repairs; 1 if it is not; 2 if it could not be checked.
 */

const usage = 'npm run reconcile -- [--repair] [agreement ID …]';

/** The number of agreements that are checked in parallel. Each check is a sequence of a few dozen reads. */
const concurrency = 10;

/** The result of one agreement: the findings that were repaired, and those that remain. */
type ReconciliationReport = {
  readonly result: ReconciliationResult;
  readonly repaired: readonly Finding[];
  readonly unresolved: readonly Finding[];
};

async function reconcileAgreement(
  store: Store,
  agreementId: string,
  references: AgreementReferences | undefined,
  shouldRepair: boolean,
): Promise<ReconciliationReport> {
  const result = await checkAgreement(store, agreementId, clock.now(), references);
  if (!shouldRepair) return { result, repaired: [], unresolved: result.findings };
  for (const finding of result.findings) await repair(store, finding);
  const recheck =
    result.findings.length === 0 ? result : await checkAgreement(store, agreementId, clock.now(), references);
  const isUnresolved = ({ subject, problem }: Finding) =>
    recheck.findings.some((each) => each.subject === subject && each.problem === problem);
  return {
    result,
    repaired: result.findings.filter((finding) => !isUnresolved(finding)),
    unresolved: recheck.findings,
  };
}

async function main(options: readonly string[]): Promise<number> {
  const unknownOption = options.find((option) => option.startsWith('-') && option !== '--repair');
  if (unknownOption !== undefined) {
    console.error(`Unknown option ${unknownOption}. Usage: ${usage}`);
    return 2;
  }
  const shouldRepair = options.includes('--repair');
  const namedIds = options.filter((option) => !option.startsWith('-'));
  const store = getStore();
  const referencesById = namedIds.length === 0 ? await scanReferences(store) : undefined;
  const agreementIds = referencesById === undefined ? namedIds : [...referencesById.keys()].toSorted();
  const totals = { keys: 0, requests: 0, repaired: 0, unresolved: 0 };
  for (let start = 0; start < agreementIds.length; start += concurrency) {
    const chunk = agreementIds.slice(start, start + concurrency);
    const reports = await Promise.all(
      chunk.map((id) => reconcileAgreement(store, id, referencesById?.get(id), shouldRepair)),
    );
    for (const { result, repaired, unresolved } of reports) {
      totals.keys += result.keyCount;
      totals.requests += result.requestCount;
      totals.repaired += repaired.length;
      totals.unresolved += unresolved.length;
      for (const { subject, problem } of repaired) console.log(`repaired: ${subject}: ${problem}`);
      for (const { subject, problem, repairs } of unresolved) {
        const hint = !shouldRepair && repairs.length > 0 ? ' (--repair can repair this)' : '';
        console.error(`inconsistent: ${subject}: ${problem}${hint}`);
      }
    }
  }
  const scope = `${agreementIds.length} agreements, ${totals.keys} keys, and ${totals.requests} requests in table ${store.tableName}`;
  const repairSummary = totals.repaired === 0 ? '' : ` (${totals.repaired} repaired)`;
  if (totals.unresolved === 0) console.log(`consistent: ${scope}${repairSummary}`);
  else console.error(`inconsistent: ${totals.unresolved} findings in ${scope}${repairSummary}`);
  return totals.unresolved === 0 ? 0 : 1;
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 2;
  },
);
