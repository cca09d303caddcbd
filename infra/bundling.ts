import { copyFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { AssetHashType, DockerImage } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { type BuildOptions, buildSync, type OutputFile } from 'esbuild';
import { root } from './stage.ts';

/**
 * How a handler becomes one file: with the SDK inside, so that what was tested is what runs, and small enough to start fast.
 * Names are not kept: errors, which are known by theirs, say them themselves, and to give each of some thousand functions its
 * name back is a part of every start.
 */
export const bundleOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  mainFields: ['module', 'main'],
  minify: true,
  sourcemap: true,
  sourcesContent: false,
  // Packages that are CommonJS inside ask for Node’s own modules by `require`, which a module does not have.
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  logLevel: 'warning',
} as const satisfies BuildOptions;

const bundleFolder = join(root, 'bundles');

/** Where the bundle of a handler is built: by its whole path, so that handlers of one base name have each their own. */
function bundleFolderOf(file: string): string {
  return join(bundleFolder, file.replace(/\.ts$/, ''));
}

/**
 * The code of all Lambdas, bundled in this very process and by no container: together, when the first is asked for, since
 * most of what they are made of is the same. Beside each lies the stage's policy.
 */
export class Bundles {
  private readonly files: readonly string[];
  private readonly policyFile: string;
  private outputFiles: readonly OutputFile[] | undefined;

  /** @param files the handlers, as paths from the project's root. */
  constructor(files: readonly string[], policyFile: string) {
    this.files = files;
    this.policyFile = policyFile;
  }

  codeOf(file: string): Code {
    return Code.fromAsset(join(root, 'functions'), {
      assetHashType: AssetHashType.OUTPUT,
      bundling: {
        image: DockerImage.fromRegistry('never-used'),
        // CDK takes two bundles of one folder for the same unless what makes them differs in here.
        command: [file, this.policyFile],
        local: {
          tryBundle: (folder) => {
            for (const { path, contents } of this.buildOnce()) {
              if (dirname(path) === bundleFolderOf(file)) writeFileSync(join(folder, basename(path)), contents);
            }
            copyFileSync(join(root, this.policyFile), join(folder, 'policy.json'));
            return true;
          },
        },
      },
    });
  }

  private buildOnce(): readonly OutputFile[] {
    this.outputFiles ??= buildSync({
      ...bundleOptions,
      entryPoints: [...this.files],
      outdir: bundleFolder,
      // From the project's root, whatever the entries have in common: two of one base name must not meet.
      outbase: root,
      entryNames: '[dir]/[name]/index',
      outExtension: { '.js': '.mjs' },
      write: false,
    }).outputFiles;
    return this.outputFiles;
  }
}
