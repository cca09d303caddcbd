import { basename, dirname, posix } from 'node:path';
import { type ESTree, parseSync, Visitor } from 'vite';
import { describe, expect, it } from 'vitest';
import { fileOf, manifest } from '../functions/manifest.ts';
import { projectFiles, readProjectFile } from './project-files.ts';

/**
 * Which top-level folder may import from which places. A place is a folder with everything in it, or one file; the prefix
 * `type ` allows types only. A folder may always import from itself.
 */
const folders: Record<string, readonly string[] | 'anything'> = {
  domain: [],
  emails: ['domain'],
  store: ['domain'],
  workflows: ['domain'],
  functions: ['domain', 'emails', 'store', 'workflows', 'policy.json'],
  infra: [
    'functions/manifest.ts',
    'type functions/environment.ts',
    'store/dynamodb/schema.ts',
    'workflows/exception-request.asl.json',
    'policy.json',
  ],
  local: [
    'functions',
    'store/dynamodb/schema.ts',
    'store/dynamodb/create-table.ts',
    'workflows/exception-request.asl.json',
    'type domain',
    'policy.json',
  ],
  commands: ['functions', 'store', 'domain', 'infra/stage.ts'],
  console: [],
  test: 'anything',
  bench: 'anything',
};

/** Folders inside these two may import from the folders before them in the list, and from the files beside the folders. */
const orderInside: Readonly<Record<string, readonly string[]>> = {
  domain: ['calendar', '.', 'keys', 'exceptions'],
  functions: ['.', 'runtime', 'mail', 'http', 'use-cases', 'openapi', 'api', 'steps', 'events'],
};

/** Places that keep out more than their folder does: what they may import from the project besides themselves. */
const narrow: Readonly<Record<string, readonly string[]>> = {
  'store/dynamodb': ['domain/calendar', 'domain/audit-event.ts'],
};

const wherever = ['domain', 'emails', 'store', 'workflows', 'functions', 'infra', 'local', 'commands'];
const outsideDomain = ['store', 'workflows', 'functions', 'infra', 'local', 'commands'];

/** Which places may import which packages. A package that is not here may be imported in tests and benches only. */
const packages: Record<string, readonly string[]> = {
  zod: wherever,
  'temporal-polyfill': wherever,
  'node:*': outsideDomain,
  '@aws-sdk/*': ['store', 'emails/send.ts', 'workflows/client.ts'],
  '@middy/*': ['functions/runtime', 'functions/http', 'functions/steps/step-handler.ts', 'functions/events'],
  '@aws-lambda-powertools/*': ['functions'],
  'aws-lambda': ['functions', 'local'],
  'aws-cdk-lib': ['infra'],
  constructs: ['infra'],
  'cdk-nag': ['infra'],
  esbuild: ['infra'],
  'aws-local-stepfunctions': ['local'],
  'aws-ses-v2-local': ['local'],
  jose: ['local'],
  mailparser: ['functions/mail/mime.ts'],
  'html-to-text': ['functions/mail/mime.ts'],
};

/** Access to the world outside the program, and the places that may have it. Everywhere else it is an argument. */
const outsideAccess: readonly { what: string; names: RegExp; places: readonly string[] }[] = [
  {
    what: 'the environment',
    names: /^process\.env$/,
    places: ['functions/environment.ts', 'infra/app.ts', 'local/main.ts'],
  },
  {
    what: 'the wall clock',
    names:
      /^(new Date\(\)|Date\(\)|Date\.now|Temporal\.Now|temporal-polyfill\/fns\/Now\.\w+|performance\.now|process\.hrtime)$/,
    places: ['functions/runtime', 'local'],
  },
  {
    what: 'randomness',
    names: /^(Math\.random|((web)?crypto|subtle)\.(random\w+|getRandomValues|generate\w+))$/,
    places: ['functions/runtime', 'local'],
  },
];

/** Names of files and folders that say nothing about their content. */
const emptyNames = /^(src|libs?|shared|common|utils?|helpers?|types?|services?)$/;

type Import = { from: string; typeOnly: boolean };

