import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { NextStep } from '../../domain/exceptions/request.ts';
import { nextStepOf } from '../../domain/exceptions/request.ts';
import { entryNamesOf, manifest } from '../../functions/manifest.ts';
import type { Workflow, WorkflowState } from '../../workflows/diagram.ts';
import { nextOf, statesPage, waits, workflowPage } from '../../workflows/diagram.ts';
import definition from '../../workflows/exception-request.asl.json' with { type: 'json' };
import { requestApproved, requestInEachState } from '../builders.ts';
import { root } from '../project-files.ts';

// A CommonJS module without types.
const validate: (definition: unknown) => { readonly isValid: boolean; readonly errorsText: () => string } =
  createRequire(import.meta.url)('asl-validator');

const workflow: Workflow = definition;
const states = Object.entries<WorkflowState>(definition.States);

/** The members of a Task, besides those of every state. */
const taskSchema = z.object({
  Parameters: z.strictObject({ FunctionName: z.string(), Payload: z.record(z.string(), z.string()) }),
  Retry: z.array(z.looseObject({ ErrorEquals: z.array(z.string()), MaxAttempts: z.number() })).min(1),
  Catch: z.array(z.strictObject({ ErrorEquals: z.array(z.string()), ResultPath: z.string(), Next: z.string() })).min(1),
});
const tasks = Object.entries(definition.States).flatMap(([name, state]) =>
  state.Type === 'Task' ? [{ name, state: state as WorkflowState, ...taskSchema.parse(state) }] : [],
);

describe('the workflow file', () => {
  it('is valid for Step Functions', () => {
    const { isValid, errorsText } = validate(definition);
    expect(errorsText()).toBe('');
    expect(isValid).toBe(true);
  });

  it('names every state by a sentence and comments on it', () => {
    for (const [name, { Comment }] of states) {
      expect(name).toMatch(/^[A-Z][a-z]+( [\w']+){1,}$/);
      expect(Comment, name).toMatch(/^[A-Z].{20,}\.$/);
    }
    expect(workflow.Comment).toMatch(/^[A-Z].{20,}\.$/);
  });

  it('reaches every state from the start, and an end from every state', () => {
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

  it('holds no rule: it compares only the next step that the request returned', () => {
    const comparisons =
      JSON.stringify(definition).match(/"(\w*(Equals|LessThan|GreaterThan|Matches)\w*|Is\w+)":/g) ?? [];
    expect(new Set(comparisons)).toEqual(new Set(['"StringEquals":', '"ErrorEquals":']));
    const [choice, ...others] = states.filter(([, { Type }]) => Type === 'Choice');
    expect(others).toEqual([]);
    const variables = JSON.stringify(choice).match(/"Variable":"[^"]+"/g) ?? [];
    expect(new Set(variables)).toEqual(new Set(['"Variable":"$.nextStep"']));
    expect(JSON.stringify(definition)).not.toMatch(/States\.(Math|Array|String|Format)|JSONata|Assign/);
  });

  it('holds no number except those of the retries', () => {
    const withoutRetries = JSON.stringify(definition, (key, value) => (key === 'Retry' ? undefined : value));
    expect(withoutRetries.match(/[:[,]-?\d/g) ?? []).toEqual([]);
    expect(withoutRetries).not.toMatch(/TimeoutSeconds|HeartbeatSeconds|"Type":"Wait"/);
  });

  it('has one branch for every next step of a request', () => {
    const [, choice] = states.find(([, { Type }]) => Type === 'Choice') ?? [];
    const branches = (choice?.Choices ?? []).map(({ StringEquals }) => StringEquals);
    // Compiles only while this list is complete.
    const nextSteps = Object.keys({
      'request-review': true,
      'request-approval': true,
      'request-information': true,
      'raise-limit': true,
      end: true,
    } satisfies Record<NextStep, true>);
    expect([...branches, 'end'].toSorted()).toEqual(nextSteps.toSorted());
    const reachable = [...requestInEachState, requestApproved()].map(nextStepOf);
    expect([...new Set(reachable)].toSorted()).toEqual(nextSteps.toSorted());
    expect(workflow.States[choice?.Default ?? '']?.Type).toBe('Succeed');
  });
});

describe('every task', () => {
  it.each(tasks)('retries, and then fails so that the sweep restarts the request: $name', ({ Retry, Catch, state }) => {
    expect(Retry.at(-1)).toMatchObject({ ErrorEquals: ['States.ALL'], MaxAttempts: 8, JitterStrategy: 'FULL' });
    expect(Catch).toEqual([
      { ErrorEquals: ['States.ALL'], ResultPath: '$.failure', Next: 'Fail and let the sweep restart' },
    ]);
    expect(state.Next !== undefined || state.End === true).toBe(true);
  });

  it.each(tasks)('invokes a function of the manifest with the input of every step: $name', (task) => {
    const { FunctionName, Payload } = task.Parameters;
    const entryName = FunctionName.replace(/^\$\{(\w+)\}$/, '$1');
    expect(entryNamesOf('step')).toContain(entryName);
    expect(Payload).toEqual({
      'exceptionId.$': '$.exceptionId',
      'executionNumber.$': '$.executionNumber',
      ...(waits(task.state) ? { 'taskToken.$': '$$.Task.Token' } : {}),
    });
    const permissions: readonly string[] = manifest[entryName as keyof typeof manifest].permissions;
    expect(permissions.includes('answer-task-token')).toBe(waits(task.state));
  });

  it('retries like every other task', () => {
    expect(new Set(tasks.map(({ Retry }) => JSON.stringify(Retry))).size).toBe(1);
  });

  it('is the only task of its step, and every step has one', () => {
    const invoked = tasks.map(({ Parameters }) => Parameters.FunctionName.slice(2, -1));
    expect(invoked.toSorted()).toEqual([...entryNamesOf('step')].toSorted());
  });
});

describe('a request that is approved at once', () => {
  it('takes at most eight billed state transitions', () => {
    // Each state entered, and the end, counts as one transition.
    const nextSteps: readonly NextStep[] = ['request-approval', 'raise-limit'];
    const entered: string[] = [];
    let name: string | undefined = workflow.StartAt;
    let choiceIndex = 0;
    while (name !== undefined) {
      entered.push(name);
      const state: WorkflowState | undefined = workflow.States[name];
      if (state === undefined) throw new Error(`There is no state ${name}.`);
      const nextStep = nextSteps[choiceIndex];
      const branch: { readonly Next: string } | undefined = state.Choices?.find(
        (each) => each.StringEquals === nextStep,
      );
      if (state.Type === 'Choice') choiceIndex += 1;
      name = branch?.Next ?? state.Next;
    }
    expect(entered.at(-1)).toBe('Send the outcome');
    expect(entered.length + 1).toBeLessThanOrEqual(8);
  });
});

describe('the diagrams in the docs', () => {
  it('EXC-12 show the workflow of the file', async () => {
    await expect(workflowPage(workflow)).toMatchFileSnapshot(join(root, 'docs/workflow.md'));
  });

  it('EXC-12 show the transitions of the table', async () => {
    await expect(statesPage()).toMatchFileSnapshot(join(root, 'docs/exception-states.md'));
  });

  it('show every state and every edge', () => {
    const page = workflowPage(workflow);
    for (const [name] of states) expect(page).toContain(`"${name}"`);
    const edges = states.flatMap(([, state]) => [...nextOf(state), ...(state.Catch ?? []), ...(state.End ? [1] : [])]);
    expect(page.match(/-->|-\.->/g)).toHaveLength(edges.length + 1);
  });
});
