import { spawnSync } from 'node:child_process';
import { DeleteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { beforeEach, describe, expect, it } from 'vitest';
import { registerAgreement } from '../../store/agreements.ts';
import { issueMak } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import { anAgreement, context, expectAccepted, ines, productKey } from '../builders.ts';
import { mondayNine } from '../instants.ts';
import { root } from '../project-files.ts';
import { startTestDynamoDb, testRootSecret } from '../store/dynamodb.ts';

const dynamoDb = await startTestDynamoDb();
let store: Store;
let makId: string;

beforeEach(async () => {
  store = await dynamoDb.newStore();
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

/** Runs the command like an operator. */
function run(...options: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['commands/reconcile.ts', ...options], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, TABLE_NAME: store.tableName, ROOT_SECRET: testRootSecret, POLICY_FILE: 'policy.json' },
  });
  return { status, stdout, stderr };
}

describe('the reconcile command', () => {
  it('KEY-8 reports a consistent table and a consistent agreement', () => {
    const stdout = `consistent: 1 agreements, 2 keys, and 0 requests in table ${store.tableName}\n`;
    expect(run()).toEqual({ status: 0, stdout, stderr: '' });
    expect(run('E-1001')).toEqual({ status: 0, stdout, stderr: '' });
  });

  it('KEY-8 reports an inconsistency, and repairs it with --repair', async () => {
    await store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: { PK: `KEY#${makId}`, SK: 'RESERVE' },
        UpdateExpression: 'SET #limit = :wrong',
        ExpressionAttributeNames: { '#limit': 'limit' },
        ExpressionAttributeValues: { ':wrong': 7 },
      }),
    );
    const problem = `KEY#${makId}: The reserve enforces 7, but 100 activations are granted.`;
    const check = run();
    expect(check.status).toBe(1);
    expect(check.stderr).toContain(
      `inconsistent: ${problem} (--repair can repair this)\ninconsistent: 1 findings in 1 agreements`,
    );
    const repair = run('--repair');
    expect(repair).toMatchObject({ status: 0, stderr: '' });
    expect(repair.stdout).toContain(`repaired: ${problem}\nconsistent: 1 agreements`);
    expect(repair.stdout).toContain(' (1 repaired)');
    expect(run('E-1001').status).toBe(0);
  });

  it('MAK-1 reports an inconsistency whose repair would be a guess', async () => {
    const Key = { PK: `KEY#${makId}#0`, SK: 'BUCKET' };
    await store.client.send(new DeleteCommand({ TableName: store.tableName, Key }));
    const { status, stderr } = run('--repair');
    expect(status).toBe(1);
    expect(stderr).toContain('Bucket 0 is missing, with its activation records.');
    expect(stderr).not.toContain('--repair can repair this');
  });

  it('reports an unknown option in one line, and an unknown agreement', () => {
    expect(run('--fix')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^Unknown option --fix\. Usage: .+\n$/),
    });
    expect(run('E-9')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('AGREEMENT#E-9: It is not in the table.'),
    });
  });
});
