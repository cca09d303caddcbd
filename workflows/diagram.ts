import type { ExceptionStatus, TransitionName } from '../domain/exception-status.ts';
import { exceptionStatuses, transitions, transitionTable } from '../domain/exception-status.ts';

/** The parts of a workflow file that the diagram needs. */
export type Workflow = {
  readonly Comment: string;
  readonly StartAt: string;
  readonly States: Readonly<Record<string, WorkflowState>>;
};

export type WorkflowState = {
  readonly Comment: string;
  readonly Type: string;
  readonly Resource?: string;
  readonly Next?: string;
  readonly End?: boolean;
  readonly Choices?: readonly { readonly StringEquals: string; readonly Next: string }[];
  readonly Default?: string;
  readonly Catch?: readonly { readonly Next: string }[];
};

/** Returns true if an execution waits in this state until something resumes it with its task token. */
export function waits({ Resource = '' }: WorkflowState): boolean {
  return Resource.endsWith('.waitForTaskToken');
}

/** Returns the states that can follow a state without an error, with the value that selects each branch of a choice. */
export function nextOf(state: WorkflowState): readonly { readonly to: string; readonly when?: string }[] {
  const branches = (state.Choices ?? []).map(({ Next, StringEquals }) => ({ to: Next, when: StringEquals }));
  const defaultBranch = state.Default === undefined ? [] : [{ to: state.Default, when: 'anything else' }];
  return [...branches, ...defaultBranch, ...(state.Next === undefined ? [] : [{ to: state.Next }])];
}

/** Returns the page of the docs about the workflow: Markdown with a Mermaid flowchart. */
export function workflowPage({ Comment, StartAt, States }: Workflow): string {
  const states = Object.entries(States);
  const idOf = new Map(states.map(([name], index) => [name, `s${index + 1}`]));
  const id = (name: string) => idOf.get(name) ?? name;
  const edges = states.flatMap(([name, state]) => [
    ...nextOf(state).map(({ to, when }) => `${id(name)} -->${when === undefined ? '' : `|${when}|`} ${id(to)}`),
    ...(state.End ? [`${id(name)} --> done`] : []),
    ...(state.Catch ?? []).map(({ Next }) => `${id(name)} -.-> ${id(Next)}`),
  ]);
  return [
    '# Workflow of an exception request',
    '',
    Comment,
    '',
    '```mermaid',
    'flowchart TD',
    ...[
      `begin((" ")) --> ${id(StartAt)}`,
      'done(((" ")))',
      ...states.map(([name, state]) => `${id(name)}${shapeOf(name, state)}`),
      ...edges,
    ].map((line) => `  ${line}`),
    '```',
    '',
    'In a state with rounded ends, the execution waits until the request changes. A dotted line shows what happens when a step',
    'fails after all of its retries.',
    '',
    '| State | Description |',
    '|---|---|',
    ...states.map(([name, state]) => `| ${name} | ${state.Comment} |`),
    '',
    'This page is generated from `workflows/exception-request.asl.json`, and a test compares the two. To update it, run',
    '`npx vitest run test/workflows -u`.',
    '',
  ].join('\n');
}

function shapeOf(name: string, state: WorkflowState): string {
  switch (state.Type) {
    case 'Choice':
      return `{"${name}"}`;
    case 'Succeed':
    case 'Fail':
      return `[["${name}"]]`;
    default:
      return waits(state) ? `(["${name}"])` : `["${name}"]`;
  }
}

/** The actor and the effect of each transition. */
const descriptions: Readonly<Record<TransitionName, string>> = {
  review: 'The service submits a flagged request to the exceptions team.',
  ask: 'The service asks the Notices Correspondent to approve a request that needs no review.',
  question: 'The exceptions team asks the requester a question. The SLA clock pauses.',
  answer: 'A contact answers the question. The SLA clock resumes.',
  forward: 'The exceptions team asks the Notices Correspondent to approve the number requested or a smaller one.',
  reject: 'The exceptions team rejects the request, with a reason, at any time before the limit is raised.',
  withdraw: 'A contact withdraws the request before the Notices Correspondent decides.',
  approve: 'The Notices Correspondent approves the number. The limit is not raised yet.',
  deny: 'The Notices Correspondent denies the request.',
  fulfill: 'The service raises the limit by the approved number.',
  lapse: 'The service closes a request that the requester or the Notices Correspondent did not answer in time.',
  dispute: 'The Notices Correspondent reports, before the limit is raised, that the approval was not theirs.',
};

/**
 * Returns the page of the docs about the states of a request and its transitions (EXC-12): Markdown with a Mermaid
 * diagram.
 */
export function statesPage(): string {
  const id = (status: ExceptionStatus) => status.replaceAll('-', '_');
  const edges = exceptionStatuses.flatMap((from) => {
    const outgoing = transitionsFrom(from);
    if (outgoing.length === 0) return [`${id(from)} --> [*]`];
    const targets = exceptionStatuses.filter((to) => outgoing.some((each) => each.to === to));
    return targets.map((to) => {
      const names = outgoing.filter((each) => each.to === to).map(({ transition }) => transition);
      return `${id(from)} --> ${id(to)} : ${names.join(', ')}`;
    });
  });
  return [
    '# States of an exception request',
    '',
    'A request is in one of nine states; the last five are final. Any other transition is refused, and the refusal names the',
    'state and the transitions that are possible.',
    '',
    '```mermaid',
    'stateDiagram-v2',
    ...exceptionStatuses
      .filter((status) => id(status) !== status)
      .map((status) => `  state "${status}" as ${id(status)}`),
    '  [*] --> received',
    ...edges.map((edge) => `  ${edge}`),
    '```',
    '',
    '| Transition | Description | From | To |',
    '|---|---|---|---|',
    ...transitions.map((transition) => {
      const from = exceptionStatuses.filter((status) => transitionTable[status][transition] !== undefined);
      const to = new Set(from.map((status) => transitionTable[status][transition]));
      return `| ${transition} | ${descriptions[transition]} | ${from.join(', ')} | ${[...to].join(', ')} |`;
    }),
    '',
    'Once an approval is recorded, three transitions remain: the service raises the limit, the exceptions team rejects, or the',
    'Notices Correspondent disputes.',
    '',
    'This page is generated from `transitionTable` in `domain/exception-status.ts`, and a test compares the two. To update it,',
    'run `npx vitest run test/workflows -u`.',
    '',
  ].join('\n');
}

function transitionsFrom(
  status: ExceptionStatus,
): readonly { readonly transition: TransitionName; readonly to: ExceptionStatus }[] {
  return transitions.flatMap((transition) => {
    const to = transitionTable[status][transition];
    return to === undefined ? [] : [{ transition, to }];
  });
}
