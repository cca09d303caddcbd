import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { later } from '../../../domain/calendar/instant.ts';
import { askCorrespondent, decide, withdraw } from '../../../domain/exceptions/request.ts';
import { Secret } from '../../../domain/secret.ts';
import { namesOf } from '../../../functions/manifest.ts';
import { passOn, signal } from '../../../functions/use-cases/signal-workflow.ts';
import { startStepFunctions } from '../../../local/emulators/step-functions.ts';
import type { Store } from '../../../store/dynamodb/table.ts';
import { drive, moveException, park } from '../../../store/exceptions.ts';
import type { Engine } from '../../../workflows/client.ts';
import { openEngine } from '../../../workflows/client.ts';
import definition from '../../../workflows/exception-request.asl.json' with { type: 'json' };
import { carla, context, ines } from '../../builders.ts';
import { mondayTen } from '../../instants.ts';
import { startEngine } from '../../store/dynamodb.ts';
import { whatIsPrinted } from '../captured-logs.ts';
import type { Asked } from '../request-fixture.ts';
import { aRequestTaken, kept } from '../request-fixture.ts';

const tables = await startEngine();
const printed = whatIsPrinted();

// The real workflow, whose steps do nothing but show with which token they wait.
const tokens: string[] = [];
let standing = 'ask-correspondent';
const handlers = Object.fromEntries(
  namesOf('step').map((name) => [
    `\${${name}}`,
    async (input: unknown) => {
      const payload = input as { taskToken?: string };
      if (payload.taskToken !== undefined) tokens.push(payload.taskToken);
      return { ...payload, standing };
    },
  ]),
);
const workflows = await startStepFunctions({ definition, handlers, now: () => mondayTen });

/** The door to the engine at an address, which the client reads when it is first used. */
async function engineAt(address: string): Promise<Engine> {
  process.env.AWS_ENDPOINT_URL_SFN = address;
  const opened = openEngine(workflows.stateMachineArn);
  await opened.isRunning({ exceptionId: 'EX-nothing', attempt: 1 }).catch(() => undefined);
  return opened;
}
const engine = await engineAt(workflows.endpoint);
const unreachable = await engineAt('http://127.0.0.1:9');
afterAll(() => workflows.stop());

let store: Store;
beforeEach(async () => {
  store = await tables.newStore();
  standing = 'ask-correspondent';
});

const executionsOf = ({ exceptionId }: Asked) =>
  workflows
    .executions()
    .filter(({ name }) => name.startsWith(`${exceptionId}-`))
    .map(({ name, status }) => `${name.slice(exceptionId.length + 1)} ${status}`);
const pass = (asked: Asked, now = mondayTen, by: Engine = engine) => passOn(store, by, asked.exceptionId, now);

/** A request whose execution waits with its token for the Correspondent. */
async function waiting(): Promise<Asked & { readonly token: Secret }> {
  const asked = await aRequestTaken(store);
  await pass(asked);
  await workflows.quiet();
  const token = new Secret(tokens.at(-1) ?? '');
  await moveException(store, asked.exceptionId, (request) => askCorrespondent(request, context({ now: mondayTen })), {
    operationId: null,
    now: mondayTen,
  });
  const waits = { attempt: 1, standing: 'ask-correspondent', taskToken: token } as const;
  expect(await park(store, asked.exceptionId, waits, mondayTen)).toBe('parked');
  return { ...asked, token };
}

const approve = (asked: Asked) =>
  moveException(
    store,
    asked.exceptionId,
    (request) =>
      decide(request, 1, { decision: 'approve', comment: null }, context({ actor: carla.email, now: mondayTen })),
    { operationId: 'approve', now: mondayTen },
  );

describe('a request whose workflow is to be started', () => {
  it('APR-6 is started, once, whoever passes it on and however often', async () => {
    const asked = await aRequestTaken(store);
    await Promise.all([pass(asked), pass(asked), pass(asked)]);
    await pass(asked);
    expect(executionsOf(asked)).toEqual(['1 RUNNING']);
  });

  it('APR-6 is started anew when its execution has ended without it', async () => {
    const asked = await aRequestTaken(store);
    standing = 'end';
    await pass(asked);
    await workflows.quiet();
    standing = 'ask-correspondent';
    await pass(asked);
    expect(executionsOf(asked)).toEqual(['1 SUCCEEDED', '2 RUNNING']);
    expect((await kept(store, asked)).drive).toMatchObject({ is: 'to-start', attempt: 2 });
  });
});

