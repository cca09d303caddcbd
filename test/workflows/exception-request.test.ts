import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Standing } from '../../domain/exceptions/request.ts';
import { standingOf } from '../../domain/exceptions/request.ts';
import { manifest, namesOf } from '../../functions/manifest.ts';
import type { Workflow, WorkflowState } from '../../workflows/diagram.ts';
import { nextOf, statesPage, waits, workflowPage } from '../../workflows/diagram.ts';
import definition from '../../workflows/exception-request.asl.json' with { type: 'json' };
import { requestApproved, requestInEachState } from '../builders.ts';
import { root } from '../project-files.ts';

// A CommonJS module without types.
const validate: (file: unknown) => { readonly isValid: boolean; readonly errorsText: () => string } = createRequire(
  import.meta.url,
)('asl-validator');

const workflow: Workflow = definition;
const states = Object.entries<WorkflowState>(definition.States);

/** What a Task of the workflow is, beside what every state is. */
const taskSchema = z.object({
  Parameters: z.strictObject({ FunctionName: z.string(), Payload: z.record(z.string(), z.string()) }),
  Retry: z.array(z.looseObject({ ErrorEquals: z.array(z.string()), MaxAttempts: z.number() })).min(1),
  Catch: z.array(z.strictObject({ ErrorEquals: z.array(z.string()), ResultPath: z.string(), Next: z.string() })).min(1),
});
const tasks = Object.entries(definition.States).flatMap(([name, state]) =>
  state.Type === 'Task' ? [{ name, state: state as WorkflowState, ...taskSchema.parse(state) }] : [],
);

