import { basename, dirname, posix } from 'node:path';
import { type ESTree, parseSync, Visitor } from 'vite';
import { describe, expect, it } from 'vitest';
import { projectFiles, readProjectFile } from './project-files.ts';

/**
 * Who may import whom. A place is a folder with all that is in it, or one file; `type ` before it means its types only.
 * A room may always import from itself.
 */
const rooms: Record<string, readonly string[] | 'anything'> = {
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
  portal: [],
  test: 'anything',
  bench: 'anything',
};

const wherever = ['domain', 'emails', 'store', 'workflows', 'functions', 'infra', 'local', 'commands'];
const outsideDomain = ['store', 'workflows', 'functions', 'infra', 'local', 'commands'];

/** Which places may import which packages. A package that is not here may be imported in tests and benches only. */
const packages: Record<string, readonly string[]> = {
  zod: wherever,
  'temporal-polyfill': wherever,
  'node:*': outsideDomain,
  '@aws-sdk/*': ['store', 'emails/send.ts', 'workflows/client.ts'],
  '@middy/*': ['functions/http/handler.ts', 'functions/steps/step-handler.ts'],
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

/** What reaches out of the program, and the places where it may: everywhere else it is an argument. */
const reaches: readonly { what: string; names: RegExp; places: readonly string[] }[] = [
  {
    what: 'the environment',
    names: /^process\.env$/,
    places: ['functions/environment.ts', 'infra/app.ts', 'local/main.ts'],
  },
  {
    what: 'the wall clock',
    names:
      /^(new Date\(\)|Date\(\)|Date\.now|Temporal\.Now|temporal-polyfill\/fns\/Now\.\w+|performance\.now|process\.hrtime)$/,
    places: ['functions/runtime/clock.ts', 'local'],
  },
  {
    what: 'chance',
    names: /^(Math\.random|((web)?crypto|subtle)\.(random\w+|getRandomValues|generate\w+))$/,
    places: ['functions/runtime/clock.ts', 'local'],
  },
];

/** Names that say nothing about what is inside. */
const emptyNames = /^(src|libs?|shared|common|utils?|helpers?|types?|services?)$/;

type Import = { from: string; typeOnly: boolean };

/** What one source file imports and the outside things it names, by the names they have where they come from. */
type Reading = { imports: Import[]; names: string[]; isBarrel: boolean; casts: string[] };

function read(path: string, source: string): Reading {
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
      // A name that is put together while running cannot be judged here; only `local` and the tests may do so.
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

  const isReExport = (node: ESTree.Node) =>
    node.type === 'ExportAllDeclaration' || (node.type === 'ExportNamedDeclaration' && node.source !== null);
  const isBarrel =
    program.body.some(isReExport) &&
    program.body.every((node) => isReExport(node) || node.type === 'ImportDeclaration');
  return { imports, names, isBarrel, casts };
}

const isIn = (path: string, places: readonly string[]) =>
  places.some((place) => path === place || path.startsWith(`${place}/`));

function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return 'node:*';
  const [scope = '', name = ''] = specifier.split('/');
  if (scope.startsWith('@')) return `${scope}/*` in packages ? `${scope}/*` : `${scope}/${name}`;
  return scope;
}

function refusedImport(path: string, room: string, { from, typeOnly }: Import): string[] {
  if (from === '(computed)') {
    return room === 'local' ? [] : [`${path} imports something whose name is put together while running`];
  }
  if (!from.startsWith('.')) {
    return isIn(path, packages[packageOf(from)] ?? []) ? [] : [`${path} may not import the package ${from}`];
  }
  const target = posix.join(dirname(path), from);
  const allowed = (rooms[room] ?? []) as readonly string[];
  const places = [room, ...allowed.map((place) => (typeOnly ? place.replace(/^type /, '') : place))];
  return isIn(target, places) ? [] : [`${path} may not import ${target}`];
}

/**
 * What is wrong with one source file by the rules above: a sentence for each, none if nothing is.
 * `path` is from the project's root; tools' files at the root and what is in `test` and `bench` may do anything.
 */
function violations(path: string, source: string): string[] {
  if (!path.includes('/')) return [];
  const room = path.split('/')[0] ?? '';
  if (!(room in rooms)) return [`${path} is in no room of the house`];
  const { imports, names, isBarrel, casts } = read(path, source);
  const barrel = isBarrel ? [`${path} only passes on what others export`] : [];
  if (rooms[room] === 'anything') return barrel;
  return [
    ...barrel,
    ...imports.flatMap((each) => refusedImport(path, room, each)),
    ...reaches.flatMap(({ what, names: pattern, places }) => {
      const found = names.find((name) => pattern.test(name));
      return found && !isIn(path, places) ? [`${path} reaches for ${what}: ${found}`] : [];
    }),
    ...casts.map((cast) => `${path} casts twice: ${cast}`),
  ];
}

