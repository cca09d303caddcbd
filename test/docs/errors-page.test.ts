import { expect, it } from 'vitest';
import { renderErrorsPage } from './errors-page.ts';

it('docs/errors.md lists the problem codes of the service', async () => {
  await expect(renderErrorsPage()).toMatchFileSnapshot('../../docs/errors.md');
});
