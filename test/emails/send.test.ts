import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  BadRequestException,
  MailFromDomainNotVerifiedException,
  MessageRejected,
  SESv2Client,
  SESv2ServiceException,
  SendEmailCommand,
  TooManyRequestsException,
} from '@aws-sdk/client-sesv2';
import { mockClient } from 'aws-sdk-client-mock';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createSendEmail, SendFailedError, SendThrottledError } from '../../emails/send.ts';

const from = 'Volume Activation <exceptions@licensing.example>';
const email = { subject: 'Déjà vu', text: 'Hello\n', html: '<p>Hello</p>' };
const to = 'noor@alder.example';

const ses = mockClient(SESv2Client);
const client = new SESv2Client({ region: 'us-west-2' });
const send = createSendEmail({ from, configurationSet: 'notifications' }, client);

beforeEach(() => {
  ses.reset();
  ses.on(SendEmailCommand).resolves({ MessageId: 'm-1' });
});

const sesInputs = () => ses.commandCalls(SendEmailCommand).map(({ args: [command] }) => command.input);
const metadata = { $metadata: { httpStatusCode: 400 } };

describe('an email that SES accepts', () => {
  it('is sent in UTF-8 with both parts to the plain address, marked as automatic', async () => {
    expect(await send(email, to, { tags: { kind: 'approval-requested' }, replyTo: 'reply@licensing.example' })).toEqual(
      {
        sent: true,
        messageId: 'm-1',
      },
    );
    expect(sesInputs()).toEqual([
      {
        FromEmailAddress: from,
        Destination: { ToAddresses: [to] },
        ReplyToAddresses: ['reply@licensing.example'],
        ConfigurationSetName: 'notifications',
        EmailTags: [{ Name: 'kind', Value: 'approval-requested' }],
        Content: {
          Simple: {
            Subject: { Data: 'Déjà vu', Charset: 'UTF-8' },
            Body: { Text: { Data: 'Hello\n', Charset: 'UTF-8' }, Html: { Data: '<p>Hello</p>', Charset: 'UTF-8' } },
            Headers: [
              { Name: 'Auto-Submitted', Value: 'auto-generated' },
              { Name: 'X-Auto-Response-Suppress', Value: 'All' },
            ],
          },
        },
      },
    ]);
  });

  it('needs no configuration set, tags, or reply address', async () => {
    await createSendEmail({ from }, client)(email, to);
    expect(sesInputs()[0]).not.toHaveProperty('ConfigurationSetName');
    expect(sesInputs()[0]).not.toHaveProperty('ReplyToAddresses');
    expect(sesInputs()[0]).toMatchObject({ EmailTags: [] });
  });

  it('has tags with only the characters that SES accepts', async () => {
    await send(email, to, { tags: { request: 'X 1:é/2_a-b' } });
    expect(sesInputs()[0]?.EmailTags).toEqual([{ Name: 'request', Value: 'X_1___2_a-b' }]);
  });
});

describe('a recipient address', () => {
  it.each([
    ['noor@alder.example', 'noor@alder.example'],
    [' noor@alder.example\n', 'noor@alder.example'],
    ["o'neil.x+tag@a-b.co.uk", "o'neil.x+tag@a-b.co.uk"],
    ['noor@bücher.example', 'noor@xn--bcher-kva.example'],
    [`${'a'.repeat(64)}@alder.example`, `${'a'.repeat(64)}@alder.example`],
  ])('is accepted if it is valid: %s', async (address, accepted) => {
    expect(await send(email, address)).toMatchObject({ sent: true });
    expect(sesInputs()[0]?.Destination).toEqual({ ToAddresses: [accepted] });
  });

  it.each([
    '',
    'noor',
    '@alder.example',
    'noor@',
    'noor@alder',
    'noor@alder..example',
    'noor@-alder.example',
    'noor@192.0.2.1',
    '.noor@alder.example',
    'car..la@alder.example',
    'noor@alder.example, mallory@birch.example',
    'noor@alder.example;mallory@birch.example',
    'Noor <noor@alder.example>',
    'noor@alder.example\r\nBcc: mallory@birch.example',
    '"noor weiss"@alder.example',
    'noor weiss@alder.example',
    'josé@alder.example',
    'noor@alder.example/x',
    'noor@alder.example:25',
    'noor@user@alder.example',
    'noor@alder%2eexample',
    `${'a'.repeat(65)}@alder.example`,
    `noor@${'a'.repeat(64)}.example`,
    `noor@${'a.'.repeat(130)}example`,
  ])('is refused permanently without a call to SES if it is not valid: %j', async (address) => {
    expect(await send(email, address)).toEqual({
      sent: false,
      because: 'The address is not a valid email address.',
    });
    expect(sesInputs()).toEqual([]);
  });
});

