// Every command in package.json runs this first, so that an old Node ends with one line instead of a stack trace. This is
// JavaScript, because an old Node cannot read TypeScript.
const oldest = 24;
const found = process.versions.node;

if (Number.parseInt(found, 10) < oldest) {
  process.stderr.write(
    `This project requires Node ${oldest} or later, but this is Node ${found}. On Linux (x64, arm64), run "npm ci" to install it; on other systems, install it from nodejs.org.\n`,
  );
  process.exit(1);
}