/** Types whose name is a participle, though it is the standard term for what they hold. */
const participlesAllowed = ['Versioned'];

/** Vague names, which say less about a value than its module does. */
const vagueTypeNames =
  /^([A-Z][a-z]+ed|Told|Seen|Became|Beg[u]n|Kept|Spent|Known|Facts|Things|About|World|People|Sought|Sent|Given|Said|Shown|Written|\w*(Manager|Helper|Util|Utils|Data|Info))$/;

/** The imports of one source file, the outside names that it uses (as their module calls them), and its exported types. */
type ParsedSource = { imports: Import[]; names: string[]; isBarrel: boolean; casts: string[]; exportedTypes: string[] };

function parseSource(path: string, source: string): ParsedSource {
  const { program, module, errors } = parseSync(path, source);
  if (errors.length > 0) throw new Error(`${path} does not parse: ${errors[0]?.message}`);
  const imports: Import[] = [];
  const names: string[] = [];
  const casts: string[] = [];
  const aliases = new Map<string, string>();
  const nameOf = (node: ESTree.Node): string => {
    if (node.type === 'Identifier') return aliases.get(node.name) ?? node.name;
    if (node.type !== 'MemberExpression') return '';
    if (node.property.type === 'Literal') return String(node.property.value);
    return node.computed || node.property.type !== 'Identifier' ? '' : node.property.name;
  };

  for (const { moduleRequest, entries } of module.staticImports) {
    imports.push({ from: moduleRequest.value, typeOnly: entries.length > 0 && entries.every((entry) => entry.isType) });
    const from = moduleRequest.value.replace(/^node:/, '');
    for (const { importName, localName } of entries) {
      aliases.set(localName.value, importName.kind === 'Name' && importName.name ? importName.name : from);
      if (importName.kind === 'Name') names.push(`${from}.${importName.name}`);
    }
  }
  for (const { moduleRequest, isType } of module.staticExports.flatMap((statement) => statement.entries)) {
    if (moduleRequest) imports.push({ from: moduleRequest.value, typeOnly: isType });
  }

  new Visitor({
    ImportExpression({ source: from }) {
      // A computed specifier cannot be checked here. Only `local` and the tests may have one.
      imports.push({ from: from.type === 'Literal' ? String(from.value) : '(computed)', typeOnly: false });
    },
    TSImportType({ source: from }) {
      imports.push({ from: from.value, typeOnly: true });
    },
    MemberExpression(node) {
      names.push(`${nameOf(node.object)}.${nameOf(node)}`);
    },
    VariableDeclarator({ id, init }) {
      if (id.type !== 'ObjectPattern' || !init) return;
      for (const property of id.properties) {
        if (property.type === 'Property') names.push(`${nameOf(init)}.${nameOf(property.key)}`);
      }
    },
    NewExpression({ callee, arguments: given }) {
      if (given.length === 0) names.push(`new ${nameOf(callee)}()`);
    },
    CallExpression({ callee }) {
      if (callee.type === 'Identifier') names.push(`${nameOf(callee)}()`);
    },
    TSAsExpression({ expression, start, end }) {
      if (expression.type === 'TSAsExpression') casts.push(source.slice(start, end));
    },
  }).visit(program);

  const exportedTypes = program.body.flatMap((node) =>
    node.type === 'ExportNamedDeclaration' &&
    (node.declaration?.type === 'TSTypeAliasDeclaration' ||
      node.declaration?.type === 'TSInterfaceDeclaration' ||
      node.declaration?.type === 'ClassDeclaration')
      ? [node.declaration.id?.name ?? '']
      : [],
  );

  const isReExport = (node: ESTree.Node) =>
    node.type === 'ExportAllDeclaration' || (node.type === 'ExportNamedDeclaration' && node.source !== null);
  const isBarrel =
    program.body.some(isReExport) &&
    program.body.every((node) => isReExport(node) || node.type === 'ImportDeclaration');
  return { imports, names, isBarrel, casts, exportedTypes };
}

