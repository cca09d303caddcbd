import { expect, it } from 'vitest';
import { errorsPage } from './errors-page.ts';

it('docs/errors.md is the table that the codes themselves make', async () => {
  await expect(errorsPage()).toMatchFileSnapshot('../../docs/errors.md');
});
