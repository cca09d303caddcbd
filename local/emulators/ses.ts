import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type ses from 'aws-ses-v2-local';
import type sesStore from 'aws-ses-v2-local/dist/store.js';
import { z } from 'zod';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { AppendOnlyFile } from '../append-only-file.ts';
import { openAppendOnlyFile } from '../append-only-file.ts';
import { IsoInstant } from '../clock.ts';

/** An email as one recipient got it. `to` and `from` are bare addresses. A body that was not sent is null. */
export type MailboxMessage = {
  readonly to: string;
  readonly from: string;
  readonly replyTo: readonly string[];
  readonly subject: string;
  readonly text: string | null;
  readonly html: string | null;
  /** The additional headers of the request. Raw emails have none, because their headers are not stored. */
  readonly headers: Readonly<Record<string, string>>;
  /** The message ID in the response. An email to three recipients is here three times, with one ID. */
  readonly messageId: string;
  readonly at: Instant;
};

export type Mailbox = {
  /** Accepts SESv2 SendEmail. In a browser, it is a page with all emails. */
  readonly endpoint: string;
  /** Returns the emails to an address (in any case), or to all addresses; newest first. */
  mails(to?: string): readonly MailboxMessage[];
  /** Stops accepting emails. Received ones stay readable. */
  stop(): Promise<void>;
};

/**
 * The mailbox of the local system: it accepts every email that SES would send, and sends none.
 *
 * `now` is the clock that dates the emails. With a `folder`, they are stored in `mails.jsonl`, readable by the owner only,
 * and survive a restart, so that links in them still work. A process can have one mailbox, because the library has one
 * store.
 */
