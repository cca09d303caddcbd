import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import type { Store } from '../store/dynamodb/table.ts';
import { randomInstallationId, rootSecret } from './fixture.ts';

export type ApiHandler = (
  event: APIGatewayProxyEventV2,
  context: Context,
) => Promise<APIGatewayProxyStructuredResultV2>;

/** What the deployment tells functions of their log and metrics: what they write then is what they write there. */
export const logSettings = {
  POWERTOOLS_LOG_LEVEL: 'INFO',
  POWERTOOLS_SERVICE_NAME: 'activation',
  POWERTOOLS_METRICS_NAMESPACE: 'volume-activation-dev',
} as const;

/** All that the activation function is told. */
export function functionEnvironment({ tableName }: Store): Readonly<Record<string, string>> {
  return { TABLE_NAME: tableName, VAULT_SECRET: rootSecret, ...logSettings };
}

/** The body of an activation, by a machine that was not there before unless one is named. */
export function activationBody(productKey: string, installationId: string = randomInstallationId()): object {
  return { productKey, installationId, product: 'windows-vista-enterprise', machineName: 'CONTOSO-PC-0001' };
}

let requests = 0;

/** What the gateway hands to the function for it, with an id of the request that is as long as the gateway's. */
export function activationEvent(productKey: string, installationId?: string): APIGatewayProxyEventV2 {
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
      requestId: `K1x2yZ3aIAMEV${String(requests).padStart(3, '0')}`,
      routeKey: 'POST /activations',
      stage: '$default',
      time: '',
      timeEpoch: 0,
    },
    body: JSON.stringify(activationBody(productKey, installationId)),
    isBase64Encoded: false,
  };
}

/** Takes what is logged from now on before it reaches the terminal. Answers with what lets it through again. */
export function muteStdout(): () => void {
  const write = process.stdout.write;
  process.stdout.write = (() => true) as typeof process.stdout.write;
  return () => {
    process.stdout.write = write;
  };
}
