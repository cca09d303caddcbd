import { readFileSync } from 'node:fs';
import { policySchema } from '../../domain/policy.ts';
import { Secret } from '../../domain/secret.ts';
import { createDocumentClient } from '../../store/dynamodb/table.ts';
import type { Store } from '../../store/store.ts';
import { openVault } from '../../store/vault.ts';
import { tableEnvironment } from '../environment.ts';
import { clock } from './clock.ts';

let cachedStore: Store | undefined;

/** Returns the store of this function. It is created on first use and reused while the function is warm. */
export function getStore(): Store {
  cachedStore ??= createStore();
  return cachedStore;
}

function createStore(): Store {
  const { TABLE_NAME, POLICY_FILE, ROOT_SECRET } = tableEnvironment();
  return {
    client: createDocumentClient(),
    tableName: TABLE_NAME,
    vault: openVault(new Secret(ROOT_SECRET)),
    policy: policySchema.parse(JSON.parse(readFileSync(POLICY_FILE, 'utf8'))),
    backOff: (retry) => clock.backOff(retry),
  };
}
