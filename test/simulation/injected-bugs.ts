import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

/** A bug: what it is, and the text of the product that it is made of. */
export type InjectedBug = { readonly name: string; readonly file: string; readonly from: string; readonly to: string };

/** Bugs as people make them. Each is planted while the product is loaded; nothing of it is in the product. */
export const injectedBugs: readonly InjectedBug[] = [
  {
    name: 'a free place is not needed',
    file: 'store/mak-activations.ts',
    from: 'attribute_not_exists(#mark) AND #free > :none AND',
    to: 'attribute_not_exists(#mark) AND (#free > :none OR #free <= :none) AND',
  },
  {
    name: 'a known machine counts again',
    file: 'store/mak-activations.ts',
    from: 'attribute_not_exists(#mark) AND #free > :none AND',
    to: '#free > :none AND',
  },
  {
    name: 'a blocked bucket still activates',
    file: 'store/mak-activations.ts',
    from: "export const liveAndLaidOut = '#status = :live AND #bucketCount = :bucketCount'",
    to: "export const liveAndLaidOut = '(#status = :live OR #status <> :live) AND #bucketCount = :bucketCount'",
  },
  {
    name: 'places are taken from who has none',
    file: 'store/mak-activations.ts',
    from: "ConditionExpression: '#free >= :take',",
    to: "ConditionExpression: 'attribute_exists(PK) AND :take = :take',",
  },
  {
    name: 'a moved place is counted twice',
    file: 'store/mak-activations.ts',
    from: "':rest': take - 1,",
    to: "':rest': take,",
  },
  {
    name: 'spent is remembered though raised',
    file: 'store/mak-activations.ts',
    from: "REMOVE #exhausted',\n      ConditionExpression: 'attribute_exists(PK)'",
    to: "',\n      ConditionExpression: 'attribute_exists(PK) AND (attribute_exists(#exhausted) OR attribute_not_exists(#exhausted))'",
  },
  {
    name: 'the last place of another bucket is left',
    file: 'store/mak-activations.ts',
    from: 'if (donor !== undefined) {',
    to: 'if (donor !== undefined && donor.free > 1) {',
  },
  {
    name: 'a split bucket keeps all its places',
    file: 'store/mak-activations.ts',
    from: 'free: bucket.free - free,',
    to: 'free: bucket.free,',
  },
  {
    name: 'a write does not look whether it was changed',
    file: 'store/dynamodb/versioned-item.ts',
    from: "ConditionExpression: '#version = :version',\n          ExpressionAttributeNames: { '#version': 'version' },\n          ExpressionAttributeValues: { ':version': owned.version },\n        };",
    to: "ConditionExpression: 'attribute_exists(PK)',\n        };",
  },
  {
    name: 'an operation is not remembered',
    file: 'store/dynamodb/versioned-item.ts',
    from: 'operation === null ? owned.operations : remembering(owned.operations, operation)',
    to: 'owned.operations',
  },
  {
    name: 'some for every, in why it was cancelled',
    file: 'store/dynamodb/table.ts',
    from: "return reasons.includes(conditionFailed) ? 'condition-failed' : 'transient-failure';",
    to: "return reasons.every((code) => code === conditionFailed) ? 'condition-failed' : 'committed';",
  },
  {
    name: 'a busy database is taken for done',
    file: 'store/dynamodb/table.ts',
    from: "if (isPassing(error)) return 'transient-failure';\n      throw error;",
    to: "if (isPassing(error)) return 'committed';\n      throw error;",
  },
  {
    name: 'places are put over those in use',
    file: 'store/dynamodb/table.ts',
    from: "Item, ConditionExpression: 'attribute_not_exists(PK)' }",
    to: 'Item }',
  },
  {
    name: 'each try is an operation of its own',
    file: 'store/idempotency.ts',
    from: 'fingerprintOf(JSON.stringify([caller, key, fingerprint])).slice(0, 32)',
    to: 'fingerprintOf(JSON.stringify([caller, key, fingerprint, Math.random()])).slice(0, 32)',
  },
  {
    name: 'a request for a key that is not live',
    file: 'store/exceptions.ts',
    from: '        keyIsLive(request.keyId),\n',
    to: '',
  },
  {
    name: 'a second open request',
    file: 'store/exceptions.ts',
    from: "Item: { ...openKey(request.keyId), exceptionId },\n            ConditionExpression: 'attribute_not_exists(PK)',",
    to: 'Item: { ...openKey(request.keyId), exceptionId },',
  },
  {
    name: 'an ended request keeps its place',
    file: 'store/exceptions.ts',
    from: 'const closes = isFinal(request) && !isFinal(owned.state);',
    to: 'const closes = false;',
  },
  {
    name: 'a grant without its places',
    file: 'store/keys.ts',
    from: '    reserveRaise(key.keyId, amount),\n',
    to: '',
  },
  {
    name: 'a request is fulfilled, and the key not raised',
    file: 'store/exceptions.ts',
    from: '...(granted === null\n          ? []',
    to: '...(granted === null || granted.key.type === granted.key.type\n          ? []',
  },
  {
    name: 'a link of who was Correspondent before',
    file: 'store/approval-links.ts',
    from: 'if (!isAskedAt(link.to, agreement, now, store.policy)) {',
    to: 'if (link.to === agreement.agreementId) {',
  },
  {
    name: 'a link of another question decides',
    file: 'domain/exceptions/request.ts',
    from: 'if (ask === null || ask.askNumber !== askNumber) {',
    to: 'if (ask === null) {',
  },
  {
    name: 'any code is right',
    file: 'store/approval-links.ts',
    from: 'if (!sameHash(code.hash, codeHash(store, tokenHash, answer.code))) {',
    to: 'if (answer.code.reveal() === code.hash) {',
  },
  {
    name: 'a reminder is not marked',
    file: 'domain/exceptions/schedule.ts',
    from: 'const remindersSent = ask.remindersSent + 1;',
    to: 'const remindersSent = Math.max(1, ask.remindersSent);',
  },
  {
    name: 'a pause counts twice',
    file: 'domain/exceptions/sla-clock.ts',
    from: 'return { ...clock.spent, [holder]: clock.spent[holder] + Math.max(0, minutes) };',
    to: "return { ...clock.spent, [holder]: clock.spent[holder] + Math.max(0, minutes) * (holder === 'requester' ? 2 : 1) };",
  },
  {
    name: 'the clock runs while it stands',
    file: 'domain/exceptions/sla-clock.ts',
    from: "clock.is === 'running' ? clock.dueAt : addBusinessMinutes(now, clock.remainingMinutes, policy.supportCalendar);\n  return { is: 'running'",
    to: "clock.is === 'running' ? clock.dueAt : addBusinessMinutes(clock.since, clock.remainingMinutes, policy.supportCalendar);\n  return { is: 'running'",
  },
  {
    name: 'a signal that failed is forgotten',
    file: 'domain/exceptions/request.ts',
    from: "drive.is === 'waiting' ? { ...request, drive: { ...drive, is: 'resume-pending' } } : request;",
    to: 'drive.is === drive.is ? request : request;',
  },
  {
    name: 'a lost execution is not looked for',
    file: 'functions/use-cases/signal-workflow.ts',
    from: 'else await startAnew(store, engine, exceptionId, seen, now);\n      return;',
    to: 'return;',
  },
  {
    name: 'a used token is taken for a lost execution',
    file: 'functions/use-cases/signal-workflow.ts',
    from: "if (woken === 'not-waiting' && !(await engine.isRunning(driven))) await startAnew",
    to: "if (woken === 'not-waiting' && (await engine.isRunning(driven))) await startAnew",
  },
  {
    name: 'letters are struck off though not sent',
    file: 'functions/use-cases/send-request-notifications.ts',
    from: '      failures.push(error);\n',
    to: '      settled.push(letter.letterId);\n      failures.push(error);\n',
  },
  {
    name: 'overrides by the day in Greenwich',
    file: 'domain/keys/kms.ts',
    from: 'const usedToday = key.overrides.some((override) => dayIn(override.at, zone) === today);',
    to: "const usedToday = key.overrides.some((override) => override.at.slice(0, 10) === now.slice(0, 10) && today !== '');",
  },
  {
    name: 'an override for any host',
    file: 'domain/keys/kms.ts',
    from: 'each.installationId === ask.installationId && each.spentAt === null',
    to: 'each.spentAt === null',
  },
  {
    name: 'a call reference grants again',
    file: 'domain/keys/mak.ts',
    from: "const given = grantUnder(key.grants, 'call-center', ask.callReference);",
    to: "const given = grantUnder([], 'call-center', ask.callReference);",
  },
  {
    name: 'a replaced key is issued before it is blocked',
    file: 'store/key-replacement.ts',
    from: '    await blockBuckets(store, { keyId, bucketCount: held.kept.bucketCount });\n',
    to: '',
  },
  {
    name: 'the successor is drawn again',
    file: 'store/key-replacement.ts',
    from: "if (wasDone(owned, operation)) return { is: 'no-change', answer: owned.state };",
    to: '',
  },
  {
    name: 'a held key is not on the list',
    file: 'store/keys.ts',
    from: "return dueAttributes('KEY', due);",
    to: "return dueAttributes('KEY', due === null ? null : null);",
  },
  {
    name: 'an entry is not chained',
    file: 'store/dynamodb/versioned-item.ts',
    from: 'previousHash: owned.head.hash };',
    to: "previousHash: owned.head.sequence === 3 ? '' : owned.head.hash };",
  },
  {
    name: 'withdrawn after it was approved',
    file: 'domain/exceptions/request.ts',
    from: "const legal = decided ? move === 'reject' : legalMoves",
    to: "const legal = decided ? move === 'reject' || move === 'withdraw' : legalMoves",
  },
];

export function findInjectedBug(name: string): InjectedBug {
  const bug = injectedBugs.find((each) => each.name === name);
  if (bug === undefined)
    throw new Error(`There is no planted bug “${name}”: test/simulation/injected-bugs.ts has them all.`);
  return bug;
}

const urlOf = ({ file }: InjectedBug) => new URL(`../../${file}`, import.meta.url);

/** The file with the bug in it. Throws when what the bug is made of is not there exactly once. */
export function sourceWithBug(bug: InjectedBug): string {
  const parts = readFileSync(urlOf(bug), 'utf8').split(bug.from);
  if (parts.length !== 2) throw new Error(`“${bug.name}”: its text is ${parts.length - 1} times in ${bug.file}.`);
  return parts.join(bug.to);
}

/** Plants one bug into what is loaded from now on. */
export function installBug(bug: InjectedBug): void {
  const source = sourceWithBug(bug);
  const { href } = urlOf(bug);
  registerHooks({ load: (url, context, next) => ({ ...next(url, context), ...(url === href ? { source } : {}) }) });
}
