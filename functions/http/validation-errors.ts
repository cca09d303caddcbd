import type * as z from 'zod';
import type { FieldError } from '../../domain/refusal.ts';

/** Returns the errors of one schema issue, by JSON pointer. The pointer of an unknown field names that field. */
export function fieldErrorsOf(issue: z.core.$ZodIssue): readonly FieldError[] {
  const pointer = (path: readonly PropertyKey[]) =>
    path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      pointer: pointer([...issue.path, key]),
      message: 'is not a field of this request',
    }));
  }
  return [{ pointer: pointer(issue.path), message: messageOf(issue) }];
}

/** Returns the schema’s own message, or replaces the library’s default message with one in the same style. */
function messageOf(issue: z.core.$ZodIssue): string {
  const isEnumIssue = issue.code === 'invalid_value';
  if (issue.input === undefined && (isEnumIssue || issue.code === 'invalid_type')) return 'is missing';
  if (isEnumIssue) return `must be ${issue.values.map(String).join(' or ')}`;
  if (issue.code !== 'invalid_type' || !issue.message.startsWith('Invalid input')) return issue.message;
  const typeNames: Readonly<Record<string, string>> = { string: 'a string', object: 'an object', array: 'a list' };
  return `must be ${typeNames[issue.expected] ?? issue.expected}`;
}

/** Lists the first ten wrong fields, and the number of the others. */
export function listFieldNames(errors: readonly FieldError[]): string {
  const shownNames = errors.slice(0, 10).map(({ pointer }) => (pointer === '' ? 'the body' : pointer.slice(0, 100)));
  const hiddenCount = errors.length - shownNames.length;
  return hiddenCount > 0 ? `${shownNames.join(', ')} and ${hiddenCount} more` : shownNames.join(', ');
}
