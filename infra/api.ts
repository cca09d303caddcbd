import { CfnOutput, RemovalPolicy } from 'aws-cdk-lib';
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import {
  ApiMapping,
  CfnStage,
  DomainName,
  HttpApi,
  HttpMethod,
  HttpRoute,
  HttpRouteKey,
  HttpStage,
  LogGroupLogDestination,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpUserPoolAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Certificate, CertificateValidation } from 'aws-cdk-lib/aws-certificatemanager';
import type { IUserPool, IUserPoolClient } from 'aws-cdk-lib/aws-cognito';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { ARecord, HostedZone, RecordTarget } from 'aws-cdk-lib/aws-route53';
import { ApiGatewayv2DomainProperties } from 'aws-cdk-lib/aws-route53-targets';
import { Construct } from 'constructs';
import { type Audience, type ManifestEntry, needsToken, type Rate } from '../functions/manifest.ts';
import type { Deployment } from './deployment.ts';
import { suppressFindings } from './nag-suppressions.ts';

/**
 * What of a call is logged. Never its path: the token in the path of an approval link is a secret. The route says what was
 * called, and the function logs whom it was about under the same request id.
 */
const accessLogFormat = AccessLogFormat.custom(
  JSON.stringify({
    requestId: '$context.requestId',
    requestTime: '$context.requestTimeEpoch',
    route: '$context.routeKey',
    status: '$context.status',
    latencyMilliseconds: '$context.responseLatency',
    integrationMilliseconds: '$context.integrationLatency',
    responseBytes: '$context.responseLength',
    sourceIp: '$context.identity.sourceIp',
    error: '$context.error.message',
    authorizerError: '$context.authorizer.error',
  }),
);

/** Why a route has no authorizer of the gateway's: each such caller brings a credential of another kind, or needs none. */
const noTokenReasons: Readonly<Record<'device' | 'link-holder' | 'anyone', string>> = {
  device: 'A machine has no account: the product key in the body is its credential, and the function checks it.',
  'link-holder': 'The token in the path and the code from the mail are the credential, and the function checks both.',
  anyone: 'It tells nothing that is not public.',
};

/** The HTTP API at its address. Its routes are added once their functions are there, since those must know the address. */
export class Api extends Construct {
  readonly api: HttpApi;
  /** Where people and machines reach it. */
  readonly publicUrl: string;
  private readonly stage: HttpStage;

  constructor(
    scope: Construct,
    id: string,
    { prefix, stage, key }: Pick<Deployment, 'prefix' | 'stage'> & { readonly key: IKey },
  ) {
    super(scope, id);
    this.api = new HttpApi(this, 'Api', {
      apiName: prefix,
      description: 'Activation, keys, exception requests and their approval',
      createDefaultStage: false,
      // With an address of our own, the gateway's would only be a second way in.
      disableExecuteApiEndpoint: stage.domain !== null,
    });
    this.stage = new HttpStage(this, 'Stage', {
      httpApi: this.api,
      stageName: '$default',
      autoDeploy: true,
      detailedMetricsEnabled: true,
      throttle: { rateLimit: 10, burstLimit: 20 },
      accessLogSettings: {
        destination: new LogGroupLogDestination(
          new LogGroup(this, 'AccessLog', {
            logGroupName: `/aws/vendedlogs/http-api/${prefix}`,
            retention: stage.logRetentionDays,
            encryptionKey: key,
            removalPolicy: RemovalPolicy.DESTROY,
          }),
        ),
        format: accessLogFormat,
      },
    });
    this.publicUrl = stage.domain === null ? this.api.apiEndpoint : `https://${stage.domain.name}`;
    if (stage.domain !== null) this.addCustomDomain(stage.domain);
    new CfnOutput(this, 'Url', { key: 'ApiUrl', value: this.publicUrl });
  }

