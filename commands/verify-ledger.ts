import { getStore } from '../functions/runtime/store.ts';
import { findOwner, verifyLedger } from '../store/ledger.ts';

/*
 * `npm run verify-ledger -- <id>`: verifies the hash chain of the ledger of a key, a request, or an agreement (LED-2).
 * The table is the one of the environment.
 *
 * Exit codes: 0 if the ledger is intact; 1 if it is broken; 2 if there is no such ledger.
 */

async function main(id: string | undefined): Promise<number> {
  if (id === undefined) {
    console.error('Missing ID. Usage: npm run verify-ledger -- <ID of a key, a request, or an agreement>');
    return 2;
  }
  const store = getStore();
  const owner = await findOwner(store, id);
  if (owner === undefined) {
    console.error(`There is no key, request, or agreement with the ID ${id} in table ${store.tableName}.`);
    return 2;
  }
  const verification = await verifyLedger(store, owner);
  if (verification.kind === 'intact') {
    console.log(`intact: all ${verification.entries} entries of ${owner} are in the hash chain`);
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
