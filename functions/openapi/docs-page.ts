import type { Markup } from '../../emails/html.ts';
import { html } from '../../emails/html.ts';
import { stylesheet, stylesheetHash } from './docs-page-style.ts';
import type { Content, OpenApi, Operation, Parameter, Ref, Response, Schema } from './document.ts';
import { problemCodes, problemDocs, problemHead, problemSchemaName } from './problem-schemas.ts';

/*
 * Renders the OpenAPI document as a page. It has no script and loads nothing. For each route it shows a command to copy.
 */

/** The headers of the page. Its content security policy allows only its stylesheet, by hash. */
export const docsPageHeaders: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': [
    "default-src 'none'",
    `style-src '${stylesheetHash}'`,
    "form-action 'none'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
};

type OperationEntry = { readonly method: string; readonly path: string; readonly operation: Operation };

/** Returns the page. */
export function docsPage(document: OpenApi): string {
  const { info, tags, components } = document;
  const operations = Object.entries(document.paths).flatMap(([path, byMethod]) =>
    Object.entries(byMethod).map(([method, operation]): OperationEntry => ({ method, path, operation })),
  );
  const byTag = tags.map((tag) => ({
    ...tag,
    id: `tag-${slug(tag.name)}`,
    operations: operations.filter(({ operation }) => operation.tags.includes(tag.name)),
  }));
  const problemNames = new Set(problemCodes.map(problemSchemaName));
  const schemas = Object.entries(components.schemas).filter(([name]) => !problemNames.has(name));
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${info.title} API</title>
<style>${stylesheet}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header>
<h1>${info.title} API</h1>
<p>Version ${info.version}. For programs: <a href="openapi.json">openapi.json</a> (OpenAPI ${document.openapi}).</p>
</header>
<div class="body">
<nav aria-label="Contents">
<details>
<summary>Contents</summary>
<ul>
<li><a href="#conventions">Overview</a></li>
<li><a href="#try">Try it</a></li>
</ul>
${byTag.map(
  ({ name, id, operations: tagOperations }) => html`<h2><a href="#${id}">${name}</a></h2>
<ul>
${tagOperations.map(({ operation }) => html`<li><a href="#${operation.operationId}">${operation.summary}</a></li>`)}
</ul>`,
)}
<h2><a href="#schemas">Schemas</a></h2>
<h2><a href="#errors">Errors</a></h2>
</details>
</nav>
<main id="main">
<section class="intro" id="conventions">
<h2>Overview</h2>
${renderMarkdown(info.description)}
</section>
<section id="try">
<h2>Try it</h2>
<p>Each route below has a command for a terminal. The commands need the address of the service and, on most routes, a token:</p>
<pre>${tryItSetup}</pre>
<p>The local system issues a token to anyone. Elsewhere, sign in as your organization requires. The IDs in the commands are
examples: replace them with IDs from the lists.</p>
</section>
${byTag.map(
  ({ name, id, description, operations: tagOperations }) => html`<section id="${id}">
<h2>${name}</h2>
${renderMarkdown(description)}
${tagOperations.map((each) => renderOperation(each, document))}
</section>`,
)}
<section id="schemas">
<h2>Schemas</h2>
<p>The schemas of requests and responses. Responses can gain members.</p>
${schemas.map(([name, schema]) => renderSchema(name, schema))}
</section>
<section id="errors">
<h2>Errors</h2>
<p>Every error is a problem document. Its <code>code</code> identifies the error, and its <code>detail</code> says what to do next.</p>
${problemCodes.map((code) => renderProblem(code, document))}
</section>
</main>
</div>
</body>
</html>
`.toString();
}

const tryItSetup = `API=http://localhost:3000
TOKEN=$(curl -s "$API/_local/tokens" -d '{"email":"ada.lind@contoso.example"}' | cut -d'"' -f4)`;

function renderOperation({ method, path, operation }: OperationEntry, document: OpenApi): Markup {
  const { operationId, summary, description, parameters = [], requestBody, responses } = operation;
  const resolvedParameters = parameters.map((each) => parameterOf(each, document));
  return html`<section class="operation" id="${operationId}" aria-labelledby="${operationId}-title">
<h3 id="${operationId}-title">${summary}</h3>
<p class="address"><span class="method ${method}">${method.toUpperCase()}</span> <code>${path}</code></p>
${renderMarkdown(description)}
${resolvedParameters.length > 0 ? html`<h4>Parameters</h4>${renderFields(resolvedParameters.map(parameterField))}` : emptyMarkup}
${requestBody === undefined ? emptyMarkup : renderBody(requestBody)}
<h4>Try it</h4>
<pre>${curlCommand(method, path, operation, document)}</pre>
<h4>Responses</h4>
<dl class="responses">
${Object.entries(responses).map(([status, each]) => renderResponse(status, each, document))}
</dl>
</section>`;
}

function renderBody({ content }: NonNullable<Operation['requestBody']>): Markup {
  const types = Object.keys(content);
  const [first] = Object.values(content);
  if (first === undefined) return emptyMarkup;
  const list = fieldsOf(first.schema, '');
  return html`<h4>Body</h4>
<p class="quiet">${types.join(' or ')}</p>
${list.length > 0 ? renderFields(list) : html`<p>No field is required.</p>`}`;
}

function renderResponse(status: string, response: Response | Ref, document: OpenApi): Markup {
  const { description, content = {} } = responseOf(response, document);
  const codes = problemCodesIn(content);
  if (codes.length > 0) {
    const links = codes.map((code, index) => html`${index === 0 ? '' : ', '}<a href="#error-${code}">${code}</a>`);
    const also = 'text/html' in content ? html` <span class="quiet">(or a page)</span>` : emptyMarkup;
    return html`<div><dt><code>${status}</code></dt><dd>${links}${also}</dd></div>`;
  }
  const json = content['application/json'];
  const page = 'text/html' in content ? html` <span class="quiet">A page, or JSON on request.</span>` : emptyMarkup;
  const onlyPage = json === undefined && 'text/html' in content;
  return html`<div><dt><code>${status}</code></dt><dd>${description}${onlyPage ? emptyMarkup : page}${
    json === undefined
      ? emptyMarkup
      : html` ${typeOf(json.schema)}.
<details><summary>Example</summary><pre>${JSON.stringify(json.example, null, 2)}</pre></details>`
  }</dd></div>`;
}

/** Returns the problem codes of a response, which are the names of its examples. */
function problemCodesIn(content: Content): readonly string[] {
  return Object.keys(content['application/problem+json']?.examples ?? {});
}

function renderSchema(name: string, schema: Schema): Markup {
  const list = fieldsOf(schema, '');
  return html`<section class="schema" id="schema-${name}" aria-labelledby="schema-${name}-title">
<h3 id="schema-${name}-title">${name}</h3>
${schema.description === undefined ? emptyMarkup : renderMarkdown(schema.description)}
${list.length > 0 ? renderFields(list) : html`<p>${typeOf(schema)}</p>`}
</section>`;
}

function renderProblem(code: (typeof problemCodes)[number], { components }: OpenApi): Markup {
  const { status, title } = problemHead(code);
  const { when, advice, members, example } = problemDocs[code];
  const document = components.schemas[problemSchemaName(code)];
  const ownFields = fieldsOf(document ?? {}, '').filter(({ name }) => name in members);
  return html`<section class="error" id="error-${code}" aria-labelledby="error-${code}-title">
<h3 id="error-${code}-title"><code>${code}</code></h3>
<p>${status} · ${title}</p>
<p>${renderInline(when)} <strong>What to do:</strong> ${renderInline(advice)}</p>
<p class="quiet">“${example}”</p>
${ownFields.length > 0 ? renderFields(ownFields) : emptyMarkup}
</section>`;
}

// ---- Fields

type Field = {
  readonly name: string;
  readonly type: Markup;
  readonly requirement: string;
  readonly notes: readonly string[];
};

function renderFields(list: readonly Field[]): Markup {
  return html`<dl class="fields">
${list.map(
  ({ name, type, requirement, notes }) => html`<div><dt><code>${name}</code></dt><dd>${type}${
    requirement === '' ? emptyMarkup : html` · ${requirement}`
  }${notes.length > 0 ? html`<br>${notes.map((each) => html`${renderInline(each)} `)}` : emptyMarkup}</dd></div>
`,
)}</dl>`;
}

function parameterField({ name, in: location, required, description, schema }: Parameter): Field {
  return {
    name,
    type: html`${typeOf(schema)} <span class="quiet">in the ${location}</span>`,
    requirement: required ? 'required' : '',
    notes: [description, ...describeConstraints(schema)],
  };
}

/** Returns the fields of an object, including those of nested objects. For a union, it returns the fields of each variant. */
function fieldsOf(schema: Schema, prefix: string): readonly Field[] {
  const { properties, oneOf, anyOf } = schema;
  if (properties === undefined) {
    const choices = (oneOf ?? anyOf ?? []).filter((choice) => choice.properties !== undefined);
    return choices.flatMap((choice) => fieldsOf(choice, prefix));
  }
  return Object.entries(properties).flatMap(([name, member]) => {
    if (typeof member !== 'object') return [];
    const path = `${prefix}${name}`;
    const requirement = schema.required?.includes(name) ? 'required' : defaultOf(member);
    const notes = [...(member.description === undefined ? [] : [member.description]), ...describeConstraints(member)];
    const nested = nestedObjectOf(member);
    return [
      { name: path, type: typeOf(member), requirement, notes },
      ...(nested === undefined ? [] : fieldsOf(nested.schema, path + nested.separator)),
    ];
  });
}

/** Returns the unnamed object schema of a member or of its items. */
function nestedObjectOf(member: Schema): { readonly schema: Schema; readonly separator: string } | undefined {
  if (member.properties !== undefined) return { schema: member, separator: '.' };
  const { items } = member;
  if (typeof items === 'object' && !Array.isArray(items) && items.properties !== undefined) {
    return { schema: items, separator: '[].' };
  }
  const object = member.anyOf?.find((each) => each.properties !== undefined);
  return object === undefined ? undefined : { schema: object, separator: '.' };
}

function defaultOf({ default: defaultValue }: Schema): string {
  return defaultValue === undefined ? 'optional' : `optional, ${JSON.stringify(defaultValue)} if omitted`;
}

function typeOf(schema: Schema): Markup {
  const { $ref, enum: values, anyOf, oneOf, type } = schema;
  if ($ref !== undefined) {
    const name = $ref.slice($ref.lastIndexOf('/') + 1);
    const code = problemCodes.find((each) => problemSchemaName(each) === name);
    return code === undefined
      ? html`<a href="#schema-${name}">${name}</a>`
      : html`<a href="#error-${code}">${code}</a>`;
  }
  if (schema.const !== undefined) return html`<code>${String(schema.const)}</code>`;
  if (values !== undefined) return joinAlternatives(values.map((value) => html`<code>${String(value)}</code>`));
  if (schema.properties === undefined && (anyOf ?? oneOf) !== undefined) {
    return joinAlternatives((anyOf ?? oneOf ?? []).map(typeOf));
  }
  if (type === 'array') {
    const { items } = schema;
    return typeof items === 'object' && !Array.isArray(items) ? html`list of ${typeOf(items)}` : html`list`;
  }
  if (Array.isArray(type)) return joinAlternatives(type.map((each) => html`${each}`));
  if (schema.format === 'date-time') return html`instant`;
  if (schema.format === 'date') return html`date`;
  return html`${type ?? 'anything'}`;
}

function joinAlternatives(each: readonly Markup[]): Markup {
  return html`${each.map((one, index) => (index === 0 ? one : html`${index === each.length - 1 ? ' or ' : ', '}${one}`))}`;
}

/** Returns the constraints of a value in words. */
function describeConstraints(schema: Schema): readonly string[] {
  const { minimum, maximum, minLength = 0, maxLength, minItems, maxItems, pattern, format } = schema;
  const range =
    minimum !== undefined && maximum !== undefined
      ? [`${formatNumber(minimum)} to ${formatNumber(maximum)}.`]
      : minimum !== undefined && minimum > 1
        ? [`At least ${formatNumber(minimum)}.`]
        : [];
  const length =
    maxLength === undefined
      ? []
      : [`${minLength > 0 ? `${minLength} to ` : 'At most '}${formatNumber(maxLength)} characters.`];
  const entries = maxItems === undefined ? [] : [`${minItems ?? 0} to ${formatNumber(maxItems)} entries.`];
  // The format name says enough for emails and instants; their patterns do not help a reader.
  const shape = pattern === undefined || format !== undefined ? [] : [describePattern(pattern)];
  return [...range, ...length, ...entries, ...shape];
}

/** Returns a pattern for the reader. A pattern that only excludes characters becomes a sentence. */
function describePattern(pattern: string): string {
  return pattern.startsWith('^[^') ? 'No control characters.' : `Matches \`${pattern}\`.`;
}