const isIn = (path: string, places: readonly string[]) =>
  places.some((place) => path === place || path.startsWith(`${place}/`));

function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return 'node:*';
  const [scope = '', name = ''] = specifier.split('/');
  if (scope.startsWith('@')) return `${scope}/*` in packages ? `${scope}/*` : `${scope}/${name}`;
  return scope;
}

function importViolations(path: string, folder: string, { from, typeOnly }: Import): string[] {
  if (from === '(computed)') {
    return folder === 'local' ? [] : [`${path} imports a module by a computed name`];
  }
  if (!from.startsWith('.')) {
    return isIn(path, packages[packageOf(from)] ?? []) ? [] : [`${path} may not import the package ${from}`];
  }
  const target = posix.join(dirname(path), from);
  const allowed = (folders[folder] ?? []) as readonly string[];
  const places = [folder, ...allowed.map((place) => (typeOnly ? place.replace(/^type /, '') : place))];
  const narrowed = Object.entries(narrow).find(([place]) => isIn(path, [place]));
  const isAllowed =
    isIn(target, places) &&
    isInOrder(path, target, folder) &&
    (narrowed === undefined || isIn(target, [narrowed[0], ...narrowed[1]]));
  return isAllowed ? [] : [`${path} may not import ${target}`];
}

/** Returns whether an import inside a top-level folder follows the order of its subfolders. */
function isInOrder(path: string, target: string, folder: string): boolean {
  const order = orderInside[folder];
  if (order === undefined || !isIn(target, [folder])) return true;
  const rankOf = (file: string) => {
    const parts = file.split('/');
    return order.indexOf(parts.length > 2 ? (parts[1] ?? '') : '.');
  };
  return rankOf(target) <= rankOf(path);
}

/**
 * Returns one sentence for each violation of the rules above in a source file. `path` is relative to the project's root.
 * Tool configuration at the root is not checked; `test` and `bench` may import anything.
 */
function violations(path: string, source: string): string[] {
  if (!path.includes('/')) return [];
  const folder = path.split('/')[0] ?? '';
  if (!(folder in folders)) return [`${path} is in a folder that the architecture does not have`];
  const { imports, names, isBarrel, casts, exportedTypes } = parseSource(path, source);
  const everywhere = [
    ...(isBarrel ? [`${path} only re-exports`] : []),
    ...exportedTypes
      .filter((name) => vagueTypeNames.test(name) && !participlesAllowed.includes(name))
      .map((name) => `${path} exports the type ${name}, whose name does not say what the value is`),
  ];
  if (folders[folder] === 'anything') return everywhere;
  return [
    ...everywhere,
    ...imports.flatMap((each) => importViolations(path, folder, each)),
    ...outsideAccess.flatMap(({ what, names: pattern, places }) => {
      const found = names.find((name) => pattern.test(name));
      return found && !isIn(path, places) ? [`${path} uses ${what}: ${found}`] : [];
    }),
    ...casts.map((cast) => `${path} casts twice: ${cast}`),
  ];
}

/** Returns one sentence for each rule that the path of a file breaks, whatever the file holds. */
function pathViolations(path: string): string[] {
  const empty = path
    .split('/')
    .map((part) => part.replace(/\..*$/, ''))
    .filter((name) => emptyNames.test(name));
  const name = basename(path);
  return [
    ...empty.map((each) => `${path} is called ${each}, which says nothing`),
    ...(/^index\.(ts|js)$/.test(name) ? [`${path} is a barrel by its name`] : []),
    ...(/^the-/.test(name) ? [`${path} begins with “the-”`] : []),
    ...(/^functions\/[^/]+$/.test(path) && !['manifest.ts', 'environment.ts'].includes(name)
      ? [`${path} belongs in a folder of functions/`]
      : []),
  ];
}

/** Files beside the handlers that wrap them and are no Lambda themselves. */
const handlerWrappers = ['functions/steps/step-handler.ts', 'functions/steps/waiting-step.ts'];

