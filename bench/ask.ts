import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import { anInstallation } from './world.ts';

export type ApiHandler = (
  event: APIGatewayProxyEventV2,
  context: Context,
) => Promise<APIGatewayProxyStructuredResultV2>;

let requests = 0;

/** What the gateway hands to a function: one call of a route, as JSON. */
export function eventOf(method: string, path: string, route: string, body?: object): APIGatewayProxyEventV2 {
  requests += 1;
  return {
    version: '2.0',
    routeKey: route,
    rawPath: path,
    rawQueryString: '',
    headers: { 'content-type': 'application/json', 'user-agent': 'bench', host: 'bench' },
    requestContext: {
      accountId: '000000000000',
      apiId: 'bench',
      domainName: 'bench',
      domainPrefix: 'bench',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'bench' },
      requestId: `bench-${requests}`,
      routeKey: route,
      stage: '$default',
      time: '',
      timeEpoch: 0,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    isBase64Encoded: false,
  };
}

/** The body of an activation by a machine that was not there before. */
export function activationBody(productKey: string): object {
  return {
    productKey,
    installationId: anInstallation(),
    product: 'windows-vista-enterprise',
    machineName: 'CONTOSO-PC-0001',
  };
}

export function activationEvent(productKey: string): APIGatewayProxyEventV2 {
  return eventOf('POST', '/activations', 'POST /activations', activationBody(productKey));
}

/** Takes what is logged from now on before it reaches the terminal. Answers with what lets it through again. */
export function hush(): () => void {
  const write = process.stdout.write;
  process.stdout.write = (() => true) as typeof process.stdout.write;
  return () => {
    process.stdout.write = write;
  };
}
