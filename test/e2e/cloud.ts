import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { StackOutputs } from '../../commands/deploy.ts';
import { findApiUrl } from '../../commands/deploy.ts';
import { root } from '../project-files.ts';
import { lastLines, run } from './program.ts';

/*
 * The emulated account: what the CDK brings into it, and what an operator does in it. It checks no signatures, so that
 * its APIs can be asked without an SDK for each; only the service must be named where a signature would be.
 */

const stage = 'dev';
const region = 'us-east-1';
const account = '000000000000';

/** Where the deployed stage is. */
export type Deployment = {
  /** The API's address as people are told it, and the address at which the emulator answers for it. */
  readonly publicAddress: string;
  readonly address: string;
  readonly userPoolId: string;
  readonly clientId: string;
};

export type EmulatedAccount = {
  /** Prepares the account for deployments, and makes the templates meanwhile. */
  bootstrapAndSynthesize(): Promise<void>;
  deploy(): Promise<Deployment>;
  /** Makes somebody an account with a password, in the groups. */
  addUser(deployed: Deployment, email: string, groups: readonly string[]): Promise<void>;
  /** Signs in with the password. Answers with the identity token. */
  signIn(deployed: Deployment, email: string): Promise<string>;
  /** The mails to an address so far, oldest first. */
  mailsTo(address: string): Promise<readonly SentMail[]>;
  /** Takes Step Functions away from a function, or gives it back. */
  disconnectStepFunctions(functionName: string, cut: boolean): Promise<void>;
};

export type SentMail = { readonly subject: string; readonly text: string };

const statefulOutputsSchema = z.looseObject({ UserPoolId: z.string(), UserPoolClientId: z.string() });
const sentMailsSchema = z.looseObject({
  messages: z.record(
    z.string(),
    z.array(z.looseObject({ To: z.array(z.string()), Subject: z.string(), BodyText: z.string() })),
  ),
});
const signInSchema = z.looseObject({ AuthenticationResult: z.looseObject({ IdToken: z.string() }) });
const configurationSchema = z.looseObject({
  Environment: z.looseObject({ Variables: z.record(z.string(), z.string()) }),
});

/** As long as the pool wants passwords, and good for an account that is gone in a minute. */
const password = 'Only-4-an-emulator';

export function openEmulatedAccount(emulator: string, folder: string): EmulatedAccount {
  const prefix = `volume-activation-${stage}`;
  const assembly = join(folder, 'cdk.out');
  const outputsFile = join(folder, 'outputs.json');

  async function cdk(name: string, args: readonly string[], cwd: string): Promise<void> {
    const log = join(folder, `cdk-${name}.log`);
    const command = join(root, 'node_modules', '.bin', 'cdk');
    const env = {
      PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
      HOME: folder,
      TMPDIR: folder,
      CDK_HOME: join(folder, 'cdk-home'),
      CDK_DISABLE_CLI_TELEMETRY: 'true',
      CI: 'true',
      NO_COLOR: '1',
      // Nothing of the caller's own accounts is passed on: what goes to AWS goes to the emulator.
      AWS_ENDPOINT_URL: emulator,
      AWS_ENDPOINT_URL_S3: emulator,
      AWS_ACCESS_KEY_ID: 'emulated',
      AWS_SECRET_ACCESS_KEY: 'emulated',
      AWS_REGION: region,
      AWS_EC2_METADATA_DISABLED: 'true',
    };
    const all = [...args, '--no-notices', '--no-version-reporting'];
    if (!(await run(command, all, { log, cwd, env, withinSeconds: 240 }))) {
      throw new Error(`cdk ${name} failed; its log is ${log} and ends with\n${lastLines(log, 15)}`);
    }
  }

  async function callService(
    service: string,
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body?: unknown,
  ) {
    const response = await fetch(`${emulator}${path}`, {
      method,
      signal: AbortSignal.timeout(30_000),
      headers: {
        ...headers,
        Authorization: `AWS4-HMAC-SHA256 Credential=emulated/20260101/${region}/${service}/aws4_request`,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${service} answered ${method} ${path} with ${response.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  const cognito = (action: string, body: unknown) =>
    callService(
      'cognito-idp',
      'POST',
      '/',
      { 'Content-Type': 'application/x-amz-json-1.1', 'X-Amz-Target': `AWSCognitoIdentityProviderService.${action}` },
      body,
    );

  return {
    async bootstrapAndSynthesize() {
      await Promise.all([
        // In a folder without cdk.json, so that it asks no app for its environments.
        cdk('bootstrap', ['bootstrap', `aws://${account}/${region}`], folder),
        cdk('synth', ['synth', '--quiet', '-c', `stage=${stage}`, '-c', 'emulated=true', '--output', assembly], root),
      ]);
    },

    async deploy() {
      const args = ['--all', '--require-approval', 'never', '--outputs-file', outputsFile];
      await cdk('deploy', ['deploy', '--app', assembly, ...args], folder);
      const outputs: StackOutputs = JSON.parse(readFileSync(outputsFile, 'utf8'));
      const publicAddress = findApiUrl(outputs);
      if (publicAddress === undefined) throw new Error('The deployment put out no address.');
      const [apiId] = new URL(publicAddress).hostname.split('.');
      const { UserPoolId: userPoolId, UserPoolClientId: clientId } = statefulOutputsSchema.parse(
        outputs[`${prefix}-stateful`],
      );
      return { publicAddress, address: `${emulator}/_aws/execute-api/${apiId}/$default`, userPoolId, clientId };
    },

    async addUser({ userPoolId: UserPoolId }, email, groups) {
      const userKey = { UserPoolId, Username: email };
      await cognito('AdminCreateUser', {
        ...userKey,
        UserAttributes: [
          { Name: 'email', Value: email },
          { Name: 'email_verified', Value: 'true' },
        ],
        MessageAction: 'SUPPRESS',
      });
      await cognito('AdminSetUserPassword', { ...userKey, Password: password, Permanent: true });
      for (const GroupName of groups) await cognito('AdminAddUserToGroup', { ...userKey, GroupName });
    },

    async signIn({ userPoolId: UserPoolId, clientId: ClientId }, email) {
      const answer = await cognito('AdminInitiateAuth', {
        UserPoolId,
        ClientId,
        AuthFlow: 'ADMIN_USER_PASSWORD_AUTH',
        AuthParameters: { USERNAME: email, PASSWORD: password },
      });
      return signInSchema.parse(answer).AuthenticationResult.IdToken;
    },

    async mailsTo(address) {
      const { messages } = sentMailsSchema.parse(await callService('email', 'GET', '/_ministack/ses/messages', {}));
      return (messages[account] ?? [])
        .filter(({ To }) => To.some((each) => each.includes(address)))
        .map(({ Subject: subject, BodyText: text }) => ({ subject, text }));
    },

    async disconnectStepFunctions(functionName, isDisconnected) {
      const path = `/2015-03-31/functions/${prefix}-${functionName}/configuration`;
      const { Variables } = configurationSchema.parse(await callService('lambda', 'GET', path, {})).Environment;
      const { AWS_ENDPOINT_URL_SFN: _, ...others } = Variables;
      // At port 9 of loopback nobody answers.
      const newVariables = isDisconnected ? { ...others, AWS_ENDPOINT_URL_SFN: 'http://127.0.0.1:9' } : others;
      await callService(
        'lambda',
        'PUT',
        path,
        { 'Content-Type': 'application/json' },
        { Environment: { Variables: newVariables } },
      );
    },
  };
}
