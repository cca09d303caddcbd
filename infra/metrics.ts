import { Duration } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { type IMetric, MathExpression, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { ITable, Table } from 'aws-cdk-lib/aws-dynamodb';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { businessMetrics } from '../functions/manifest.ts';
import type { Deployment } from './deployment.ts';
import type { DeployedFunction } from './service-function.ts';

/** Each stage counts for itself, also where two share an account. */
export function metricsNamespaceOf({ stageName }: Pick<Deployment, 'stageName'>): string {
  return `VolumeActivation/${stageName}`;
}

const period = Duration.minutes(5);

/** Everything that is measured, by what it tells: five minutes at a time. Alarms and dashboard are made of these. */
export class Metrics {
  private readonly deployment: Deployment;
  private readonly sources: {
    readonly functions: readonly DeployedFunction[];
    readonly api: HttpApi;
    readonly stateMachine: StateMachine;
    readonly table: Table | ITable;
  };

  constructor(deployment: Deployment, sources: Metrics['sources']) {
    this.deployment = deployment;
    this.sources = sources;
  }

  /** Faults of one function: those that it told of, and those that ended it. */
  faults({ name, construct: made }: DeployedFunction): IMetric {
    return new MathExpression({
      label: name,
      period,
      // A graph may show several: what is added up is named for its function.
      expression: `FILL(${name}Ended, 0) + FILL(${name}Told, 0)`,
      usingMetrics: {
        [`${name}Ended`]: made.function.metricErrors({ period, statistic: Stats.SUM }),
        [`${name}Told`]: this.serviceMetric('faults', { service: name }),
      },
    });
  }

  throttles({ name, construct: made }: DeployedFunction): IMetric {
    return made.function.metricThrottles({ label: name, period, statistic: Stats.SUM });
  }

  duration({ name, construct: made }: DeployedFunction): IMetric {
    return made.function.metricDuration({ label: name, period, statistic: Stats.p(99) });
  }

  /** Runs that came to their end, for what runs by the clock. */
  completedRuns({ name, construct: made }: DeployedFunction, window: Duration): IMetric {
    return new MathExpression({
      label: name,
      period: window,
      expression: 'FILL(begun, 0) - FILL(ended, 0)',
      usingMetrics: {
        begun: made.function.metricInvocations({ period: window, statistic: Stats.SUM }),
        ended: made.function.metricErrors({ period: window, statistic: Stats.SUM }),
      },
    });
  }

  deadLetters({ name, construct: made }: DeployedFunction): IMetric | undefined {
    return made.deadLetterQueue?.metricApproximateNumberOfMessagesVisible({
      label: name,
      period,
      statistic: Stats.MAXIMUM,
    });
  }

  executionsStarted(): IMetric {
    return this.sources.stateMachine.metricStarted({ label: 'started', period });
  }

  executionsFailed(): IMetric {
    const { stateMachine } = this.sources;
    return new MathExpression({
      label: 'failed',
      period,
      expression: 'FILL(failed, 0) + FILL(timedOut, 0) + FILL(aborted, 0)',
      usingMetrics: {
        failed: stateMachine.metricFailed({ period }),
        timedOut: stateMachine.metricTimedOut({ period }),
        aborted: stateMachine.metricAborted({ period }),
      },
    });
  }

  calls(): IMetric {
    return this.sources.api.metricCount({ label: 'calls', period, statistic: Stats.SUM });
  }

  refusedCalls(): IMetric {
    return this.sources.api.metricClientError({ label: 'refused (4xx)', period, statistic: Stats.SUM });
  }

  failedCalls(): IMetric {
    return this.sources.api.metricServerError({ label: 'failed (5xx)', period, statistic: Stats.SUM });
  }

  latency(percentile: number): IMetric {
    return this.sources.api.metricLatency({ label: `p${percentile}`, period, statistic: Stats.p(percentile) });
  }

  /** How many calls of a hundred were refused, told only where there are enough of them to tell. */
  refusalPercent(atLeastCalls: number): IMetric {
    return new MathExpression({
      label: 'refused of a hundred',
      period,
      expression: `IF(calls >= ${atLeastCalls}, 100 * refused / calls, 0)`,
      usingMetrics: { calls: this.calls(), refused: this.refusedCalls() },
    });
  }

  /** Calls of these routes that were refused, whatever the answer said. */
  refusalsOnRoutes(routes: readonly string[]): IMetric {
    const perRoute = Object.fromEntries(
      routes.map((route, index) => {
        const [method = '', path = ''] = route.split(' ');
        return [
          `route${index}`,
          this.sources.api.metricClientError({
            period,
            statistic: Stats.SUM,
            dimensionsMap: { ApiId: this.sources.api.apiId, Stage: '$default', Method: method, Resource: path },
          }),
        ];
      }),
    );
    const sum = Object.keys(perRoute).map((byDimension) => `FILL(${byDimension}, 0)`);
    return new MathExpression({ label: 'refused', period, expression: sum.join(' + '), usingMetrics: perRoute });
  }

  /** Refusals of one code by one function. */
  refusals(name: string, code: string): IMetric {
    return this.serviceMetric('refusals', { service: name, code });
  }

  /** Letters of one kind that went out. */
  notificationsSent(kind: string): IMetric {
    return this.serviceMetric('notifications', { [businessMetrics.notifications]: kind });
  }

  /** The share of this stage’s mails that bounced or were complained of, from 0 to 1, as SES judges a sender by it. */
  mailRate(rate: 'BounceRate' | 'ComplaintRate'): IMetric {
    return new Metric({
      label: rate,
      namespace: 'AWS/SES',
      metricName: `Reputation.${rate}`,
      dimensionsMap: { 'ses:configuration-set': this.deployment.prefix },
      period: Duration.hours(1),
      statistic: Stats.MAXIMUM,
    });
  }

  consumedCapacity(): readonly IMetric[] {
    return (['ConsumedReadCapacityUnits', 'ConsumedWriteCapacityUnits'] as const).map((metricName) =>
      this.sources.table.metric(metricName, { label: metricName, period, statistic: Stats.SUM }),
    );
  }

  /** Every value that something is counted by, each a line of its own, whichever there turn out to be. */
  byDimension(metricName: keyof typeof businessMetrics, statistic: string, window: Duration): IMetric {
    const dimensions =
      metricName === 'refusals' ? `service,${businessMetrics[metricName]}` : businessMetrics[metricName];
    const namespace = metricsNamespaceOf(this.deployment);
    return new MathExpression({
      label: '',
      period: window,
      expression: `SEARCH('{"${namespace}",${dimensions}} MetricName="${metricName}"', '${statistic}', ${window.toSeconds()})`,
      usingMetrics: {},
    });
  }

  private serviceMetric(metricName: string, dimensionsMap: Record<string, string>): Metric {
    const namespace = metricsNamespaceOf(this.deployment);
    return new Metric({ namespace, metricName, dimensionsMap, period, statistic: Stats.SUM });
  }
}
