import { theStore } from '../functions/runtime/store.ts';
import { ownerOf, verifyHistory } from '../store/ledger.ts';

/*
 * `npm run verify-ledger -- <id>`: verifies the history of a key, a request or an agreement in the table that the
 * environment names (LED-2). Exit code 0 when it is whole, 1 when it is broken, 2 when there is nothing to verify.
 */

async function main(id: string | undefined): Promise<number> {
  if (id === undefined) {
    console.error('Say whose history to verify: npm run verify-ledger -- <key, request or agreement id>');
    return 2;
  }
  const store = theStore();
  const owner = await ownerOf(store, id);
  if (owner === undefined) {
    console.error(`There is no key, request or agreement with the id ${id} in table ${store.tableName}.`);
    return 2;
  }
  const verified = await verifyHistory(store, owner);
  if (verified.is === 'whole') {
    console.log(`whole: all ${verified.entries} entries of ${owner} follow from each other`);
    return 0;
  }
  console.error(`broken: entry ${verified.sequence} of ${owner}. ${verified.because}`);
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
