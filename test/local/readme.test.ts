import { execFileSync } from 'node:child_process';
import { afterAll, describe, expect, it } from 'vitest';
import { readProjectFile } from '../project-files.ts';
import { hasCurl, spawnSystem, stopAll, waitForAddress } from './child-process.ts';

afterAll(stopAll);

/** Returns the shell commands of one section of the README, unchanged. */
function commandsUnder(heading: string): string {
  const [, section = ''] = readProjectFile('README.md').split(`## ${heading}\n`);
  const [body = ''] = section.split('\n## ');
  return [...body.matchAll(/```sh\n(.*?)```/gs)].map(([, commands]) => commands).join('\n');
}

describe('the walkthrough in the README', () => {
  it.runIf(hasCurl)('leads from a limit that is reached to a raised one when it is pasted unchanged', async () => {
    const address = await waitForAddress(spawnSystem({ SEED: '' }));
    const commands = commandsUnder('Walk through it').replaceAll('http://localhost:3000', address);
    const output = execFileSync('sh', ['-eu'], { input: commands, encoding: 'utf8' });
    for (const line of [/^ *"type": "MAK"/m, /^ *"limit": 50\b/m, /^ *"used": 48\b/m]) expect(output).toMatch(line);
    expect(output.match(/"confirmationId"/g)).toHaveLength(2);
    expect(output.match(/"code": "activation-limit-reached"/g)).toHaveLength(1);
    for (const line of [/^ *"exceptionId": "EX-/m, /^ *"status": "received"/m, /^ *"dueAt": "/m]) {
      expect(output).toMatch(line);
    }
    expect(output).toMatch(/"remindersSent": [1-9]/);
    expect(output).toMatch(/\{\s*"decision": "approve",\s*"decidedAt": "[^"]+"\s*\}/);
    for (const line of [/^ *"limit": 200\b/m, /^ *"used": 50\b/m, /^ *"remaining": 150\b/m]) {
      expect(output).toMatch(line);
    }
    expect(output.match(/"kind": "(initial|exception)"/g)).toHaveLength(2);
  });
});
