import { execFile } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Store } from '../../store/store.ts';
import { root } from '../project-files.ts';
import { startTestDynamoDb } from '../store/dynamodb.ts';
import { createLedgers, entriesPerLedger, tamperings } from '../store/ledger-fixture.ts';

const engine = await startTestDynamoDb();
let store: Store;
let histories: Awaited<ReturnType<typeof createLedgers>>;
beforeAll(async () => {
  store = await engine.newStore();
  histories = await createLedgers(store);
});

type ExitResult = { readonly code: unknown; readonly out: string; readonly err: string };

function verify(words: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<ExitResult> {
  const env = {
    ...process.env,
    TABLE_NAME: store.tableName,
    ROOT_SECRET: 'a root secret for tests, of more than 32 bytes',
    POLICY_FILE: 'policy.json',
    ...environment,
  };
  const options = { cwd: root, env };
  return new Promise((resolve) => {
    execFile(process.execPath, ['commands/verify-ledger.ts', ...words], options, (error, out, err) =>
      resolve({ code: error === null ? 0 : error.code, out, err }),
    );
  });
}

describe('verifying a history from a terminal', () => {
  it.each(['agreement', 'key', 'request'] as const)('LED-2 says that the one of the %s is whole', async (which) => {
    const { owner, id } = histories[which];
    expect(await verify([id])).toEqual({
      code: 0,
      out: `whole: all ${entriesPerLedger} entries of ${owner} follow from each other\n`,
      err: '',
    });
  });

  it('LED-2 has nothing to verify without an id, for an id that is nobody’s, and without a table', async () => {
    const [without, unknown, tableless] = await Promise.all([
      verify([]),
      verify(['nobody']),
      verify(['X-1'], { TABLE_NAME: '' }),
    ]);
    const usage = 'npm run verify-ledger -- <key, request or agreement id>';
    expect(without).toEqual({ code: 2, out: '', err: `Say whose history to verify: ${usage}\n` });
    expect(unknown).toEqual({
      code: 2,
      out: '',
      err: `There is no key, request or agreement with the id nobody in table ${store.tableName}.\n`,
    });
    expect(tableless).toMatchObject({ code: 2, out: '', err: expect.stringMatching(/^[^\n]*TABLE_NAME[^\n]*\n$/) });
  });

  it('LED-2 names the first entry at which one is broken, and what is wrong there', async () => {
    const { owner, id } = histories.key;
    const cut = tamperings.find(({ name: named }) => named === 'an entry in the middle was removed');
    if (cut === undefined) throw new Error('that break is not in the list');
    const { apply: inflict, brokenAt: at, because } = cut;
    await inflict(store, owner, entriesPerLedger);
    expect(await verify([id])).toEqual({
      code: 1,
      out: '',
      err: `broken: entry ${at(entriesPerLedger)} of ${owner}. ${because}\n`,
    });
    expect(await verify([histories.request.id])).toMatchObject({ code: 0 });
  });
});