describe('an email that SES does not accept', () => {
  const rejectWith = (error: Error) => ses.on(SendEmailCommand).rejects(error);
  const serviceError = (name: string, message = 'no', status = 400) =>
    new SESv2ServiceException({ name, $fault: 'client', message, $metadata: { httpStatusCode: status } });

  it.each([
    ['its content', 'Message contains a virus.'],
    [
      'its address, in the sandbox',
      `Email address is not verified. The following identities failed the check in region US-WEST-2: ${to.toUpperCase()}`,
    ],
  ])('is refused permanently because of %s, as a value', async (_, message) => {
    rejectWith(new MessageRejected({ message, ...metadata }));
    expect(await send(email, to)).toEqual({ sent: false, because: `SES rejected the email: ${message}` });
  });

  it.each([
    new TooManyRequestsException({ message: 'Maximum sending rate exceeded.', ...metadata }),
    serviceError('LimitExceededException', 'Daily message quota exceeded.'),
    serviceError('ThrottlingException'),
    serviceError('Throttling'),
    serviceError('SomethingNew', 'slow down', 429),
    Object.assign(serviceError('SomethingNew'), { $retryable: { throttling: true } }),
  ])('is a contention if SES throttles: $name', async (error) => {
    rejectWith(error);
    const thrown = await send(email, to).catch((caught: unknown) => caught);
    expect(thrown).toBeInstanceOf(SendThrottledError);
    expect(thrown).toMatchObject({ name: 'SendThrottledError', cause: error });
    expect(thrown).not.toBeInstanceOf(SESv2ServiceException);
  });

  it.each([
    new MailFromDomainNotVerifiedException({ message: 'no', ...metadata }),
    new MessageRejected({
      message: 'Email address is not verified. The following identities failed the check: exceptions@licensing.example',
      ...metadata,
    }),
    new BadRequestException({ message: 'Header name is not allowed.', ...metadata }),
    serviceError('AccountSuspendedException'),
    serviceError('SendingPausedException'),
    serviceError('NotFoundException', 'Configuration set <notifications> does not exist.'),
    serviceError('InternalServiceErrorException', 'oh', 500),
    serviceError('AccessDeniedException', 'no', 403),
    Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }),
    Object.assign(new Error('late'), { name: 'TimeoutError' }),
    new TypeError('a bug'),
  ])('is a fault with its cause for any other reason: $name', async (error) => {
    rejectWith(error);
    const thrown = await send(email, to).catch((caught: unknown) => caught);
    expect(thrown).toBeInstanceOf(SendFailedError);
    expect(thrown).toMatchObject({ name: 'SendFailedError', cause: error });
    expect(thrown).not.toBeInstanceOf(SESv2ServiceException);
  });
});

describe('the default client', () => {
  let statuses: number[] = [];
  let requests: string[] = [];
  const server = createServer(async (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    await request.resume().toArray();
    const status = statuses.shift() ?? 200;
    response.writeHead(status, {
      'content-type': 'application/json',
      ...(status === 429 ? { 'x-amzn-errortype': 'TooManyRequestsException' } : {}),
    });
    response.end(JSON.stringify(status === 200 ? { MessageId: 'm-2' } : { message: 'Maximum sending rate exceeded.' }));
  });

  beforeEach(async () => {
    ses.restore();
    requests = [];
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    vi.stubEnv('AWS_ENDPOINT_URL_SESV2', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    vi.stubEnv('AWS_REGION', 'us-west-2');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  });

  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    vi.unstubAllEnvs();
  });

  it('retries when SES throttles', async () => {
    statuses = [429, 429];
    expect(await createSendEmail({ from })(email, to)).toEqual({ sent: true, messageId: 'm-2' });
    expect(requests).toEqual(['POST', 'POST', 'POST'].map((method) => `${method} /v2/email/outbound-emails`));
  });

  it('gives up after three tries with a contention', async () => {
    statuses = [429, 429, 429, 429];
    await expect(createSendEmail({ from })(email, to)).rejects.toBeInstanceOf(SendThrottledError);
    expect(requests).toHaveLength(3);
  });

  it('does not retry a refusal', async () => {
    statuses = [400, 200];
    await expect(createSendEmail({ from })(email, to)).rejects.toBeInstanceOf(SendFailedError);
    expect(requests).toHaveLength(1);
  });
});
