const voidTags = new Set(['meta', 'br', 'hr', 'img', 'link', 'input']);

/**
 * Returns the errors in an HTML document: tags that do not close in order, attributes without quotes, stray angle
 * brackets.
 */
export function htmlErrorsIn(html: string): string[] {
  const errors: string[] = [];
  const open: string[] = [];
  for (const token of tokensOf(html)) {
    if (token.startsWith('<!')) continue;
    const [, closes, name = '', attributes = ''] =
      /^<(\/?)([a-z][a-z0-9]*)((?: [a-z-]+="[^"<>]*")*)(?: \/)?>$/.exec(token) ?? [];
    if (name === '') {
      if (/[<>]/.test(token)) errors.push(`stray bracket: ${token}`);
      if (/&(?!#\d+;)/.test(token)) errors.push(`stray ampersand: ${token}`);
    } else if (closes === '/') {
      const last = open.pop();
      if (last !== name) errors.push(`</${name}> closes <${last ?? 'nothing'}>`);
    } else if (!voidTags.has(name)) {
      open.push(name);
    }
    if (/&(?!#\d+;)/.test(attributes)) errors.push(`stray ampersand: ${token}`);
  }
  return [...errors, ...open.map((name) => `<${name}> is never closed`)];
}

/** Returns the tags of a document in order, with their attributes and without its text. */
export function tagsIn(html: string): string[] {
  return tokensOf(html).filter((token) => token.startsWith('<'));
}

function tokensOf(html: string): string[] {
  return html.replace(/<style>[^<]*<\/style>/, '').match(/<!--.*?-->|<[^<>]*>|[^<>]+|[<>]/gs) ?? [];
}

/** Returns the text of a document's body, with entities resolved. */
export function visibleTextIn(html: string): string {
  const body = html.slice(html.indexOf('<body'));
  const text = body
    .replace(/<!--.*?-->/gs, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replaceAll('&#847;', '');
  return oneLine(text.replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code))));
}

/** Returns the text part of an email as one line, without its markers and line breaks. */
export function plainTextIn(text: string): string {
  return oneLine(text.replace(/^(?:> ?|- |-+$)/gm, ''));
}

/** Returns the targets of the links in a document. */
export function linksIn(html: string): string[] {
  return [...html.matchAll(/ href="([^"]*)"/g)].map(([, target = '']) => target);
}

/** Returns the numbers in a text, each once and sorted. */
export function numbersIn(text: string): string[] {
  return [...new Set((text.match(/\d[\d,:]*/g) ?? []).map((number) => number.replace(/\D+$/, '')))].toSorted();
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
