import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

/** A bug, as a replacement in the text of a source file. */
export type InjectedBug = { readonly name: string; readonly file: string; readonly from: string; readonly to: string };

/** Bugs of the kind that people write. Each is injected while the product is loaded. The product contains none of them. */
export const injectedBugs: readonly InjectedBug[] = [
  {
    name: 'An activation needs no available slot',
    file: 'store/mak-activations.ts',
    from: 'attribute_not_exists(#mark) AND #free > :none AND',
    to: 'attribute_not_exists(#mark) AND (#free > :none OR #free <= :none) AND',
  },
  {
    name: 'A repeated activation counts again',
    file: 'store/mak-activations.ts',
    from: 'attribute_not_exists(#mark) AND #free > :none AND',
    to: '#free > :none AND',
  },
  {
    name: 'A blocked bucket still activates',
    file: 'store/mak-activations.ts',
    from: "export const liveAndLaidOut = '#status = :live AND #bucketCount = :bucketCount'",
    to: "export const liveAndLaidOut = '(#status = :live OR #status <> :live) AND #bucketCount = :bucketCount'",
  },
  {
    name: 'Slots are transferred from a bucket that has none',
    file: 'store/mak-activations.ts',
    from: "ConditionExpression: '#free >= :take',",
    to: "ConditionExpression: 'attribute_exists(PK) AND :take = :take',",
  },
  {
    name: 'A transferred slot is counted twice',
    file: 'store/mak-activations.ts',
    from: "':rest': take - 1,",
    to: "':rest': take,",
  },
  {
    name: 'A key stays exhausted after its limit was raised',
    file: 'store/mak-activations.ts',
    from: "REMOVE #exhausted',\n      ConditionExpression: 'attribute_exists(PK)'",
    to: "',\n      ConditionExpression: 'attribute_exists(PK) AND (attribute_exists(#exhausted) OR attribute_not_exists(#exhausted))'",
  },
  {
    name: 'The last slot of another bucket is not used',
    file: 'store/mak-activations.ts',
    from: 'if (donor !== undefined) {',
    to: 'if (donor !== undefined && donor.free > 1) {',
  },
  {
    name: 'A split bucket keeps all of its slots',
    file: 'store/mak-activations.ts',
    from: 'free: bucket.free - free,',
    to: 'free: bucket.free,',
  },
  {
    name: 'A write does not check the version',
    file: 'store/dynamodb/versioned-item.ts',
    from: "ConditionExpression: '#version = :version',\n          ExpressionAttributeNames: { '#version': 'version' },\n          ExpressionAttributeValues: { ':version': owned.version },\n        };",
    to: "ConditionExpression: 'attribute_exists(PK)',\n        };",
  },
  {
    name: 'An operation id is not stored',
    file: 'store/dynamodb/versioned-item.ts',
    from: 'operation === null ? owned.operations : remembering(owned.operations, operation)',
    to: 'owned.operations',
  },
  {
    name: 'The reasons of a canceled transaction are checked with “every” instead of “some”',
    file: 'store/dynamodb/table.ts',
    from: "return reasons.includes(conditionFailed) ? 'condition-failed' : 'transient-failure';",
    to: "return reasons.every((code) => code === conditionFailed) ? 'condition-failed' : 'committed';",
  },
  {
    name: 'A transient failure counts as committed',
    file: 'store/dynamodb/table.ts',
    from: "if (isPassing(error)) return 'transient-failure';\n      throw error;",
    to: "if (isPassing(error)) return 'committed';\n      throw error;",
  },
  {
    name: 'New slots overwrite slots in use',
    file: 'store/dynamodb/table.ts',
    from: "Item, ConditionExpression: 'attribute_not_exists(PK)' }",
    to: 'Item }',
  },
  {
    name: 'Each retry has its own operation id',
    file: 'store/idempotency.ts',
    from: 'fingerprintOf(JSON.stringify([caller, key, fingerprint])).slice(0, 32)',
    to: 'fingerprintOf(JSON.stringify([caller, key, fingerprint, Math.random()])).slice(0, 32)',
  },
  {
    name: 'A request is accepted for a key that is not live',
    file: 'store/exceptions.ts',
    from: '        keyIsLive(request.keyId),\n',
    to: '',
  },
  {
    name: 'A second open request is accepted',
    file: 'store/exceptions.ts',
    from: "Item: { ...openKey(request.keyId), exceptionId },\n            ConditionExpression: 'attribute_not_exists(PK)',",
    to: 'Item: { ...openKey(request.keyId), exceptionId },',
  },
  {
    name: 'The open-request pointer outlives its request',
    file: 'store/exceptions.ts',
    from: 'const closes = isFinal(request) && !isFinal(owned.state);',
    to: 'const closes = false;',
  },
  {
    name: 'A grant adds no slots',
    file: 'store/keys.ts',
    from: '    reserveRaise(key.keyId, amount),\n',
    to: '',
  },
  {
    name: 'A request is fulfilled without raising the limit',
    file: 'store/exceptions.ts',
    from: '...(granted === null\n          ? []',
    to: '...(granted === null || granted.key.type === granted.key.type\n          ? []',
  },
  {
    name: 'A link of the previous Correspondent decides',
    file: 'store/approval-links.ts',
    from: 'if (!isAskedAt(link.to, agreement, now, store.policy)) {',
    to: 'if (link.to === agreement.agreementId) {',
  },
  {
    name: 'A link of another approval round decides',
    file: 'domain/exceptions/request.ts',
    from: 'if (ask === null || ask.askNumber !== askNumber) {',
    to: 'if (ask === null) {',
  },
  {
    name: 'Any code is accepted',
    file: 'store/approval-links.ts',
    from: 'if (!sameHash(code.hash, codeHash(store, tokenHash, answer.code))) {',
    to: 'if (answer.code.reveal() === code.hash) {',
  },
  {
    name: 'A reminder is not recorded',
    file: 'domain/exceptions/schedule.ts',
    from: 'const remindersSent = ask.remindersSent + 1;',
    to: 'const remindersSent = Math.max(1, ask.remindersSent);',
  },
  {
    name: 'A pause counts twice',
    file: 'domain/exceptions/sla-clock.ts',
    from: 'return { ...clock.spent, [holder]: clock.spent[holder] + Math.max(0, minutes) };',
    to: "return { ...clock.spent, [holder]: clock.spent[holder] + Math.max(0, minutes) * (holder === 'requester' ? 2 : 1) };",
  },
  {
    name: 'The SLA clock runs while it is paused',
    file: 'domain/exceptions/sla-clock.ts',
    from: "clock.is === 'running' ? clock.dueAt : addBusinessMinutes(now, clock.remainingMinutes, policy.supportCalendar);\n  return { is: 'running'",
    to: "clock.is === 'running' ? clock.dueAt : addBusinessMinutes(clock.since, clock.remainingMinutes, policy.supportCalendar);\n  return { is: 'running'",
  },
  {
    name: 'A failed signal is forgotten',
    file: 'domain/exceptions/request.ts',
    from: "drive.is === 'waiting' ? { ...request, drive: { ...drive, is: 'resume-pending' } } : request;",
    to: 'drive.is === drive.is ? request : request;',
  },
  {
    name: 'A lost execution is not restarted',
    file: 'functions/use-cases/signal-workflow.ts',
    from: '      } else {\n        await restart();\n      }\n',
    to: '      }\n',
  },
  {
    name: 'A used token is taken for a lost execution',
    file: 'functions/use-cases/signal-workflow.ts',
    from: "if (resumeResult === 'not-waiting' && !(await workflowClient.isRunning(executionInput))) await restart",
    to: "if (resumeResult === 'not-waiting' && (await workflowClient.isRunning(executionInput))) await restart",
  },
  {
    name: 'Notifications are removed without being sent',
    file: 'functions/use-cases/send-request-notifications.ts',
    from: '      failures.push(error);\n',
    to: '      completedIds.push(notification.notificationId);\n      failures.push(error);\n',
  },
  {
    name: 'Override days follow UTC',
    file: 'domain/keys/kms.ts',
    from: 'const usedToday = key.overrides.some((override) => dayIn(override.at, zone) === today);',
    to: "const usedToday = key.overrides.some((override) => override.at.slice(0, 10) === now.slice(0, 10) && today !== '');",
  },
  {
    name: 'An override counts for any host',
    file: 'domain/keys/kms.ts',
    from: 'each.installationId === ask.installationId && each.spentAt === null',
    to: 'each.spentAt === null',
  },
  {
    name: 'A repeated call reference grants again',
    file: 'domain/keys/mak.ts',
    from: "const given = grantUnder(key.grants, 'call-center', ask.callReference);",
    to: "const given = grantUnder([], 'call-center', ask.callReference);",
  },
  {
    name: 'The successor is issued before the key is blocked',
    file: 'store/key-replacement.ts',
    from: '    await blockBuckets(store, { keyId, bucketCount: held.kept.bucketCount });\n',
    to: '',
  },
  {
    name: 'The successor is generated again on a retry',
    file: 'store/key-replacement.ts',
    from: "if (wasDone(owned, operation)) return { is: 'no-change', answer: owned.state };",
    to: '',
  },
  {
    name: "A held key is missing from the sweep's index",
    file: 'store/keys.ts',
    from: "return dueAttributes('KEY', due);",
    to: "return dueAttributes('KEY', due === null ? null : null);",
  },
  {
    name: 'A ledger entry is not chained',
    file: 'store/dynamodb/versioned-item.ts',
    from: 'previousHash: owned.head.hash };',
    to: "previousHash: owned.head.sequence === 3 ? '' : owned.head.hash };",
  },
  {
    name: 'A request is withdrawn after its approval',
    file: 'domain/exceptions/request.ts',
    from: "const legal = decided ? move === 'reject' : legalMoves",
    to: "const legal = decided ? move === 'reject' || move === 'withdraw' : legalMoves",
  },
];

export function findInjectedBug(name: string): InjectedBug {
  const bug = injectedBugs.find((each) => each.name === name);
  if (bug === undefined)
    throw new Error(`There is no bug “${name}”. test/simulation/injected-bugs.ts lists all of them.`);
  return bug;
}

const urlOf = ({ file }: InjectedBug) => new URL(`../../${file}`, import.meta.url);

/** Returns the source of the file with the bug. Throws unless the file contains the original text exactly once. */
export function sourceWithBug(bug: InjectedBug): string {
  const parts = readFileSync(urlOf(bug), 'utf8').split(bug.from);
  if (parts.length !== 2)
    throw new Error(`“${bug.name}” does not fit ${bug.file}, which contains its text ${parts.length - 1} times.`);
  return parts.join(bug.to);
}

/** Injects a bug into its file. Call it before the product is loaded. */
export function installBug(bug: InjectedBug): void {
  const source = sourceWithBug(bug);
  const { href } = urlOf(bug);
  registerHooks({ load: (url, context, next) => ({ ...next(url, context), ...(url === href ? { source } : {}) }) });
}