describe('a request whose workflow is to be woken', () => {
  it('APR-6 is woken with its token, and whoever comes later disturbs nothing', async () => {
    const asked = await waiting();
    await approve(asked);
    expect((await kept(store, asked)).drive.is).toBe('to-wake');
    standing = 'fulfil';
    await Promise.all([pass(asked), pass(asked)]);
    await pass(asked);
    await workflows.quiet();
    expect(
      workflows
        .history(`${asked.exceptionId}-1`)
        ?.map(({ state }) => state)
        .slice(-2),
    ).toEqual(['Raise the limit', 'Tell people']);
  });

  it('APR-6 is started anew, once, when the execution that waited is lost', async () => {
    const asked = await waiting();
    await approve(asked);
    // As after a restart of the engine: nobody knows the token, and the execution is not there.
    const forgetful: Engine = { ...engine, wake: async () => 'gone', isRunning: async () => false };
    await Promise.all([pass(asked, mondayTen, forgetful), pass(asked, mondayTen, forgetful)]);
    await pass(asked, mondayTen, forgetful);
    expect((await kept(store, asked)).drive).toMatchObject({ is: 'to-start', attempt: 2 });
    expect(executionsOf(asked).filter((each) => each.startsWith('2'))).toHaveLength(1);
  });

  it('APR-6 is left alone when its token was used a moment ago and the execution is on its way', async () => {
    const asked = await waiting();
    await approve(asked);
    const onItsWay: Engine = { ...engine, wake: async () => 'gone', isRunning: async () => true };
    await pass(asked, mondayTen, onItsWay);
    expect((await kept(store, asked)).drive).toMatchObject({ is: 'to-wake', attempt: 1 });
  });
});

describe('a request that moved on while it was looked after', () => {
  it('APR-6 is not started anew over what happened meanwhile', async () => {
    const asked = await waiting();
    await approve(asked);
    const tooLate: Engine = {
      ...engine,
      wake: async () => 'gone',
      isRunning: async () => {
        const { drive: seen } = await kept(store, asked);
        await drive(store, asked.exceptionId, { seen, next: { is: 'awake', attempt: 1 } }, mondayTen);
        return false;
      },
    };
    await pass(asked, mondayTen, tooLate);
    expect((await kept(store, asked)).drive).toMatchObject({ is: 'awake', attempt: 1 });
    expect(executionsOf(asked).filter((each) => each.startsWith('2'))).toEqual([]);
  });
});

describe('a request that waits', () => {
  it('APR-6 is looked after once a day: left alone while its execution is there, and started anew when it is not', async () => {
    const asked = await waiting();
    const lost: Engine = { ...engine, isRunning: async () => false };
    const day = later(mondayTen, { hours: 24 });
    await pass(asked, later(day, { seconds: -1 }), lost);
    expect((await kept(store, asked)).drive).toMatchObject({ is: 'parked', attempt: 1 });
    await pass(asked, day);
    expect((await kept(store, asked)).drive).toMatchObject({ is: 'parked', attempt: 1, since: day });
    await pass(asked, later(day, { hours: 24 }), lost);
    expect((await kept(store, asked)).drive).toMatchObject({ is: 'to-start', attempt: 2 });
  });

  it('EXC-10 owes its workflow a wake-up whatever happens to it, and nothing once that has ended', async () => {
    const asked = await waiting();
    await moveException(
      store,
      asked.exceptionId,
      (request) => withdraw(request, null, context({ actor: ines.email, now: mondayTen })),
      { operationId: 'withdraw', now: mondayTen },
    );
    expect((await kept(store, asked)).drive.is).toBe('to-wake');
    standing = 'end';
    await pass(asked);
    await workflows.quiet();
    expect(executionsOf(asked)).toEqual(['1 SUCCEEDED']);
  });
});

describe('an engine that cannot be reached', () => {
  it('APR-6 is no concern of who has just decided: it is logged, and left to the sweep', async () => {
    const asked = await aRequestTaken(store);
    await expect(passOn(store, unreachable, asked.exceptionId, mondayTen)).rejects.toThrow();
    await signal(store, unreachable, asked.exceptionId, mondayTen);
    expect(printed.text()).toContain('left to the sweep');
    expect((await kept(store, asked)).drive).toMatchObject({ is: 'to-start', attempt: 1 });
    await pass(asked);
    expect(executionsOf(asked)).toEqual(['1 RUNNING']);
  });

  it('APR-1 is not told in the log with which token it was to be woken', async () => {
    const asked = await waiting();
    await approve(asked);
    await signal(store, unreachable, asked.exceptionId, mondayTen);
    expect(printed.text()).toContain('left to the sweep');
    expect(printed.text()).not.toContain(asked.token.reveal());
  });

  it('is not asked about a request that is not there', async () => {
    await passOn(store, unreachable, 'EX-nothing', mondayTen);
  });
});