describe('the workflow file', () => {
  it('is one that Step Functions takes', () => {
    const { isValid, errorsText } = validate(definition);
    expect(errorsText()).toBe('');
    expect(isValid).toBe(true);
  });

  it('has sentences for states, and says of each what happens there', () => {
    for (const [name, { Comment }] of states) {
      expect(name).toMatch(/^[A-Z][a-z]+( [\w']+){1,}$/);
      expect(Comment, name).toMatch(/^[A-Z].{20,}\.$/);
    }
    expect(workflow.Comment).toMatch(/^[A-Z].{20,}\.$/);
  });

  it('leads from its start to every state, and from every state to an end', () => {
    const reached = new Set<string>();
    const toVisit = [workflow.StartAt];
    for (let name = toVisit.pop(); name !== undefined; name = toVisit.pop()) {
      const state: WorkflowState | undefined = workflow.States[name];
      if (state === undefined || reached.has(name)) continue;
      reached.add(name);
      toVisit.push(...nextOf(state).map(({ to }) => to), ...(state.Catch ?? []).map(({ Next }) => Next));
    }
    expect([...reached].toSorted()).toEqual(states.map(([name]) => name).toSorted());
    for (const [name, state] of states) {
      const ends = state.End === true || state.Type === 'Succeed' || state.Type === 'Fail';
      expect(ends || nextOf(state).length > 0, name).toBe(true);
    }
  });

  it('holds no rule: it compares one thing only, which the request has said', () => {
    const compared = JSON.stringify(definition).match(/"(\w*(Equals|LessThan|GreaterThan|Matches)\w*|Is\w+)":/g) ?? [];
    expect(new Set(compared)).toEqual(new Set(['"StringEquals":', '"ErrorEquals":']));
    const [choice, ...others] = states.filter(([, { Type }]) => Type === 'Choice');
    expect(others).toEqual([]);
    const variables = JSON.stringify(choice).match(/"Variable":"[^"]+"/g) ?? [];
    expect(new Set(variables)).toEqual(new Set(['"Variable":"$.standing"']));
    expect(JSON.stringify(definition)).not.toMatch(/States\.(Math|Array|String|Format)|JSONata|Assign/);
  });

  it('holds no number but how a step that failed is tried again', () => {
    const withoutRetries = JSON.stringify(definition, (key, value) => (key === 'Retry' ? undefined : value));
    expect(withoutRetries.match(/[:[,]-?\d/g) ?? []).toEqual([]);
    expect(withoutRetries).not.toMatch(/TimeoutSeconds|HeartbeatSeconds|"Type":"Wait"/);
  });

  it('has one way for every standing that a request can have', () => {
    const [, choice] = states.find(([, { Type }]) => Type === 'Choice') ?? [];
    const ways = (choice?.Choices ?? []).map(({ StringEquals }) => StringEquals);
    // Compiles only while these are all the standings there are.
    const standings = Object.keys({
      review: true,
      'ask-correspondent': true,
      'ask-requester': true,
      fulfil: true,
      end: true,
    } satisfies Record<Standing, true>);
    expect([...ways, 'end'].toSorted()).toEqual(standings.toSorted());
    const seen = [...requestInEachState, requestApproved()].map(standingOf);
    expect([...new Set(seen)].toSorted()).toEqual(standings.toSorted());
    expect(workflow.States[choice?.Default ?? '']?.Type).toBe('Succeed');
  });
});

describe('every task', () => {
  it.each(tasks)('is tried again, and in the end left to the sweep: $name', ({ Retry, Catch, state }) => {
    expect(Retry.at(-1)).toMatchObject({ ErrorEquals: ['States.ALL'], MaxAttempts: 8, JitterStrategy: 'FULL' });
    expect(Catch).toEqual([{ ErrorEquals: ['States.ALL'], ResultPath: '$.failure', Next: 'Leave it to the sweep' }]);
    expect(state.Next !== undefined || state.End === true).toBe(true);
  });

  it.each(tasks)('calls a function that the manifest has, with what each step is told: $name', (task) => {
    const { FunctionName, Payload } = task.Parameters;
    const named = FunctionName.replace(/^\$\{(\w+)\}$/, '$1');
    expect(namesOf('step')).toContain(named);
    expect(Payload).toEqual({
      'exceptionId.$': '$.exceptionId',
      'attempt.$': '$.attempt',
      ...(waits(task.state) ? { 'taskToken.$': '$$.Task.Token' } : {}),
    });
    const rights: readonly string[] = manifest[named as keyof typeof manifest].may;
    expect(rights.includes('answer-task-token')).toBe(waits(task.state));
  });

  it('is the only one for its step, and every step has one', () => {
    const called = tasks.map(({ Parameters }) => Parameters.FunctionName.slice(2, -1));
    expect(called.toSorted()).toEqual([...namesOf('step')].toSorted());
  });
});

describe('a request that is approved at once', () => {
  it('takes no more than eight transitions, for each of which AWS is paid', () => {
    // The way of an approval: each state entered, and the end, counts as one.
    const answers: readonly Standing[] = ['ask-correspondent', 'fulfil'];
    const entered: string[] = [];
    let name: string | undefined = workflow.StartAt;
    let asked = 0;
    while (name !== undefined) {
      entered.push(name);
      const state: WorkflowState | undefined = workflow.States[name];
      if (state === undefined) throw new Error(`There is no state ${name}.`);
      const chosen: string | undefined = state.Choices?.find((each) => each.StringEquals === answers[asked])?.Next;
      if (state.Type === 'Choice') asked += 1;
      name = chosen ?? state.Next;
    }
    expect(entered.at(-1)).toBe('Tell people');
    expect(entered.length + 1).toBeLessThanOrEqual(8);
  });
});

describe('the drawings in the docs', () => {
  it('EXC-12 show the workflow as the file has it', async () => {
    await expect(workflowPage(workflow)).toMatchFileSnapshot(join(root, 'docs/workflow.md'));
  });

  it('EXC-12 show the legal moves as the table has them', async () => {
    await expect(statesPage()).toMatchFileSnapshot(join(root, 'docs/exception-states.md'));
  });

  it('leave out no state and no way', () => {
    const page = workflowPage(workflow);
    for (const [name] of states) expect(page).toContain(`"${name}"`);
    const ways = states.flatMap(([, state]) => [...nextOf(state), ...(state.Catch ?? []), ...(state.End ? [1] : [])]);
    expect(page.match(/-->|-\.->/g)).toHaveLength(ways.length + 1);
  });
});
