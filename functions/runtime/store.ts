import { readFileSync } from 'node:fs';
import { policySchema } from '../../domain/policy.ts';
import { Secret } from '../../domain/secret.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { connect } from '../../store/dynamodb/table.ts';
import { openVault } from '../../store/vault.ts';
import { tableEnvironment } from '../environment.ts';
import { world } from './clock.ts';

let made: Store | undefined;

/** The store of this function, made at its first use and kept while it is warm. */
export function theStore(): Store {
  made ??= makeStore();
  return made;
}

function makeStore(): Store {
  const { TABLE_NAME, POLICY_FILE, VAULT_SECRET } = tableEnvironment();
  return {
    client: connect(),
    tableName: TABLE_NAME,
    vault: openVault(new Secret(VAULT_SECRET)),
    policy: policySchema.parse(JSON.parse(readFileSync(POLICY_FILE, 'utf8'))),
    pause: (attempt) => world.pause(attempt),
  };
}
