import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import type { Store } from '../store/store.ts';
import { randomInstallationId, rootSecret } from './fixture.ts';

export type ApiHandler = (
  event: APIGatewayProxyEventV2,
  context: Context,
) => Promise<APIGatewayProxyStructuredResultV2>;

/** The log and metrics settings of a deployment, so that the functions write the same lines as there. */
export const logSettings = {
  POWERTOOLS_LOG_LEVEL: 'INFO',
  POWERTOOLS_SERVICE_NAME: 'activation',
  POWERTOOLS_METRICS_NAMESPACE: 'volume-activation-dev',
} as const;

/** Returns the environment of the activation function. */
export function functionEnvironment({ tableName }: Store): Readonly<Record<string, string>> {
  return { TABLE_NAME: tableName, ROOT_SECRET: rootSecret, ...logSettings };
}

/** Returns the body of an activation, by default for a new installation. */
export function activationBody(productKey: string, installationId: string = randomInstallationId()): object {
  return { productKey, installationId, product: 'windows-vista-enterprise', machineName: 'CONTOSO-PC-0001' };
}

let requests = 0;

/** Returns the event of API Gateway for an activation. Its request id is as long as a real one. */
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

/** Discards everything that is written to standard output, until the returned function is called. */
export function muteStdout(): () => void {
  const write = process.stdout.write;
  process.stdout.write = (() => true) as typeof process.stdout.write;
  return () => {
    process.stdout.write = write;
  };
}