describe('the project as it stands', () => {
  const paths = projectFiles();
  const sources = paths.filter((path) => /\.(ts|js|mjs|cjs)$/.test(path));

  it('has sources in the folders of the architecture', () => {
    expect(new Set(sources.map((path) => path.split('/')[0]))).toContain('domain');
  });

  it('follows the import rules, and uses the outside world only where it may', () => {
    expect(sources.flatMap((path) => violations(path, readProjectFile(path)))).toEqual([]);
  });

  it('has paths that say what is inside', () => {
    expect(paths.flatMap(pathViolations)).toEqual([]);
  });
});

describe('a Lambda', () => {
  const handlers = projectFiles('functions').filter((path) => /^functions\/(api|steps|events)\//.test(path));

  it('has an entry in the manifest for each file of api/, steps/, and events/, and a file for each entry', () => {
    const entries = Object.keys(manifest).map(fileOf);
    expect(handlers.filter((path) => !handlerWrappers.includes(path)).toSorted()).toEqual(entries.toSorted());
  });
});

describe('an import from another folder', () => {
  it.each([
    ['domain/a.ts', "import { b } from '../store/b.ts';", 'domain/a.ts may not import store/b.ts'],
    ['domain/a.ts', "import type { B } from '../emails/b.ts';", 'domain/a.ts may not import emails/b.ts'],
    ['domain/a.ts', "export { b } from '../store/b.ts'; const c = 1;", 'domain/a.ts may not import store/b.ts'],
    ['domain/a.ts', "type B = import('../store/b.ts').B;", 'domain/a.ts may not import store/b.ts'],
    ['emails/a.ts', "import { b } from '../store/b.ts';", 'emails/a.ts may not import store/b.ts'],
    ['store/a.ts', "await import('../functions/b.ts');", 'store/a.ts may not import functions/b.ts'],
    ['workflows/a.ts', "import '../store/b.ts';", 'workflows/a.ts may not import store/b.ts'],
    ['functions/a.ts', "import { b } from '../local/b.ts';", 'functions/a.ts may not import local/b.ts'],
    ['infra/a.ts', "import { b } from '../functions/b.ts';", 'infra/a.ts may not import functions/b.ts'],
    [
      'infra/a.ts',
      "import { b } from '../functions/environment.ts';",
      'infra/a.ts may not import functions/environment.ts',
    ],
    ['local/a.ts', "import { b } from '../store/b.ts';", 'local/a.ts may not import store/b.ts'],
    ['local/a.ts', "import { b } from '../domain/b.ts';", 'local/a.ts may not import domain/b.ts'],
    ['local/a.ts', "import type { B } from '../emails/b.ts';", 'local/a.ts may not import emails/b.ts'],
    ['console/a.ts', "import { b } from '../domain/b.ts';", 'console/a.ts may not import domain/b.ts'],
    ['store/a.ts', 'await import(`../$' + '{name}.ts`);', 'store/a.ts imports a module by a computed name'],
    ['attic/a.ts', 'const a = 1;', 'attic/a.ts is in a folder that the architecture does not have'],
    ['domain/a.ts', "import { b } from './keys/b.ts';", 'domain/a.ts may not import domain/keys/b.ts'],
    ['domain/calendar/a.ts', "import type { B } from '../b.ts';", 'domain/calendar/a.ts may not import domain/b.ts'],
    [
      'domain/keys/a.ts',
      "import { b } from '../exceptions/b.ts';",
      'domain/keys/a.ts may not import domain/exceptions/b.ts',
    ],
    [
      'functions/http/a.ts',
      "import { b } from '../api/b.ts';",
      'functions/http/a.ts may not import functions/api/b.ts',
    ],
    [
      'functions/mail/a.ts',
      "import { b } from '../http/b.ts';",
      'functions/mail/a.ts may not import functions/http/b.ts',
    ],
    [
      'store/dynamodb/a.ts',
      "import { b } from '../../domain/keys/b.ts';",
      'store/dynamodb/a.ts may not import domain/keys/b.ts',
    ],
    ['store/dynamodb/a.ts', "import { b } from '../b.ts';", 'store/dynamodb/a.ts may not import store/b.ts'],
  ])('is refused in %s: %s', (path, source, sentence) => {
    expect(violations(path, source)).toEqual([sentence]);
  });

  it.each([
    ['domain/a.ts', "import { b } from './b.ts';"],
    ['domain/exceptions/a.ts', "import { b } from '../keys/b.ts'; import { c } from '../calendar/c.ts';"],
    ['functions/api/a.ts', "import { b } from '../use-cases/b.ts'; import { c } from '../manifest.ts';"],
    ['store/dynamodb/a.ts', "import type { B } from '../../domain/audit-event.ts';"],
    ['emails/a.ts', "import { b } from '../domain/b.ts';"],
    ['functions/api/a.ts', "import { b } from '../../store/b.ts'; import type { C } from '../../workflows/c.ts';"],
    [
      'infra/a.ts',
      "import { b } from '../functions/manifest.ts'; import type { E } from '../functions/environment.ts';",
    ],
    ['infra/a.ts', "import asl from '../workflows/exception-request.asl.json' with { type: 'json' };"],
    ['local/a.ts', "import type { B } from '../domain/b.ts'; await import(`../functions/$" + '{name}.ts`);'],
    ['test/a.ts', "import { b } from '../store/b.ts';"],
    ['bench/a.ts', "import { b } from '../local/b.ts';"],
  ])('is fine in %s: %s', (path, source) => {
    expect(violations(path, source)).toEqual([]);
  });
});

describe('a package', () => {
  it.each([
    ['domain/a.ts', 'node:crypto'],
    ['domain/a.ts', 'fast-check'],
    ['emails/a.ts', '@aws-sdk/client-sesv2'],
    ['workflows/a.ts', '@aws-sdk/client-sfn'],
    ['functions/a.ts', '@aws-sdk/client-dynamodb'],
    ['functions/a.ts', '@middy/core'],
    ['store/a.ts', 'aws-cdk-lib/aws-dynamodb'],
    ['functions/a.ts', 'jose'],
    ['console/a.ts', 'zod'],
  ])('may not be imported in %s: %s', (path, name) => {
    const refusal = [`${path} may not import the package ${name}`];
    expect(violations(path, `import { a } from '${name}';`)).toEqual(refusal);
    expect(violations(path, `import type { A } from '${name}';`)).toEqual(refusal);
  });

  it.each([
    ['domain/a.ts', 'temporal-polyfill'],
    ['domain/a.ts', 'zod'],
    ['store/a.ts', '@aws-sdk/lib-dynamodb'],
    ['emails/send.ts', '@aws-sdk/client-sesv2'],
    ['workflows/client.ts', '@aws-sdk/client-sfn'],
    ['functions/http/handler.ts', '@middy/core'],
    ['functions/steps/step-handler.ts', '@middy/core'],
    ['infra/table.ts', 'aws-cdk-lib/aws-dynamodb'],
    ['store/a.ts', 'node:crypto'],
    ['test/a.ts', 'fast-check'],
  ])('may be imported in %s: %s', (path, name) => {
    expect(violations(path, `import { a } from '${name}';`)).toEqual([]);
  });
});

describe('the outside world', () => {
  it.each([
    ['const a = process.env.A;', 'the environment: process.env'],
    ["const a = process['env'];", 'the environment: process.env'],
    ['const { env } = process;', 'the environment: process.env'],
    ["import { env } from 'node:process';", 'the environment: process.env'],
    ['const a = Date.now();', 'the wall clock: Date.now'],
    ['const a = globalThis.Date.now();', 'the wall clock: Date.now'],
    ['const a = new Date();', 'the wall clock: new Date()'],
    ['const a = new Date;', 'the wall clock: new Date()'],
    ['const a = Date();', 'the wall clock: Date()'],
    ["import { Temporal as T } from 'temporal-polyfill'; const a = T.Now.instant();", 'the wall clock: Temporal.Now'],
    [
      "import * as N from 'temporal-polyfill/fns/Now'; const a = N.instant();",
      'the wall clock: temporal-polyfill/fns/Now.instant',
    ],
    ['const a = performance.now();', 'the wall clock: performance.now'],
    ['const a = process.hrtime.bigint();', 'the wall clock: process.hrtime'],
    ['const a = Math.random();', 'randomness: Math.random'],
    ["import { randomBytes as bytes } from 'node:crypto';", 'randomness: crypto.randomBytes'],
    ["import c from 'node:crypto'; const a = c.randomInt(5);", 'randomness: crypto.randomInt'],
    ['const a = crypto.randomUUID();', 'randomness: crypto.randomUUID'],
    ['crypto.getRandomValues(a);', 'randomness: crypto.getRandomValues'],
  ])('is not used by the store: %s', (source, what) => {
    expect(violations('store/a.ts', source)).toEqual([`store/a.ts uses ${what}`]);
  });

  it.each([
    ['functions/environment.ts', 'const a = process.env.A;'],
    ['infra/app.ts', 'const a = process.env.A;'],
    ['local/main.ts', 'const a = process.env.A;'],
    ['functions/runtime/clock.ts', "import { randomBytes } from 'node:crypto'; const a = Date.now();"],
    ['local/clock.ts', 'const a = new Date();'],
    ['test/a.ts', 'const a = process.env.A; const b = Date.now();'],
    [
      'store/a.ts',
      "const a = new Date('2027-01-04T00:00:00Z'); const b = world.randomBytes(32); const c = clock.now();",
    ],
  ])('may be used in %s: %s', (path, source) => {
    expect(violations(path, source)).toEqual([]);
  });

  it.each(['local/demo.ts', 'functions/runtime/clock.ts', 'infra/table.ts'])(
    '%s does not read the environment',
    (path) => {
      expect(violations(path, 'const a = process.env.A;')).toEqual([`${path} uses the environment: process.env`]);
    },
  );
});

describe('an exported type', () => {
  it.each(['Told', 'Looked', 'Facts', 'KeyManager', 'RequestInfo'])('may not be called %s', (name) => {
    expect(violations('domain/a.ts', `export type ${name} = string;`)).toEqual([
      `domain/a.ts exports the type ${name}, whose name does not say what the value is`,
    ]);
    expect(violations('test/a.ts', `export class ${name} {}`)).toHaveLength(1);
    expect(violations('domain/a.ts', `type ${name} = string;`)).toEqual([]);
  });

  it('may be a participle that is the standard term', () => {
    expect(violations('store/a.ts', 'export type Versioned = string; export type CommitResult = string;')).toEqual([]);
  });
});

describe('a cast', () => {
  it('is refused where it goes through a second type, and left alone where it does not or in a test', () => {
    const twice = 'const a = b as unknown as string;';
    expect(violations('store/a.ts', twice)).toEqual(['store/a.ts casts twice: b as unknown as string']);
    expect(violations('store/a.ts', 'const a = [1] as const;')).toEqual([]);
    expect(violations('test/a.ts', twice)).toEqual([]);
  });
});

describe('a barrel', () => {
  it('is refused wherever it is, and a file with something of its own is not one', () => {
    expect(violations('test/a.ts', "export * from './b.ts';")).toEqual(['test/a.ts only re-exports']);
    expect(violations('test/a.ts', "export { b } from './b.ts'; export const c = 1;")).toEqual([]);
    expect(violations('test/a.ts', 'export const c = 1;')).toEqual([]);
  });
});

describe('a name', () => {
  it.each([
    'src/a.ts',
    'domain/utils/a.ts',
    'store/helpers.ts',
    'functions/api/types.ts',
    'test/common.test.ts',
    'console/lib/a.css',
    'emails/index.ts',
    'store/the-table.ts',
    'functions/http.ts',
  ])('is refused: %s', (path) => {
    expect(pathViolations(path)).toHaveLength(1);
  });

  it.each(['domain/keys/key.ts', 'console/index.html', 'emails/call-center.ts', 'store/common-prefix.ts', '.ci/run'])(
    'is fine: %s',
    (path) => {
      expect(pathViolations(path)).toEqual([]);
    },
  );
});
