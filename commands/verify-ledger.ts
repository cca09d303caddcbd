import { getStore } from '../functions/runtime/store.ts';
import { findOwner, verifyLedger } from '../store/ledger.ts';

/*
 * `npm run verify-ledger -- <id>`: verifies the history of a key, a request or an agreement in the table that the
 * environment names (LED-2). Exit code 0 when it is whole, 1 when it is broken, 2 when there is nothing to verify.
 */

async function main(id: string | undefined): Promise<number> {
  if (id === undefined) {
    console.error('Say whose history to verify: npm run verify-ledger -- <key, request or agreement id>');
    return 2;
  }
  const store = getStore();
  const owner = await findOwner(store, id);
  if (owner === undefined) {
    console.error(`There is no key, request or agreement with the id ${id} in table ${store.tableName}.`);
    return 2;
  }
  const verification = await verifyLedger(store, owner);
  if (verification.kind === 'intact') {
    console.log(`whole: all ${verification.entries} entries of ${owner} follow from each other`);
    return 0;
  }
  console.error(`broken: entry ${verification.sequence} of ${owner}. ${verification.because}`);
  return 1;
}

main(process.argv[2]).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 2;
  },
);