export async function startMailbox({ now, folder }: { now: () => Instant; folder?: string }): Promise<Mailbox> {
  const file = folder === undefined ? undefined : join(folder, 'mails.jsonl');
  const mailFile = openMailFile(file);
  const storedMails = [...mailFile.lines];
  let loading: ReturnType<typeof loadLibrary> | undefined;
  // Loading the library takes longer than loading everything else, so it is loaded at its first use.
  const library = () => {
    loading ??= loadLibrary(storedMails);
    return loading;
  };

  /** Returns the library's record of a request, corrected where it uses the wall clock or the headers of the email. */
  const recordMail = (store: Store, request: unknown, libraryResponse: unknown) => {
    const { MessageId } = SendEmailResponse.parse(libraryResponse);
    const libraryMail = store.emails.findLast(({ messageId }) => messageId === MessageId);
    if (libraryMail === undefined) throw new Error(`The mailbox accepted ${MessageId} but does not have it.`);
    const { ToAddresses, CcAddresses, BccAddresses } = SendEmailRequest.parse(request).Destination;
    // SES delivers to the recipients of the request. The To header of a raw email does not decide.
    const hasRecipients = [...ToAddresses, ...CcAddresses, ...BccAddresses].length > 0;
    if (hasRecipients) libraryMail.destination = { to: ToAddresses, cc: CcAddresses, bcc: BccAddresses };
    const at = now();
    // The page of the library uses seconds.
    libraryMail.at = Math.floor(Date.parse(at) / 1000);
    const mail: StoredMail = { at, email: StoredEmail.parse(libraryMail) };
    mailFile.append(mail);
    storedMails.push(mail);
  };

  const clear = async () => {
    storedMails.length = 0;
    if (file !== undefined) await writeFile(file, '', { mode: 0o600 });
  };

  // A server in front of the library, because only it can match a response with its request.
  const forward = async (request: IncomingMessage, response: ServerResponse) => {
    const { method = 'GET', url = '/' } = request;
    const body = await buffer(request).catch(() => undefined);
    // The caller closed the connection, so there is no response to send.
    if (body === undefined) return;
    const { authorization = '', 'content-type': contentType = '' } = request.headers;
    const { server, store } = await library();
    const libraryResponse = await fetch(new URL(url, addressOf(server)), {
      method,
      headers: { authorization, 'content-type': contentType },
      ...(method !== 'GET' && method !== 'HEAD' && { body }),
    });
    const libraryResponseBody = Buffer.from(await libraryResponse.arrayBuffer());
    if (libraryResponse.ok && method === 'POST' && url === '/v2/email/outbound-emails') {
      recordMail(store, JSON.parse(body.toString()), JSON.parse(libraryResponseBody.toString()));
    }
    if (libraryResponse.ok && method === 'POST' && url === '/clear-store') await clear();
    response.writeHead(libraryResponse.status, {
      'content-type': libraryResponse.headers.get('content-type') ?? 'text/plain',
    });
    response.end(libraryResponseBody);
  };
  const pendingRequests = new Set<Promise<void>>();
  const proxy = createServer((request, response) => {
    const forwarding: Promise<void> = forward(request, response).finally(() => pendingRequests.delete(forwarding));
    pendingRequests.add(forwarding);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');

  return {
    endpoint: addressOf(proxy),
    mails: (to) =>
      storedMails
        .flatMap(perRecipient)
        .filter((mail) => to === undefined || mail.to.toLowerCase() === to.toLowerCase())
        .reverse(),
    async stop() {
      await close(proxy);
      await Promise.all(pendingRequests);
      if (loading !== undefined) await close((await loading).server);
    },
  };
}

type Store = ReturnType<typeof sesStore.getStoreReadonly>;

/** Loads and starts the library, with the stored emails. */
async function loadLibrary(storedMails: readonly StoredMail[]): Promise<{ server: Server; store: Store }> {
  // A CommonJS module with a default export. The result of an import depends on the loader; the result of require does
  // not.
  const require = createRequire(import.meta.url);
  const { default: start }: Pick<typeof ses, 'default'> = require('aws-ses-v2-local');
  const { getStoreReadonly }: Pick<typeof sesStore, 'getStoreReadonly'> = require('aws-ses-v2-local/dist/store.js');
  const store = getStoreReadonly();
  store.emails.splice(0, Number.POSITIVE_INFINITY, ...storedMails.map(({ email }) => email));
  const server = await start({ host: '127.0.0.1', port: 0 });
  // Only our side closes an idle connection. Otherwise an email could be sent while it closes, and be lost.
  server.keepAliveTimeout = 0;
  return { server, store };
}

const Addresses = z.array(z.string()).default([]);

const SendEmailRequest = z.object({
  Destination: z.object({ ToAddresses: Addresses, CcAddresses: Addresses, BccAddresses: Addresses }).prefault({}),
});

const SendEmailResponse = z.object({ MessageId: z.string() });

const StoredEmail = z.object({
  messageId: z.string(),
  from: z.string(),
  replyTo: z.array(z.string()),
  destination: z.object({ to: z.array(z.string()), cc: z.array(z.string()), bcc: z.array(z.string()) }),
  subject: z.string(),
  body: z.object({ text: z.string().optional(), html: z.string().optional() }),
  headers: z.array(z.object({ name: z.string(), value: z.string() })).optional(),
  attachments: z.array(
    z.object({ content: z.string(), contentType: z.string(), filename: z.string().optional(), size: z.number() }),
  ),
  at: z.number(),
});

type StoredMail = z.infer<typeof StoredMail>;
const StoredMail = z.object({ at: IsoInstant, email: StoredEmail });

function openMailFile(file: string | undefined): AppendOnlyFile<StoredMail> {
  try {
    return openAppendOnlyFile(file, StoredMail);
  } catch (error) {
    throw new Error(`${file} has an entry that is not an email. Delete the file to start with an empty mailbox.`, {
      cause: error,
    });
  }
}

function perRecipient({ at, email }: StoredMail): MailboxMessage[] {
  const { destination, body, subject, messageId } = email;
  const mail = {
    from: addresses(email.from)[0] ?? email.from,
    replyTo: email.replyTo.flatMap(addresses),
    subject,
    text: body.text ?? null,
    html: body.html ?? null,
    headers: Object.fromEntries((email.headers ?? []).map(({ name, value }) => [name, value])),
    messageId,
    at,
  };
  return [...destination.to, ...destination.cc, ...destination.bcc].flatMap(addresses).map((to) => ({ to, ...mail }));
}

/** Returns the bare addresses of a header such as `"Team, Exceptions" <team@example.com>, ann@example.com`. */
function addresses(field: string): string[] {
  return field.replaceAll(/"(?:\\.|[^"\\])*"/g, '').match(/[^\s<>,;]+@[^\s<>,;]+/g) ?? [];
}

function addressOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port.');
  return `http://127.0.0.1:${address.port}`;
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
}
