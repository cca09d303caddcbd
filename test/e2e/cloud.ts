import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { StackOutputs } from '../../commands/deploy.ts';
import { findApiUrl } from '../../commands/deploy.ts';
import { root } from '../project-files.ts';
import { lastLines, run } from './program.ts';

/*
 * The emulated account, with the commands of the CDK and of an operator. The emulator verifies no signatures, so its APIs
 * need no SDK; the header only has to name the service.
 */

const stage = 'dev';
const region = 'us-east-1';
const account = '000000000000';

/** The addresses of the deployed stage. */
export type Deployment = {
  /** The public address of the API, and the address at which the emulator serves it. */
  readonly publicAddress: string;
  readonly address: string;
  readonly userPoolId: string;
  readonly clientId: string;
};

export type EmulatedAccount = {
  /** Bootstraps the account, and synthesizes the templates at the same time. */
  bootstrapAndSynthesize(): Promise<void>;
  deploy(): Promise<Deployment>;
  /** Creates a user with a password, in the given groups. */
  addUser(deployed: Deployment, email: string, groups: readonly string[]): Promise<void>;
  /** Signs in with the password, and returns the ID token. */
  signIn(deployed: Deployment, email: string): Promise<string>;
  /** Returns the emails to an address, oldest first. */
  mailsTo(address: string): Promise<readonly SentMail[]>;
  /** Points a function at an address where Step Functions does not respond, or restores its address. */
  disconnectStepFunctions(functionName: string, isDisconnected: boolean): Promise<void>;
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

/** Long enough for the password policy of the user pool. The account is deleted after the run. */
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
      // The environment has no credentials of the caller, and all calls to AWS go to the emulator.
      AWS_ENDPOINT_URL: emulator,
      AWS_ENDPOINT_URL_S3: emulator,
      AWS_ACCESS_KEY_ID: 'emulated',
      AWS_SECRET_ACCESS_KEY: 'emulated',
      AWS_REGION: region,
      AWS_EC2_METADATA_DISABLED: 'true',
    };
    const all = [...args, '--no-notices', '--no-version-reporting'];
    if (!(await run(command, all, { log, cwd, env, withinSeconds: 240 }))) {
      throw new Error(`cdk ${name} failed. The log is ${log}. Its last lines are:\n${lastLines(log, 15)}`);
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
    if (!response.ok) throw new Error(`${service} refused ${method} ${path} with ${response.status}: ${text}`);
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
        // A folder without cdk.json, so that bootstrap does not run the app.
        cdk('bootstrap', ['bootstrap', `aws://${account}/${region}`], folder),
        cdk('synth', ['synth', '--quiet', '-c', `stage=${stage}`, '-c', 'emulated=true', '--output', assembly], root),
      ]);
    },

    async deploy() {
      const args = ['--all', '--require-approval', 'never', '--outputs-file', outputsFile];
      await cdk('deploy', ['deploy', '--app', assembly, ...args], folder);
      const outputs: StackOutputs = JSON.parse(readFileSync(outputsFile, 'utf8'));
      const publicAddress = findApiUrl(outputs);
      if (publicAddress === undefined) throw new Error('The outputs of the deployment have no address.');
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
      const response = await cognito('AdminInitiateAuth', {
        UserPoolId,
        ClientId,
        AuthFlow: 'ADMIN_USER_PASSWORD_AUTH',
        AuthParameters: { USERNAME: email, PASSWORD: password },
      });
      return signInSchema.parse(response).AuthenticationResult.IdToken;
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
      // Nothing listens on port 9 of loopback.
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
