import { Readable } from 'node:stream';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { mockClient } from 'aws-sdk-client-mock';
import { beforeEach, describe, expect, it } from 'vitest';
import { instant } from '../../domain/calendar/instant.ts';
import { consumeReplyQuota, createInboundMailStore } from '../../store/inbound-mail.ts';
import type { Store } from '../../store/store.ts';
import { ines, jorge } from '../builders.ts';
import { mondayNoon, mondayTen } from '../instants.ts';
import { scanAllItems, startTestDynamoDb } from './dynamodb.ts';

const dynamoDb = await startTestDynamoDb();
let store: Store;

beforeEach(async () => {
  store = await dynamoDb.newStore();
});

const s3 = mockClient(S3Client);
const storedEmail = (chunks: readonly string[]) => {
  let bytesRead = 0;
  const body = Readable.from(
    (function* () {
      for (const chunk of chunks) {
        bytesRead += chunk.length;
        yield Buffer.from(chunk);
      }
    })(),
  );
  s3.reset();
  s3.on(GetObjectCommand).resolves({ Body: body as never });
  return {
    inboundMail: createInboundMailStore('bucket', new S3Client({ region: 'us-east-1' })),
    bytesRead: () => bytesRead,
  };
};

describe('a received email', () => {
  it('is read completely if it is not larger than the limit', async () => {
    const { inboundMail } = storedEmail(['From: a', '@b.example']);
    expect(await inboundMail.read('mails/1', 17)).toEqual({ raw: Buffer.from('From: a@b.example'), isComplete: true });
    expect(s3.commandCalls(GetObjectCommand)[0]?.args[0].input).toEqual({ Bucket: 'bucket', Key: 'mails/1' });
  });

  it('is read up to the limit if it is larger, and marked as incomplete', async () => {
    const { inboundMail, bytesRead } = storedEmail(['12345', '67890', ...Array.from({ length: 1_000 }, () => '-----')]);
    expect(await inboundMail.read('mails/1', 9)).toEqual({ raw: Buffer.from('123456789'), isComplete: false });
    expect(bytesRead()).toBeLessThan(200);
  });

  it('throws if it does not exist, because SES stores an email before it sends the event', async () => {
    s3.reset();
    s3.on(GetObjectCommand).rejects(new Error('NoSuchKey'));
    await expect(
      createInboundMailStore('bucket', new S3Client({ region: 'us-east-1' })).read('mails/1', 9),
    ).rejects.toThrow();
    s3.reset();
    s3.on(GetObjectCommand).resolves({});
    await expect(
      createInboundMailStore('bucket', new S3Client({ region: 'us-east-1' })).read('mails/1', 9),
    ).rejects.toThrow('has no content');
  });
});

describe('automatic replies by email', () => {
  const consume = (reply: Partial<Parameters<typeof consumeReplyQuota>[1]> = {}, now = mondayTen) =>
    consumeReplyQuota(store, { category: 'any', address: ines.email, repliesMax: 2, ...reply }, now);

  it('EXC-13 have a daily quota for each address and category', async () => {
    expect([await consume(), await consume({}, mondayNoon), await consume()]).toEqual([true, true, false]);
    expect(await consume({ address: jorge.email })).toBe(true);
    expect(await consume({ category: 'unverified' })).toBe(true);
    expect(await consume({}, instant('2026-06-01T23:59:59.999Z'))).toBe(false);
    expect(await consume({}, instant('2026-06-02T00:00:00Z'))).toBe(true);
  });

  it('EXC-13 do not exceed the quota if they are sent at once', async () => {
    const results = await Promise.all(Array.from({ length: 12 }, () => consume({ repliesMax: 5 })));
    expect(results.filter((isAllowed) => isAllowed)).toHaveLength(5);
  });

  it('are counted for two days, without the address in plain text', async () => {
    await consume();
    const [item] = await scanAllItems(store);
    expect(JSON.stringify(item)).not.toContain('alder');
    expect(item?.expiresAtEpochSeconds).toBe(Date.parse('2026-06-03T17:00:00Z') / 1000);
  });
});
