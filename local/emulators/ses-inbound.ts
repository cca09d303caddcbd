import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Context } from 'aws-lambda';
import { inboundMailPrefix } from '../../functions/manifest.ts';
import { lambdaContext } from './api-gateway.ts';

export type InboundMailHandler = (event: unknown, context: Context) => Promise<unknown>;

export type SesInbound = {
  /** The endpoint that replaces S3, with the emails. */
  readonly endpoint: string;
  /** Stores an email, calls the functions that process inbound emails, and returns the ID of the email when they are done. */
  deliver(raw: Buffer, verdict: 'PASS' | 'FAIL', handlers: readonly InboundMailHandler[]): Promise<string>;
  stop(): Promise<void>;
};

/**
 * Receives emails to the exceptions address as SES does: it stores each in a bucket (here in memory) and calls the functions
 * with the event of SES. They read the email from the bucket, as on AWS.
 */
export async function startSesInbound({
  bucket,
  address,
}: {
  readonly bucket: string;
  readonly address: string;
}): Promise<SesInbound> {
  const storedMails = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    const mail = request.method === 'GET' ? storedMails.get(path) : undefined;
    if (mail === undefined) {
      response.writeHead(404, { 'content-type': 'application/xml' });
      response.end('<Error><Code>NoSuchKey</Code><Message>There is no such mail.</Message></Error>');
      return;
    }
    response.writeHead(200, { 'content-type': 'binary/octet-stream', 'content-length': mail.length });
    response.end(mail);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const serverAddress = server.address();
  if (serverAddress === null || typeof serverAddress === 'string') throw new Error('The server has no port.');

  return {
    endpoint: `http://127.0.0.1:${serverAddress.port}`,
    deliver: async (raw, verdict, handlers) => {
      const messageId = randomUUID().replaceAll('-', '');
      const path = `/${bucket}/${inboundMailPrefix}${messageId}`;
      storedMails.set(path, raw);
      const headerLines = headerLinesOf(raw);
      const status = { status: verdict };
      const receipt = {
        recipients: recipientsIn(headerLines, address),
        spfVerdict: status,
        dkimVerdict: status,
        dmarcVerdict: status,
        spamVerdict: { status: 'PASS' },
        virusVerdict: { status: 'PASS' },
      };
      const mail = { messageId, source: senderIn(headerLines) };
      const event = { Records: [{ eventSource: 'aws:ses', eventVersion: '1.0', ses: { mail, receipt } }] };
      try {
        for (const handler of handlers) await handler(event, lambdaContext(messageId));
      } finally {
        storedMails.delete(path);
      }
      return messageId;
    },
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** Returns the header lines of an email, unfolded. */
function headerLinesOf(raw: Buffer): readonly string[] {
  const [head = ''] = raw
    .subarray(0, 256 * 1024)
    .toString('latin1')
    .split(/\r?\n\r?\n/, 1);
  return head.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/);
}

const addressesIn = (line: string) => line.match(/[^\s<>,;:"()]+@[^\s<>,;:"()]+/g) ?? [];

/** Returns the envelope recipients. A raw email has no envelope, so they are our addresses in it, or the exceptions address. */
function recipientsIn(headerLines: readonly string[], address: string): readonly string[] {
  const [local = '', domain = ''] = address.split('@');
  const recipients = headerLines
    .filter((line) => /^(?:to|cc|delivered-to):/i.test(line))
    .flatMap(addressesIn)
    .filter((each) => each.toLowerCase().startsWith(local) && each.toLowerCase().endsWith(`@${domain}`));
  return recipients.length > 0 ? recipients : [address];
}

function senderIn(headerLines: readonly string[]): string {
  const returnPath = headerLines.find((line) => /^return-path:/i.test(line));
  const from = headerLines.find((line) => /^from:/i.test(line));
  return returnPath === undefined ? (addressesIn(from ?? '')[0] ?? '') : (addressesIn(returnPath)[0] ?? '');
}
