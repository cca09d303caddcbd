import { describe, expect, it } from 'vitest';
import { refuse } from '../../domain/refusal.ts';

describe('a refusal', () => {
  it('is a value with a code and a detail, not an error', () => {
    expect(refuse('not-found', 'There is no such key.')).toEqual({
      ok: false,
      refusal: { code: 'not-found', detail: 'There is no such key.' },
    });
  });

  it('has the members of its code', () => {
    expect(refuse('limit-not-raised', 'The limit is already 100.', { limit: 100 })).toEqual({
      ok: false,
      refusal: { code: 'limit-not-raised', detail: 'The limit is already 100.', limit: 100 },
    });
  });
});
