import { world } from '../functions/runtime/clock.ts';
import { theStore } from '../functions/runtime/store.ts';
import type { Store } from '../store/dynamodb/table.ts';
import type { Checked, Finding, Seen } from '../store/reconciliation.ts';
import { checkAgreement, everythingSeen, mend } from '../store/reconciliation.ts';

/*
 * `npm run check-counts -- [--mend] [agreementId …]`: checks that what is in the table that the environment names fits
 * together, above all that every key counts right: of the agreements named, or of the whole table, which is read through
 * once then. With `--mend` it puts right what follows from other facts and needs no guess. Exit code 0 when all is whole,
 * or is by now; 1 when something is not; 2 when it could not be checked.
 */

/** So many agreements are checked at once: each is a few dozen reads, one after the other. */
const atOnce = 10;

/** What was found of one agreement: what is whole again by now, and what is not. */
type Report = { readonly checked: Checked; readonly mended: readonly Finding[]; readonly left: readonly Finding[] };

async function reportOn(store: Store, agreementId: string, seen: Seen | undefined, mending: boolean): Promise<Report> {
  const checked = await checkAgreement(store, agreementId, world.now(), seen);
  if (!mending) return { checked, mended: [], left: checked.findings };
  for (const finding of checked.findings) await mend(store, finding);
  // What was seen in the whole table before may be mended by now, so only what is still there is looked at again.
  const again = checked.findings.length === 0 ? checked : await checkAgreement(store, agreementId, world.now(), seen);
  const isLeft = ({ about, wrong }: Finding) =>
    again.findings.some((each) => each.about === about && each.wrong === wrong);
  return { checked, mended: checked.findings.filter((finding) => !isLeft(finding)), left: again.findings };
}

async function main(options: readonly string[]): Promise<number> {
  const unknown = options.find((option) => option.startsWith('-') && option !== '--mend');
  if (unknown !== undefined) {
    console.error(`There is no option ${unknown}: npm run check-counts -- [--mend] [agreement id …]`);
    return 2;
  }
  const mending = options.includes('--mend');
  const named = options.filter((option) => !option.startsWith('-'));
  const store = theStore();
  const seen = named.length === 0 ? await everythingSeen(store) : undefined;
  const agreementIds = seen === undefined ? named : [...seen.keys()].toSorted();
  const sums = { keys: 0, requests: 0, mended: 0, left: 0 };
  for (let start = 0; start < agreementIds.length; start += atOnce) {
    const some = agreementIds.slice(start, start + atOnce);
    const reports = await Promise.all(some.map((id) => reportOn(store, id, seen?.get(id), mending)));
    for (const { checked, mended, left } of reports) {
      sums.keys += checked.keys;
      sums.requests += checked.requests;
      sums.mended += mended.length;
      sums.left += left.length;
      for (const { about, wrong } of mended) console.log(`mended: ${about}: ${wrong}`);
      for (const { about, wrong, mend: how } of left) {
        const can = !mending && how.length > 0 ? ' (--mend puts it right)' : '';
        console.error(`not whole: ${about}: ${wrong}${can}`);
      }
    }
  }
  const all = `${agreementIds.length} agreements, ${sums.keys} keys and ${sums.requests} requests in table ${store.tableName}`;
  const mended = sums.mended === 0 ? '' : `, ${sums.mended} things mended`;
  if (sums.left === 0) console.log(`whole: ${all}${mended}`);
  else console.error(`not whole: ${sums.left} things are wrong with ${all}${mended}`);
  return sums.left === 0 ? 0 : 1;
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
