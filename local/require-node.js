// Every command in package.json passes here first, so that a Node too old for this project is answered in one line and
// not with a stack trace. Plain JavaScript, because the Node that reads it may be one that cannot read TypeScript.
const oldest = 24;
const found = process.versions.node;

if (Number.parseInt(found, 10) < oldest) {
  process.stderr.write(
    `Node ${oldest} or later is needed and this is ${found}: on Linux (x64, arm64) "npm ci" brings one, elsewhere install it from nodejs.org.\n`,
  );
  process.exit(1);
}
