import type { ExceptionStatus, Move } from '../domain/exception-status.ts';
import { exceptionStatuses, legalMoves, moves } from '../domain/exception-status.ts';

/** As much of a workflow file as a drawing of it needs. */
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

/** Whether an execution sleeps in this state until it is woken with its token. */
export function waits({ Resource = '' }: WorkflowState): boolean {
  return Resource.endsWith('.waitForTaskToken');
}

/** Where an execution can go from a state when all is well, and what makes it go there where there is a choice. */
export function nextOf(state: WorkflowState): readonly { readonly to: string; readonly when?: string }[] {
  const chosen = (state.Choices ?? []).map(({ Next, StringEquals }) => ({ to: Next, when: StringEquals }));
  const otherwise = state.Default === undefined ? [] : [{ to: state.Default, when: 'anything else' }];
  return [...chosen, ...otherwise, ...(state.Next === undefined ? [] : [{ to: state.Next }])];
}

/** The page of the docs that draws the workflow, in Markdown with a Mermaid flowchart. */
export function workflowPage({ Comment, StartAt, States }: Workflow): string {
  const states = Object.entries(States);
  const idOf = new Map(states.map(([name], index) => [name, `s${index + 1}`]));
  const id = (name: string) => idOf.get(name) ?? name;
  const ways = states.flatMap(([name, state]) => [
    ...nextOf(state).map(({ to, when }) => `${id(name)} -->${when === undefined ? '' : `|${when}|`} ${id(to)}`),
    ...(state.End ? [`${id(name)} --> done`] : []),
    ...(state.Catch ?? []).map(({ Next }) => `${id(name)} -.-> ${id(Next)}`),
  ]);
  return [
    '# How a request moves',
    '',
    Comment,
    '',
    '```mermaid',
    'flowchart TD',
    ...[
      `begin((" ")) --> ${id(StartAt)}`,
      'done(((" ")))',
      ...states.map(([name, state]) => `${id(name)}${shaped(name, state)}`),
      ...ways,
    ].map((line) => `  ${line}`),
    '```',
    '',
    'In a state with rounded ends the execution sleeps until somebody has moved the request. A dotted way is taken when a',
    'step kept failing after all of its retries.',
    '',
    '| State | What happens there |',
    '|---|---|',
    ...states.map(([name, state]) => `| ${name} | ${state.Comment} |`),
    '',
    'This page is made from `workflows/exception-request.asl.json`, and a test compares the two:',
    '`npx vitest run test/workflows -u` makes it anew.',
    '',
  ].join('\n');
}

function shaped(name: string, state: WorkflowState): string {
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

/** Who makes each move, and what it is. */
const told: Readonly<Record<Move, string>> = {
  review: 'The service puts a flagged request before the exceptions team.',
  ask: 'The service asks the Notices Correspondent about a request that needs no review.',
  question: 'The exceptions team puts a question to the requester; the clock stands.',
  answer: 'A contact answers it; the clock runs on.',
  forward: 'The exceptions team has the Notices Correspondent asked, about the number requested or a smaller one.',
  reject: 'The exceptions team ends it, with a reason, at any time before the limit is raised.',
  withdraw: 'A contact takes it back, before it is decided.',
  approve: 'The Notices Correspondent approves the number asked about. The limit is still to be raised.',
  deny: 'The Notices Correspondent denies it.',
  fulfil: 'The service raises the limit that was approved.',
  lapse: 'The service ends a request to which the requester or the Notices Correspondent did not answer.',
  dispute: 'The Notices Correspondent says that the approval was not theirs, before the limit is raised.',
};

/** The page of the docs that draws the states of a request and its legal moves (EXC-12), in Markdown with a Mermaid diagram. */
export function statesPage(): string {
  const id = (status: ExceptionStatus) => status.replaceAll('-', '_');
  const ways = exceptionStatuses.flatMap((from) => {
    const by = movesFrom(from);
    if (by.length === 0) return [`${id(from)} --> [*]`];
    const targets = exceptionStatuses.filter((to) => by.some((each) => each.to === to));
    return targets.map((to) => {
      const named = by.filter((each) => each.to === to).map(({ move }) => move);
      return `${id(from)} --> ${id(to)} : ${named.join(', ')}`;
    });
  });
  return [
    '# The states of a request',
    '',
    'A request is in one of nine states; the last five are final. What is not drawn here cannot happen: whoever tries is',
    'told the state and what can be done instead.',
    '',
    '```mermaid',
    'stateDiagram-v2',
    ...exceptionStatuses
      .filter((status) => id(status) !== status)
      .map((status) => `  state "${status}" as ${id(status)}`),
    '  [*] --> received',
    ...ways.map((way) => `  ${way}`),
    '```',
    '',
    '| Move | Who makes it | From | To |',
    '|---|---|---|---|',
    ...moves.map((move) => {
      const from = exceptionStatuses.filter((status) => legalMoves[status][move] !== undefined);
      const to = new Set(from.map((status) => legalMoves[status][move]));
      return `| ${move} | ${told[move]} | ${from.join(', ')} | ${[...to].join(', ')} |`;
    }),
    '',
    'Once an approval is recorded, only the limit can be raised, the team can still reject, and the Notices Correspondent can',
    'still dispute.',
    '',
    'This page is made from `legalMoves` in `domain/exceptions/request.ts`, and a test compares the two:',
    '`npx vitest run test/workflows -u` makes it anew.',
    '',
  ].join('\n');
}

function movesFrom(status: ExceptionStatus): readonly { readonly move: Move; readonly to: ExceptionStatus }[] {
  return moves.flatMap((move) => {
    const to = legalMoves[status][move];
    return to === undefined ? [] : [{ move, to }];
  });
}
