import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import { readKey } from '../store/keys.ts';
import type { Row } from './row.ts';
import { anInstallation, makOf, median, newStore, rootSecret } from './world.ts';

/** How many activations a round has, and how many rounds of each sort are taken in turn. */
const inARound = 400;
const rounds = 9;
const atOnce = 8;

type Handler = (event: APIGatewayProxyEventV2, context: Context) => Promise<APIGatewayProxyStructuredResultV2>;

/**
 * Activations a second through the whole handler, in process, beside a bare loop of the same conditional update through the
 * SDK on the same engine; and the processor time that each takes. Rounds are interleaved, and the medians are compared.
 */
export async function measure(): Promise<readonly Row[]> {
  const store = await newStore();
  const layout = await makOf(store, 'THROUGHPUT', 100_000);
  Object.assign(process.env, {
    TABLE_NAME: store.tableName,
    VAULT_SECRET: rootSecret,
    POWERTOOLS_LOG_LEVEL: 'CRITICAL',
    POWERTOOLS_METRICS_DISABLED: 'true',
  });
  const { handler } = (await import('../functions/activation.ts')) as { handler: Handler };
  const key = await readKey(store, layout.keyId);
  const productKey = store.vault.openProductKey(String(key?.kept.sealed), layout.keyId).reveal();

  const throughHandler = async () => {
    const body = JSON.stringify({
      productKey,
      installationId: anInstallation(),
      product: 'windows-vista-enterprise',
      machineName: 'CONTOSO-PC-0001',
    });
    const { statusCode } = await handler(eventWith(body), {} as Context);
    if (statusCode !== 201) throw new Error(`An activation was answered ${statusCode}.`);
  };
  let count = 0;
  const bare = async () => {
    count += 1;
    await store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: { PK: `BARE#${count % layout.bucketCount}`, SK: 'BUCKET' },
        UpdateExpression:
          'SET #mark = :mark, #used = if_not_exists(#used, :none) + :one, #free = if_not_exists(#free, :many) - :one',
        ConditionExpression: 'attribute_not_exists(#mark)',
        ExpressionAttributeNames: { '#mark': `+${anInstallation().slice(0, 26)}`, '#used': 'used', '#free': 'free' },
        ExpressionAttributeValues: { ':mark': 'mbdv1k00.1.CONTOSO-PC-0001', ':one': 1, ':none': 0, ':many': 100_000 },
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      }),
    );
  };
  const taken = { handler: [] as Taken[], bare: [] as Taken[] };
  await round(throughHandler);
  await round(bare);
  for (let turn = 0; turn < rounds; turn += 1) {
    taken.bare.push(await round(bare));
    taken.handler.push(await round(throughHandler));
  }
  const perSecond = (some: readonly Taken[]) => inARound / median(some.map(({ seconds }) => seconds));
  const cpu = (some: readonly Taken[]) => (median(some.map(({ cpuSeconds }) => cpuSeconds)) / inARound) * 1e6;
  return [
    {
      what: 'activations a second through the handler',
      measured: perSecond(taken.handler),
      unit: 'a second',
      beside: { what: 'bare', measured: perSecond(taken.bare) },
    },
    {
      what: 'of the bare loop',
      measured: median(taken.handler.map(({ seconds }, turn) => (taken.bare[turn]?.seconds ?? Number.NaN) / seconds)),
      unit: '×',
      reach: { atLeast: 0.85 },
    },
    {
      what: 'processor time an activation',
      measured: cpu(taken.handler),
      unit: 'µs',
      beside: { what: 'µs bare', measured: cpu(taken.bare) },
    },
    {
      what: 'of the bare call',
      measured: median(
        taken.handler.map(({ cpuSeconds }, turn) => cpuSeconds / (taken.bare[turn]?.cpuSeconds ?? Number.NaN)),
      ),
      unit: '×',
      reach: { atMost: 1.25 },
    },
  ];
}

type Taken = { readonly seconds: number; readonly cpuSeconds: number };

async function round(act: () => Promise<void>): Promise<Taken> {
  const cpuBefore = process.cpuUsage();
  const before = performance.now();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let turn = 0; turn < inARound / atOnce; turn += 1) await act();
    }),
  );
  const { user, system } = process.cpuUsage(cpuBefore);
  return { seconds: (performance.now() - before) / 1000, cpuSeconds: (user + system) / 1e6 };
}

let requests = 0;

function eventWith(body: string): APIGatewayProxyEventV2 {
  requests += 1;
  return {
    version: '2.0',
    routeKey: 'POST /activations',
    rawPath: '/activations',
    rawQueryString: '',
    headers: { 'content-type': 'application/json', 'user-agent': 'bench', host: 'bench' },
    requestContext: {
      accountId: '000000000000',
      apiId: 'bench',
      domainName: 'bench',
      domainPrefix: 'bench',
      http: { method: 'POST', path: '/activations', protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'bench' },
      requestId: `bench-${requests}`,
      routeKey: 'POST /activations',
      stage: '$default',
      time: '',
      timeEpoch: 0,
    },
    body,
    isBase64Encoded: false,
  };
}
