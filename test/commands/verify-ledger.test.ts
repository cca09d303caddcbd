import { execFile } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Store } from '../../store/store.ts';
import { root } from '../project-files.ts';
import { startTestDynamoDb } from '../store/dynamodb.ts';
import { createLedgers, entriesPerLedger, tamperings } from '../store/ledger-fixture.ts';

const dynamoDb = await startTestDynamoDb();
let store: Store;
let ledgers: Awaited<ReturnType<typeof createLedgers>>;
beforeAll(async () => {
  store = await dynamoDb.newStore();
  ledgers = await createLedgers(store);
});

type ExitResult = { readonly code: unknown; readonly out: string; readonly err: string };

function verify(options: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<ExitResult> {
  const env = {
    ...process.env,
    TABLE_NAME: store.tableName,
    ROOT_SECRET: 'a root secret for tests, of more than 32 bytes',
    POLICY_FILE: 'policy.json',
    ...environment,
  };
  const execOptions = { cwd: root, env };
  return new Promise((resolve) => {
    execFile(process.execPath, ['commands/verify-ledger.ts', ...options], execOptions, (error, out, err) =>
      resolve({ code: error === null ? 0 : error.code, out, err }),
    );
  });
}

describe('the verify-ledger command', () => {
  it.each(['agreement', 'key', 'request'] as const)(
    'LED-2 reports that the ledger of the %s is intact',
    async (kind) => {
      const { owner, id } = ledgers[kind];
      expect(await verify([id])).toEqual({
        code: 0,
        out: `intact: all ${entriesPerLedger} entries of ${owner} are in the hash chain\n`,
        err: '',
      });
    },
  );

  it('LED-2 fails without an ID, for an unknown ID, and without a table', async () => {
    const [without, unknown, tableless] = await Promise.all([
      verify([]),
      verify(['nobody']),
      verify(['X-1'], { TABLE_NAME: '' }),
    ]);
    const usage = 'npm run verify-ledger -- <ID of a key, a request, or an agreement>';
    expect(without).toEqual({ code: 2, out: '', err: `Missing ID. Usage: ${usage}\n` });
    expect(unknown).toEqual({
      code: 2,
      out: '',
      err: `There is no key, request, or agreement with the ID nobody in table ${store.tableName}.\n`,
    });
    expect(tableless).toMatchObject({ code: 2, out: '', err: expect.stringMatching(/^[^\n]*TABLE_NAME[^\n]*\n$/) });
  });

  it('LED-2 reports the first wrong entry and the reason', async () => {
    const { owner, id } = ledgers.key;
    const removal = tamperings.find(({ name }) => name === 'an entry in the middle was removed');
    if (removal === undefined) throw new Error('there is no such tampering');
    const { apply, brokenAt, because } = removal;
    await apply(store, owner, entriesPerLedger);
    expect(await verify([id])).toEqual({
      code: 1,
      out: '',
      err: `broken: entry ${brokenAt(entriesPerLedger)} of ${owner}. ${because}\n`,
    });
    expect(await verify([ledgers.request.id])).toMatchObject({ code: 0 });
  });
});
