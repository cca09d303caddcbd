import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

/** A bug, as a replacement in the text of a source file. */
export type InjectedBug = { readonly name: string; readonly file: string; readonly from: string; readonly to: string };

/**
 * Bugs of the kind that people write. Each is injected while the product is loaded. The product contains none of them.
 */
export const injectedBugs: readonly InjectedBug[] = [
  {
    name: 'An activation needs no available slot',
    file: 'store/mak-activations.ts',
    from: "const slotAvailable = '#available > :none';",
    to: "const slotAvailable = '(#available > :none OR #available <= :none)';",
  },
  {
    name: 'A repeated activation counts again',
    file: 'store/mak-activations.ts',
    from: "const notActivated = 'attribute_not_exists(#activation)';",
    to: "const notActivated = '(attribute_not_exists(#activation) OR attribute_exists(#activation))';",
  },
  {
    name: 'A blocked bucket still activates',
    file: 'store/mak-bucket.ts',
    from: "export const liveAndCurrentLayout = '#status = :live AND #bucketCount = :bucketCount'",
    to: "export const liveAndCurrentLayout = '(#status = :live OR #status <> :live) AND #bucketCount = :bucketCount'",
  },
  {
    name: 'Slots are transferred from a bucket that has none',
    file: 'store/mak-activations.ts',
    from: "const slotsAvailable = '#available >= :slotCount';",
    to: "const slotsAvailable = 'attribute_exists(PK) AND :slotCount = :slotCount';",
  },
  {
    name: 'A transferred slot is counted twice',
    file: 'store/mak-activations.ts',
    from: "':rest': slotCount - 1,",
    to: "':rest': slotCount,",
  },
  {
    name: 'A key stays exhausted after its limit was raised',
    file: 'store/mak-activations.ts',
    from: "REMOVE #exhausted',\n      ConditionExpression: itemExists,",
    to: "',\n      ConditionExpression: 'attribute_exists(PK) AND (attribute_exists(#exhausted) OR attribute_not_exists(#exhausted))',",
  },
  {
    name: 'The last slot of another bucket is not used',
    file: 'store/mak-activations.ts',
    from: 'if (donor !== undefined) {',
    to: 'if (donor !== undefined && donor.available > 1) {',
  },
  {
    name: 'A split bucket keeps all of its slots',
    file: 'store/mak-activations.ts',
    from: 'available: bucket.available - upperAvailable,',
    to: 'available: bucket.available,',
  },
  {
    name: 'A write does not check the version',
    file: 'store/dynamodb/versioned-item.ts',
    from: "          ConditionExpression: versionUnchanged,\n          ExpressionAttributeNames: { '#version': 'version' },\n          ExpressionAttributeValues: { ':version': record.version },\n        };",
    to: "          ConditionExpression: 'attribute_exists(PK)',\n        };",
  },
  {
    name: 'An operation id is not stored',
    file: 'store/dynamodb/versioned-item.ts',
    from: 'operationId === null ? record.operationIds : appendOperationId(record.operationIds, operationId)',
    to: 'record.operationIds',
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
    from: "if (isTransient(error)) return 'transient-failure';\n      throw error;",
    to: "if (isTransient(error)) return 'committed';\n      throw error;",
  },
  {
    name: 'New slots overwrite slots in use',
    file: 'store/dynamodb/table.ts',
    from: 'Item, ConditionExpression: itemIsAbsent }',
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
    from: '        requireLiveKey(request.keyId),\n',
    to: '',
  },
  {
    name: 'A second open request is accepted',
    file: 'store/exceptions.ts',
    from: 'Item: { ...openRequestPointer(request.keyId), exceptionId },\n            ConditionExpression: itemIsAbsent,',
    to: 'Item: { ...openRequestPointer(request.keyId), exceptionId },',
  },
  {
    name: 'The open-request pointer outlives its request',
    file: 'store/exceptions.ts',
    from: 'const isClosing = isFinal(request) && !isFinal(record.value);',
    to: 'const isClosing = false;',
  },
  {
    name: 'A grant adds no slots',
    file: 'store/keys.ts',
    from: '    reserveIncreaseWrite(key.keyId, amount),\n',
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
    from: 'if (!isApproverAt(link.to, agreement, now, store.policy)) {',
    to: 'if (link.to === agreement.agreementId) {',
  },
  {
    name: 'A link of another approval round decides',
    file: 'domain/exceptions/approval.ts',
    from: 'if (round === null || round.number !== roundNumber) {',
    to: 'if (round === null) {',
  },
  {
    name: 'Any code is accepted',
    file: 'store/approval-links.ts',
    from: 'if (!sameHash(code.hash, codeHash(store, tokenHash, input.code))) {',
    to: 'if (input.code.reveal() === code.hash) {',
  },
  {
    name: 'A reminder is not recorded',
    file: 'domain/exceptions/schedule.ts',
    from: 'const remindersSent = round.remindersSent + 1;',
    to: 'const remindersSent = Math.max(1, round.remindersSent);',
  },
  {
    name: 'A pause counts twice',
    file: 'domain/exceptions/sla-clock.ts',
    from: 'return { ...clock.elapsed, [assignee]: clock.elapsed[assignee] + Math.max(0, minutes) };',
    to: "return { ...clock.elapsed, [assignee]: clock.elapsed[assignee] + Math.max(0, minutes) * (assignee === 'requester' ? 2 : 1) };",
  },
  {
    name: 'The SLA clock runs while it is paused',
    file: 'domain/exceptions/sla-clock.ts',
    from: 'return addBusinessMinutes(now, clock.remainingMinutes, policy.supportCalendar);',
    to: 'return addBusinessMinutes(clock.since, clock.remainingMinutes, policy.supportCalendar);',
  },
  {
    name: 'A failed signal is forgotten',
    file: 'domain/exceptions/transition.ts',
    from: "execution.status === 'waiting' ? { ...request, execution: { ...execution, status: 'resume-pending' } } : request;",
    to: 'execution.status === execution.status ? request : request;',
  },
  {
    name: 'A lost execution is not restarted',
    file: 'functions/use-cases/signal-workflow.ts',
    from: '      } else {\n        await restart();\n      }\n      return;',
    to: '      }\n      return;',
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
    from: 'each.installationId === request.installationId && each.usedAt === null',
    to: 'each.usedAt === null',
  },
  {
    name: 'A repeated call reference grants again',
    file: 'domain/keys/mak.ts',
    from: "const existingGrant = findGrant(key.grants, 'call-center', request.callReference);",
    to: "const existingGrant = findGrant([], 'call-center', request.callReference);",
  },
  {
    name: 'The successor is issued before the key is blocked',
    file: 'store/key-replacement.ts',
    from: '    await blockBuckets(store, { keyId, bucketCount: heldKey.internal.bucketCount });\n',
    to: '',
  },
  {
    name: 'The successor is generated again on a retry',
    file: 'store/key-replacement.ts',
    from: "if (isProcessed(record, operationId)) return { kind: 'no-change', value: record.value };",
    to: '',
  },
  {
    name: "A held key is missing from the sweep's index",
    file: 'store/keys.ts',
    from: "return dueIndexKeys('KEY', due);",
    to: "return dueIndexKeys('KEY', due === null ? null : null);",
  },
  {
    name: 'A ledger entry is not chained',
    file: 'store/dynamodb/versioned-item.ts',
    from: 'previousHash: record.ledgerHead.hash };',
    to: "previousHash: record.ledgerHead.sequence === 3 ? '' : record.ledgerHead.hash };",
  },
  {
    name: 'A request is withdrawn after its approval',
    file: 'domain/exceptions/request.ts',
    from: "? transition === 'reject' :",
    to: "? transition === 'reject' || transition === 'withdraw' :",
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
