import { clock } from '../functions/runtime/clock.ts';
import { getStore } from '../functions/runtime/store.ts';
import type { Store } from '../store/dynamodb/table.ts';
import type { AgreementReferences, Finding, ReconciliationResult } from '../store/reconciliation.ts';
import { checkAgreement, repair, scanReferences } from '../store/reconciliation.ts';

/*
 * `npm run check-counts -- [--mend] [agreementId …]`: checks that what is in the table that the environment names fits
 * together, above all that every key counts right: of the agreements named, or of the whole table, which is read through
 * once then. With `--mend` it puts right what follows from other facts and needs no guess. Exit code 0 when all is whole,
 * or is by now; 1 when something is not; 2 when it could not be checked.
 */

/** So many agreements are checked at once: each is a few dozen reads, one after the other. */
const concurrency = 10;

/** What was found of one agreement: what is whole again by now, and what is not. */
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
  // What was seen in the whole table before may be mended by now, so only what is still there is looked at again.
  const recheck =
    result.findings.length === 0 ? result : await checkAgreement(store, agreementId, clock.now(), references);
  const isUnresolved = ({ subject: about, problem: wrong }: Finding) =>
    recheck.findings.some((each) => each.subject === about && each.problem === wrong);
  return {
    result,
    repaired: result.findings.filter((finding) => !isUnresolved(finding)),
    unresolved: recheck.findings,
  };
}

async function main(options: readonly string[]): Promise<number> {
  const unknownOption = options.find((option) => option.startsWith('-') && option !== '--mend');
  if (unknownOption !== undefined) {
    console.error(`There is no option ${unknownOption}: npm run check-counts -- [--mend] [agreement id …]`);
    return 2;
  }
  const shouldRepair = options.includes('--mend');
  const namedIds = options.filter((option) => !option.startsWith('-'));
  const store = getStore();
  const referencesById = namedIds.length === 0 ? await scanReferences(store) : undefined;
  const agreementIds = referencesById === undefined ? namedIds : [...referencesById.keys()].toSorted();
  const totals = { keys: 0, requests: 0, mended: 0, left: 0 };
  for (let start = 0; start < agreementIds.length; start += concurrency) {
    const chunk = agreementIds.slice(start, start + concurrency);
    const reports = await Promise.all(
      chunk.map((id) => reconcileAgreement(store, id, referencesById?.get(id), shouldRepair)),
    );
    for (const { result: checked, repaired, unresolved: left } of reports) {
      totals.keys += checked.keyCount;
      totals.requests += checked.requestCount;
      totals.mended += repaired.length;
      totals.left += left.length;
      for (const { subject: about, problem: wrong } of repaired) console.log(`mended: ${about}: ${wrong}`);
      for (const { subject: about, problem: wrong, repairs: transactions } of left) {
        const hint = !shouldRepair && transactions.length > 0 ? ' (--mend puts it right)' : '';
        console.error(`not whole: ${about}: ${wrong}${hint}`);
      }
    }
  }
  const scope = `${agreementIds.length} agreements, ${totals.keys} keys and ${totals.requests} requests in table ${store.tableName}`;
  const repaired = totals.mended === 0 ? '' : `, ${totals.mended} things mended`;
  if (totals.left === 0) console.log(`whole: ${scope}${repaired}`);
  else console.error(`not whole: ${totals.left} things are wrong with ${scope}${repaired}`);
  return totals.left === 0 ? 0 : 1;
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
