import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Context } from 'aws-lambda';
import { inboundMailPrefix } from '../../functions/manifest.ts';
import { contextOf } from './api-gateway.ts';

export type InboundMailHandler = (event: unknown, context: Context) => Promise<unknown>;

export type MailIntake = {
  /** Where the mails are, in the place of S3. */
  readonly endpoint: string;
  /** Stores a mail and tells the functions that read mails of it; answers when they are done, with the id it was given. */
  arrive(raw: Buffer, verdict: 'PASS' | 'FAIL', handlers: readonly InboundMailHandler[]): Promise<string>;
  stop(): Promise<void>;
};

/**
 * Takes mails to the exceptions address as SES does: puts each into a bucket, here in memory, and calls the functions with
 * the event that SES calls them with. They read it from there, as on AWS.
 */
export async function startMailIntake({
  bucket,
  address,
}: {
  readonly bucket: string;
  readonly address: string;
}): Promise<MailIntake> {
  const stored = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    const mail = request.method === 'GET' ? stored.get(path) : undefined;
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
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('a TCP server has no port');

  return {
    endpoint: `http://127.0.0.1:${bound.port}`,
    arrive: async (raw, verdict, handlers) => {
      const messageId = randomUUID().replaceAll('-', '');
      const path = `/${bucket}/${inboundMailPrefix}${messageId}`;
      stored.set(path, raw);
      const head = headOf(raw);
      const status = { status: verdict };
      const receipt = {
        recipients: recipientsIn(head, address),
        spfVerdict: status,
        dkimVerdict: status,
        dmarcVerdict: status,
        spamVerdict: { status: 'PASS' },
        virusVerdict: { status: 'PASS' },
      };
      const mail = { messageId, source: senderIn(head) };
      const event = { Records: [{ eventSource: 'aws:ses', eventVersion: '1.0', ses: { mail, receipt } }] };
      try {
        for (const handle of handlers) await handle(event, contextOf(messageId));
      } finally {
        stored.delete(path);
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

/** The lines of a mail's header, each whole. */
function headOf(raw: Buffer): readonly string[] {
  const [head = ''] = raw
    .subarray(0, 256 * 1024)
    .toString('latin1')
    .split(/\r?\n\r?\n/, 1);
  return head.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/);
}

const addressesIn = (line: string) => line.match(/[^\s<>,;:"()]+@[^\s<>,;:"()]+/g) ?? [];

/** A mail says on its envelope for whom it is. Here nobody wrote one: it is for those of ours that it names, or for the desk. */
function recipientsIn(head: readonly string[], address: string): readonly string[] {
  const [local = '', domain = ''] = address.split('@');
  const ours = head
    .filter((line) => /^(?:to|cc|delivered-to):/i.test(line))
    .flatMap(addressesIn)
    .filter((each) => each.toLowerCase().startsWith(local) && each.toLowerCase().endsWith(`@${domain}`));
  return ours.length > 0 ? ours : [address];
}

function senderIn(head: readonly string[]): string {
  const path = head.find((line) => /^return-path:/i.test(line));
  const from = head.find((line) => /^from:/i.test(line));
  return path === undefined ? (addressesIn(from ?? '')[0] ?? '') : (addressesIn(path)[0] ?? '');
}
