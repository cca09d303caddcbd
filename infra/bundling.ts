import { copyFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { AssetHashType, DockerImage } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { type BuildOptions, buildSync, type OutputFile } from 'esbuild';
import { root } from './stage.ts';

/**
 * The esbuild options that bundle a handler into one file. The bundle includes the SDK, so the deployed version is the
 * tested version, and is small enough for a fast cold start. It does not keep function names, because restoring
 * thousands of names slows down every cold start. Error classes set their `name` explicitly.
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
  // CommonJS packages call `require` for Node’s built-in modules, and an ES module has no `require`.
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  logLevel: 'warning',
} as const satisfies BuildOptions;

const bundleFolder = join(root, 'bundles');

/**
 * Returns the folder of a handler's bundle. It contains the full path, because two handlers can have the same base
 * name.
 */
function bundleFolderOf(file: string): string {
  return join(bundleFolder, file.replace(/\.ts$/, ''));
}

/**
 * The code of all Lambdas, bundled in this process without a container. The first call of `codeOf` builds all bundles
 * together, because they share most of their modules. Each asset also contains the stage's policy.
 */
export class Bundles {
  private readonly files: readonly string[];
  private readonly policyFile: string;
  private outputFiles: readonly OutputFile[] | undefined;

  /** @param files the handlers, as paths from the project root. */
  constructor(files: readonly string[], policyFile: string) {
    this.files = files;
    this.policyFile = policyFile;
  }

  codeOf(file: string): Code {
    return Code.fromAsset(join(root, 'functions'), {
      assetHashType: AssetHashType.OUTPUT,
      bundling: {
        image: DockerImage.fromRegistry('never-used'),
        // CDK treats two bundles of one folder as the same bundle unless their commands differ.
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
      // The default is the common folder of the entries, and two entries could then have the same output path.
      outbase: root,
      entryNames: '[dir]/[name]/index',
      outExtension: { '.js': '.mjs' },
      write: false,
    }).outputFiles;
    return this.outputFiles;
  }
}
