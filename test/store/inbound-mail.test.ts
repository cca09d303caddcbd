import { Readable } from 'node:stream';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { mockClient } from 'aws-sdk-client-mock';
import { beforeEach, describe, expect, it } from 'vitest';
import { instant } from '../../domain/calendar/instant.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { consumeReplyQuota, createInboundMailStore } from '../../store/inbound-mail.ts';
import { ines, jorge } from '../builders.ts';
import { mondayNoon, mondayTen } from '../instants.ts';
import { scanAllItems, startTestDynamoDb } from './dynamodb.ts';

const engine = await startTestDynamoDb();
let store: Store;

beforeEach(async () => {
  store = await engine.newStore();
});

const s3 = mockClient(S3Client);
/** The calls of the SDK alone: what its streams add for browsers is not looked at. */
const stored = (chunks: readonly string[]) => {
  let fetched = 0;
  const body = Readable.from(
    (function* () {
      for (const chunk of chunks) {
        fetched += chunk.length;
        yield Buffer.from(chunk);
      }
    })(),
  );
  s3.reset();
  s3.on(GetObjectCommand).resolves({ Body: body as never });
  return { mails: createInboundMailStore('bucket', new S3Client({ region: 'us-east-1' })), fetched: () => fetched };
};

describe('a mail that is stored', () => {
  it('is read whole up to the bound', async () => {
    const { mails } = stored(['From: a', '@b.example']);
    expect(await mails.read('mails/1', 17)).toEqual({ raw: Buffer.from('From: a@b.example'), isComplete: true });
    expect(s3.commandCalls(GetObjectCommand)[0]?.args[0].input).toEqual({ Bucket: 'bucket', Key: 'mails/1' });
  });

  it('is read no further than the bound, and said not to be whole', async () => {
    const { mails, fetched } = stored(['12345', '67890', ...Array.from({ length: 1_000 }, () => '-----')]);
    expect(await mails.read('mails/1', 9)).toEqual({ raw: Buffer.from('123456789'), isComplete: false });
    expect(fetched()).toBeLessThan(200);
  });

  it('is a fault when it is not there: it is stored before anybody is told', async () => {
    s3.reset();
    s3.on(GetObjectCommand).rejects(new Error('NoSuchKey'));
    await expect(
      createInboundMailStore('bucket', new S3Client({ region: 'us-east-1' })).read('mails/1', 9),
    ).rejects.toThrow();
    s3.reset();
    s3.on(GetObjectCommand).resolves({});
    await expect(
      createInboundMailStore('bucket', new S3Client({ region: 'us-east-1' })).read('mails/1', 9),
    ).rejects.toThrow('without its content');
  });
});

describe('answers by mail', () => {
  const ask = (facts: Partial<Parameters<typeof consumeReplyQuota>[1]> = {}, now = mondayTen) =>
    consumeReplyQuota(store, { category: 'any', address: ines.email, repliesMax: 2, ...facts }, now);

  it('EXC-13 are bounded for each address and day', async () => {
    expect([await ask(), await ask({}, mondayNoon), await ask()]).toEqual([true, true, false]);
    expect(await ask({ address: jorge.email })).toBe(true);
    expect(await ask({ category: 'unverified' })).toBe(true);
    expect(await ask({}, instant('2026-06-01T23:59:59.999Z'))).toBe(false);
    expect(await ask({}, instant('2026-06-02T00:00:00Z'))).toBe(true);
  });

  it('EXC-13 are bounded when they are asked for at once', async () => {
    const asked = await Promise.all(Array.from({ length: 12 }, () => ask({ repliesMax: 5 })));
    expect(asked.filter((may) => may)).toHaveLength(5);
  });

  it('are counted for two days, under no address in the clear', async () => {
    await ask();
    const [item] = await scanAllItems(store);
    expect(JSON.stringify(item)).not.toContain('alder');
    expect(item?.expiresAtEpochSeconds).toBe(Date.parse('2026-06-03T17:00:00Z') / 1000);
  });
});
