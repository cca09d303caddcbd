import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mailEnvironment, serviceVersion, tableEnvironment, workflowEnvironment } from '../../functions/environment.ts';

const complete: Readonly<Record<string, string>> = {
  TABLE_NAME: 'volume-activation',
  ROOT_SECRET: 'a root secret of more than 32 bytes, for tests',
  MAIL_FROM: 'Volume Activation <no-reply@service.example>',
  MAIL_TEAM: 'team@service.example',
  MAIL_SUPERVISORS: 'supervisors@service.example',
  MAIL_INBOUND: 'requests@service.example',
  PUBLIC_URL: 'https://service.example',
  STATE_MACHINE_ARN: 'arn:aws:states:eu-north-1:111122223333:stateMachine:requests',
};

let before: NodeJS.ProcessEnv;
beforeEach(() => {
  before = process.env;
  process.env = { ...complete };
});
afterEach(() => {
  process.env = before;
});

/** Returns the error message of reading a part of the environment. */
function errorMessageOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'no error';
}

describe('a complete environment', () => {
  it('is read in groups, with defaults', () => {
    expect(tableEnvironment()).toMatchObject({ TABLE_NAME: 'volume-activation', POLICY_FILE: 'policy.json' });
    expect(mailEnvironment()).toMatchObject({ MAIL_TEAM: 'team@service.example' });
    expect(mailEnvironment()).not.toHaveProperty('MAIL_CONFIGURATION_SET');
    expect(workflowEnvironment().STATE_MACHINE_ARN).toContain(':stateMachine:');
    expect(serviceVersion()).toBe('development');
    process.env.SERVICE_VERSION = '1.2.3';
    expect(serviceVersion()).toBe('1.2.3');
  });

  it('needs only the variables of a function’s permissions', () => {
    process.env = { STATE_MACHINE_ARN: 'arn' };
    expect(workflowEnvironment()).toEqual({ STATE_MACHINE_ARN: 'arn' });
  });
});

describe('an incomplete environment', () => {
  const parts = { table: tableEnvironment, mail: mailEnvironment, workflowClient: workflowEnvironment };

  it.each([
    ['TABLE_NAME', parts.table],
    ['ROOT_SECRET', parts.table],
    ['MAIL_FROM', parts.mail],
    ['MAIL_TEAM', parts.mail],
    ['MAIL_SUPERVISORS', parts.mail],
    ['MAIL_INBOUND', parts.mail],
    ['PUBLIC_URL', parts.mail],
    ['STATE_MACHINE_ARN', parts.workflowClient],
  ])('is one line that names the missing variable: %s', (name, read) => {
    delete process.env[name];
    const message = errorMessageOf(read);
    expect(message).toMatch(new RegExp(`^The environment of this function is not complete\\. ${name}: [^\\n]+$`));
    for (const other of Object.keys(complete)) if (other !== name) expect(message).not.toContain(other);
  });

  it('names all missing variables at once', () => {
    process.env = {};
    expect(errorMessageOf(tableEnvironment)).toMatch(/TABLE_NAME: .*; ROOT_SECRET: /);
  });

  it('KEY-6 never shows a value, because it can be a secret', () => {
    process.env.ROOT_SECRET = 'too-short-a-secret';
    process.env.MAIL_TEAM = 'not an address';
    process.env.PUBLIC_URL = 'not a url';
    for (const read of [tableEnvironment, mailEnvironment]) {
      expect(errorMessageOf(read)).toMatch(/ROOT_SECRET|MAIL_TEAM.*PUBLIC_URL/);
      expect(errorMessageOf(read)).not.toMatch(/too-short-a-secret|not an address|not a url/);
    }
  });
});
