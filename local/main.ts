import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

/*
 * `npm start`: runs the complete service on this machine until Ctrl-C. PORT sets the port (default 3000; 0 selects a free
 * one). DATA sets a folder that keeps the data between runs. SEED=none starts without sample data. With
 * --end-with-parent, the service stops when its parent process ends.
 */

// Compilation takes half of the startup time. The cache applies only to modules that load after this line, so this file
// imports the rest dynamically.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compiled'));
const { run } = await import('./run.ts');
await run(process.env, { endWithParent: process.argv.includes('--end-with-parent') });