/** What is wrong with a path of any file, by its name alone. */
function misnamed(path: string): string[] {
  const empty = path
    .split('/')
    .map((part) => part.replace(/\..*$/, ''))
    .filter((name) => emptyNames.test(name));
  return [
    ...empty.map((name) => `${path} is called ${name}, which says nothing`),
    ...(/^index\.(ts|js)$/.test(basename(path)) ? [`${path} is a barrel by its name`] : []),
  ];
}

describe('the project as it stands', () => {
  const paths = projectFiles();
  const sources = paths.filter((path) => /\.(ts|js|mjs|cjs)$/.test(path));

  it('has sources to judge in the rooms that are given', () => {
    expect(new Set(sources.map((path) => path.split('/')[0]))).toContain('domain');
  });

  it('keeps to who may import whom, and leaves the world outside to those who may reach it', () => {
    expect(sources.flatMap((path) => violations(path, readProjectFile(path)))).toEqual([]);
  });

  it('has no name that says nothing', () => {
    expect(paths.flatMap(misnamed)).toEqual([]);
  });
});

describe('an import from another room', () => {
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
    ['portal/a.js', "import { b } from '../domain/b.ts';", 'portal/a.js may not import domain/b.ts'],
    [
      'store/a.ts',
      'await import(`../$' + '{name}.ts`);',
      'store/a.ts imports something whose name is put together while running',
    ],
    ['attic/a.ts', 'const a = 1;', 'attic/a.ts is in no room of the house'],
  ])('is refused in %s: %s', (path, source, sentence) => {
    expect(violations(path, source)).toEqual([sentence]);
  });

  it.each([
    ['domain/a.ts', "import { b } from './b.ts';"],
    ['emails/a.ts', "import { b } from '../domain/b.ts';"],
    ['functions/a.ts', "import { b } from '../store/b.ts'; import type { C } from '../workflows/c.ts';"],
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
    ['portal/a.ts', 'zod'],
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
  ])('is at home in %s: %s', (path, name) => {
    expect(violations(path, `import { a } from '${name}';`)).toEqual([]);
  });
});

describe('the world outside', () => {
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
    ['const a = Math.random();', 'chance: Math.random'],
    ["import { randomBytes as bytes } from 'node:crypto';", 'chance: crypto.randomBytes'],
    ["import c from 'node:crypto'; const a = c.randomInt(5);", 'chance: crypto.randomInt'],
    ['const a = crypto.randomUUID();', 'chance: crypto.randomUUID'],
    ['crypto.getRandomValues(a);', 'chance: crypto.getRandomValues'],
  ])('is not reached for by a store: %s', (source, what) => {
    expect(violations('store/a.ts', source)).toEqual([`store/a.ts reaches for ${what}`]);
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
  ])('is in order in %s: %s', (path, source) => {
    expect(violations(path, source)).toEqual([]);
  });

  it.each(['local/demo.ts', 'functions/runtime/clock.ts', 'infra/table.ts'])(
    '%s does not read the environment',
    (path) => {
      expect(violations(path, 'const a = process.env.A;')).toEqual([
        `${path} reaches for the environment: process.env`,
      ]);
    },
  );
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
    expect(violations('test/a.ts', "export * from './b.ts';")).toEqual(['test/a.ts only passes on what others export']);
    expect(violations('test/a.ts', "export { b } from './b.ts'; export const c = 1;")).toEqual([]);
    expect(violations('test/a.ts', 'export const c = 1;')).toEqual([]);
  });
});

describe('a name', () => {
  it.each([
    'src/a.ts',
    'domain/utils/a.ts',
    'store/helpers.ts',
    'functions/types.ts',
    'test/common.test.ts',
    'portal/lib/a.css',
    'emails/index.ts',
  ])('is refused: %s', (path) => {
    expect(misnamed(path)).toHaveLength(1);
  });

  it.each(['domain/keys/key.ts', 'portal/index.html', 'emails/call-center.ts', 'store/common-prefix.ts', '.ci/run'])(
    'is fine: %s',
    (path) => {
      expect(misnamed(path)).toEqual([]);
    },
  );
});