function formatNumber(value: number): string {
  return value.toLocaleString('en');
}

// ---- Commands to copy

function curlCommand(method: string, path: string, operation: Operation, document: OpenApi): string {
  const parameters = (operation.parameters ?? []).map((each) => parameterOf(each, document));
  const filledPath = parameters
    .filter((each) => each.in === 'path')
    .reduce((address, { name, example }) => address.replace(`{${name}}`, String(example)), path);
  const query = parameters
    .filter((each) => each.in === 'query' && each.name !== 'limit' && each.example !== undefined)
    .map(({ name, example }) => `${name}=${encodeURIComponent(String(example))}`);
  const lines = [
    `curl ${method === 'get' ? '' : `-X ${method.toUpperCase()} `}"$API${[filledPath, ...(query.length > 0 ? [query.join('&')] : [])].join('?')}"`,
    ...(operation.security.length > 0 ? ['-H "Authorization: Bearer $TOKEN"'] : []),
    ...(parameters.some(({ name }) => name === 'Idempotency-Key') ? ['-H "Idempotency-Key: $(date +%s)"'] : []),
    ...bodyLines(operation.requestBody?.content),
  ];
  return lines.join(' \\\n  ');
}

function bodyLines(content: Content | undefined): readonly string[] {
  const form = content?.['application/x-www-form-urlencoded']?.example;
  if (typeof form === 'object' && form !== null) {
    return Object.entries(form).map(([name, value]) => `--data-urlencode ${shellQuote(`${name}=${value}`)}`);
  }
  const json = content?.['application/json'];
  if (json === undefined) return [];
  return ['-H "Content-Type: application/json"', `-d ${shellQuote(JSON.stringify(json.example, null, 2))}`];
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

// ---- References and prose

function parameterOf(parameter: Parameter | Ref, { components }: OpenApi): Parameter {
  if (!('$ref' in parameter)) return parameter;
  return resolveReference(components.parameters, parameter);
}

function responseOf(response: Response | Ref, { components }: OpenApi): Response {
  if (!('$ref' in response)) return response;
  return resolveReference(components.responses, response);
}

function resolveReference<Component>(components: Readonly<Record<string, Component>>, { $ref }: Ref): Component {
  const component = components[$ref.slice($ref.lastIndexOf('/') + 1)];
  if (component === undefined) throw new Error(`The document has no component ${$ref}.`);
  return component;
}

const emptyMarkup = html``;

function slug(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z]+/g, '-');
}

/** Renders the subset of Markdown in the document: paragraphs, lists, second-level headings, code, and bold. */
function renderMarkdown(markdown: string): Markup {
  const blocks = markdown.split(/\n{2,}|(?<=^## .*)\n/m);
  return html`${blocks.map((block) => {
    if (block.startsWith('## ')) return html`<h3>${renderInline(block.slice(3))}</h3>\n`;
    const lines = block.split('\n');
    return lines.every((line) => line.startsWith('- '))
      ? html`<ul>\n${lines.map((line) => html`<li>${renderInline(line.slice(2))}</li>\n`)}</ul>\n`
      : html`<p>${renderInline(block)}</p>\n`;
  })}`;
}

function renderInline(text: string): Markup {
  return html`${text
    .split(/(`[^`]+`)/)
    .map((part) => (/^`.+`$/.test(part) ? html`<code>${part.slice(1, -1)}</code>` : html`${part}`))}`;
}
