import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

/*
 * `npm start`: the whole service on this machine, until Ctrl-C. PORT chooses the port (3000; 0 is any free one), DATA a
 * folder in which the data are kept between runs, SEED=none an empty world. With --end-with-parent it ends when the process
 * that started it has ended, in whatever way.
 */

// Half of a start is reading the same sources again. Only what is loaded after this line is remembered, so this file loads
// the rest late.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compiled'));
const { run } = await import('./run.ts');
await run(process.env, { endWithParent: process.argv.includes('--end-with-parent') });
