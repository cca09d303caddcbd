import { spawnSync } from 'node:child_process';
import { DeleteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { beforeEach, describe, expect, it } from 'vitest';
import { registerAgreement } from '../../store/agreements.ts';
import type { Store } from '../../store/store.ts';
import { issueMak } from '../../store/keys.ts';
import { anAgreement, context, expectAccepted, ines, productKey } from '../builders.ts';
import { mondayNine } from '../instants.ts';
import { root } from '../project-files.ts';
import { startTestDynamoDb, testRootSecret } from '../store/dynamodb.ts';

const engine = await startTestDynamoDb();
let store: Store;
let makId: string;

beforeEach(async () => {
  store = await engine.newStore();
  makId = store.vault.keyIdOf(productKey(2));
  expectAccepted(
    await registerAgreement(
      store,
      anAgreement(),
      () => productKey(1),
      context({ actor: 'admin', operationId: 'register', now: mondayNine }),
    ),
  );
  expectAccepted(
    await issueMak(
      store,
      anAgreement(),
      { productGroup: 'client', drawKey: () => productKey(2) },
      context({ actor: ines.email, operationId: 'issue', now: mondayNine }),
    ),
  );
});

/** Runs the command as an operator does. */
function run(...options: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['commands/reconcile.ts', ...options], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, TABLE_NAME: store.tableName, ROOT_SECRET: testRootSecret, POLICY_FILE: 'policy.json' },
  });
  return { status, stdout, stderr };
}

describe('check-counts', () => {
  it('KEY-8 says that all is whole, of the whole table and of an agreement', () => {
    const stdout = `whole: 1 agreements, 2 keys and 0 requests in table ${store.tableName}\n`;
    expect(run()).toEqual({ status: 0, stdout, stderr: '' });
    expect(run('E-1001')).toEqual({ status: 0, stdout, stderr: '' });
  });

  it('KEY-8 names what is wrong, mends it when told to, and says then that all is whole', async () => {
    await store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: { PK: `KEY#${makId}`, SK: 'RESERVE' },
        UpdateExpression: 'SET #limit = :wrong',
        ExpressionAttributeNames: { '#limit': 'limit' },
        ExpressionAttributeValues: { ':wrong': 7 },
      }),
    );
    const wrong = `KEY#${makId}: The reserve enforces 7, and 100 were granted.`;
    const found = run();
    expect(found.status).toBe(1);
    expect(found.stderr).toContain(`not whole: ${wrong} (--mend puts it right)\nnot whole: 1 things are wrong with`);
    const mended = run('--mend');
    expect(mended).toMatchObject({ status: 0, stderr: '' });
    expect(mended.stdout).toContain(`mended: ${wrong}\nwhole: 1 agreements`);
    expect(mended.stdout).toContain(', 1 things mended');
    expect(run('E-1001').status).toBe(0);
  });

  it('MAK-1 leaves what it would have to guess, and says so', async () => {
    const Key = { PK: `KEY#${makId}#0`, SK: 'BUCKET' };
    await store.client.send(new DeleteCommand({ TableName: store.tableName, Key }));
    const { status, stderr } = run('--mend');
    expect(status).toBe(1);
    expect(stderr).toContain('Bucket 0 is missing, with the marks that were in it.');
    expect(stderr).not.toContain('--mend puts it right');
  });

  it('says in one line what it does not understand', () => {
    expect(run('--repair')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^There is no option --repair: .+\n$/),
    });
    expect(run('E-9')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('AGREEMENT#E-9: It is not in the table.'),
    });
  });
});
