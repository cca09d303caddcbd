import { readFileSync } from 'node:fs';
import { policySchema } from '../../domain/policy.ts';
import { Secret } from '../../domain/secret.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { createDocumentClient } from '../../store/dynamodb/table.ts';
import { openVault } from '../../store/vault.ts';
import { tableEnvironment } from '../environment.ts';
import { runtime } from './clock.ts';

let cachedStore: Store | undefined;

/** The store of this function, made at its first use and kept while it is warm. */
export function getStore(): Store {
  cachedStore ??= createStore();
  return cachedStore;
}

function createStore(): Store {
  const { TABLE_NAME, POLICY_FILE, VAULT_SECRET } = tableEnvironment();
  return {
    client: createDocumentClient(),
    tableName: TABLE_NAME,
    vault: openVault(new Secret(VAULT_SECRET)),
    policy: policySchema.parse(JSON.parse(readFileSync(POLICY_FILE, 'utf8'))),
    backOff: (attempt) => runtime.backOff(attempt),
  };
}
