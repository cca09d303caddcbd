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
 * The format of the access log. It never includes the path, because the token in the path of an approval link is a
 * secret. It includes the route. The function logs the details of the call under the same request ID.
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

/** The reasons for routes without a gateway authorizer: the caller has another credential, or needs none. */
const noTokenReasons: Readonly<Record<'device' | 'link-holder' | 'anyone', string>> = {
  device: 'A machine has no account. The product key in the body is its credential, and the function checks it.',
  'link-holder': 'The token in the path and the code from the email are the credential, and the function checks both.',
  anyone: 'The response contains only public information.',
};

/** The HTTP API and its domain. The functions need its URL, so `addRoutes` adds the routes after them. */
export class Api extends Construct {
  readonly api: HttpApi;
  /** The URL for people and machines. */
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
      description: 'Activation, keys, exception requests, and approvals',
      createDefaultStage: false,
      // With a custom domain, the default endpoint would only be a second entry point.
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

  /** Adds the routes of the entries with their authorizer and rates. One entry also handles all unmatched routes. */
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
        suppressFindings(catchAllRoute, { 'AwsSolutions-APIG4': 'It only reports that the address does not exist.' });
        rates.$default = entry.rate;
        routes.push(catchAllRoute);
      }
    }
    const { defaultChild } = this.stage.node;
    if (!(defaultChild instanceof CfnStage)) throw new Error('The default child of the API stage is not a CfnStage.');
    defaultChild.routeSettings = Object.fromEntries(
      Object.entries(rates).map(([key, { perSecond, burst }]) => [
        key,
        { ThrottlingRateLimit: perSecond, ThrottlingBurstLimit: burst, DetailedMetricsEnabled: true },
      ]),
    );
    // CloudFormation refuses settings of a route that does not exist yet.
    this.stage.node.addDependency(...routes);
  }
}

function routeKeyOf(route: string): HttpRouteKey {
  const [method = '', path = ''] = route.split(' ');
  const httpMethod = Object.values(HttpMethod).find((each) => each === method);
  if (httpMethod === undefined) throw new Error(`API Gateway does not support the method ${method}.`);
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