  private addCustomDomain({ name, zoneId, zoneName }: NonNullable<Deployment['stage']['domain']>): void {
    const zone = HostedZone.fromHostedZoneAttributes(this, 'Zone', { hostedZoneId: zoneId, zoneName });
    const domain = new DomainName(this, 'Domain', {
      domainName: name,
      certificate: new Certificate(this, 'Certificate', {
        domainName: name,
        validation: CertificateValidation.fromDns(zone),
      }),
    });
    new ApiMapping(this, 'Mapping', { api: this.api, domainName: domain, stage: this.stage });
    new ARecord(this, 'Record', {
      zone,
      recordName: `${name}.`,
      target: RecordTarget.fromAlias(
        new ApiGatewayv2DomainProperties(domain.regionalDomainName, domain.regionalHostedZoneId),
      ),
    });
  }

  /** Adds the routes of the entries with their authorizer and rates; one entry answers what no route is written for. */
  addRoutes(
    entries: readonly {
      readonly name: string;
      readonly entry: ManifestEntry & { readonly kind: 'api' };
      readonly function: IFunction;
    }[],
    authentication: { readonly userPool: IUserPool; readonly client: IUserPoolClient },
  ): void {
    const authorizer = new HttpUserPoolAuthorizer('UserPoolAuthorizer', authentication.userPool, {
      userPoolClients: [authentication.client],
    });
    const rates: Record<string, Rate> = {};
    const routes: HttpRoute[] = [];
    for (const { name, entry, function: handler } of entries) {
      const integration = new HttpLambdaIntegration(name, handler, { scopePermissionToRoute: false });
      for (const [key, audiences] of withHeadRoutes(entry.routes)) {
        const route = new HttpRoute(this, key, {
          httpApi: this.api,
          routeKey: routeKeyOf(key),
          integration,
          ...(needsToken(audiences) ? { authorizer } : {}),
        });
        if (!needsToken(audiences)) suppressFindings(route, { 'AwsSolutions-APIG4': noTokenReasonFor(audiences) });
        rates[key] = entry.rates?.[key.replace(/^HEAD /, 'GET ')] ?? entry.rate;
        routes.push(route);
      }
      if (entry.handlesUnmatchedRoutes) {
        const catchAllRoute = new HttpRoute(this, '$default', {
          httpApi: this.api,
          routeKey: HttpRouteKey.DEFAULT,
          integration,
        });
        suppressFindings(catchAllRoute, { 'AwsSolutions-APIG4': 'It says only that there is nothing at the address.' });
        rates.$default = entry.rate;
        routes.push(catchAllRoute);
      }
    }
    const { defaultChild } = this.stage.node;
    if (!(defaultChild instanceof CfnStage)) throw new Error('The stage of the API is not what it was.');
    defaultChild.routeSettings = Object.fromEntries(
      Object.entries(rates).map(([key, { perSecond, burst }]) => [
        key,
        { ThrottlingRateLimit: perSecond, ThrottlingBurstLimit: burst, DetailedMetricsEnabled: true },
      ]),
    );
    // CloudFormation refuses settings of a route that is not there yet.
    this.stage.node.addDependency(...routes);
  }
}

function routeKeyOf(route: string): HttpRouteKey {
  const [method = '', path = ''] = route.split(' ');
  const httpMethod = Object.values(HttpMethod).find((each) => each === method);
  if (httpMethod === undefined) throw new Error(`The gateway has no method ${method}.`);
  return HttpRouteKey.with(path, httpMethod);
}

function noTokenReasonFor(audiences: readonly Audience[]): string {
  const reasons = Object.entries(noTokenReasons).flatMap(([each, reason]) =>
    audiences.some((audience) => audience === each) ? reason : [],
  );
  return reasons.join(' ');
}

/** Adds a HEAD route for each GET route: link checkers and email scanners send HEAD. */
function withHeadRoutes(
  routes: Readonly<Record<string, readonly Audience[]>>,
): readonly (readonly [string, readonly Audience[]])[] {
  return Object.entries(routes).flatMap(([key, audiences]) =>
    key.startsWith('GET ')
      ? [[key, audiences] as const, [key.replace(/^GET /, 'HEAD '), audiences] as const]
      : [[key, audiences] as const],
  );
}
