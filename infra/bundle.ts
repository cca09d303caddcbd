import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { AssetHashType, DockerImage } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { type BuildOptions, buildSync } from 'esbuild';
import { root } from './stage.ts';

/**
 * How a handler becomes one file: with the SDK inside, so that what was tested is what runs, and small enough to start fast.
 * Names are kept, because errors are known by theirs.
 */
export const bundleOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  mainFields: ['module', 'main'],
  minify: true,
  keepNames: true,
  sourcemap: true,
  sourcesContent: false,
  // Packages that are CommonJS inside ask for Node’s own modules by `require`, which a module does not have.
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  logLevel: 'warning',
} as const satisfies BuildOptions;

/** The code of the Lambda in this file, with the stage's policy beside it. Bundled in this very process, by no container. */
export function codeOf(file: string, policyFile: string): Code {
  return Code.fromAsset(join(root, 'functions'), {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      image: DockerImage.fromRegistry('never-used'),
      // CDK takes two bundles of one folder for the same unless what makes them differs in here.
      command: [file, policyFile],
      local: {
        tryBundle: (folder) => {
          buildSync({ ...bundleOptions, entryPoints: [file], outfile: join(folder, 'index.mjs') });
          copyFileSync(join(root, policyFile), join(folder, 'policy.json'));
          return true;
        },
      },
    },
  });
}
