import { Duration } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { type IMetric, MathExpression, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { ITable, Table } from 'aws-cdk-lib/aws-dynamodb';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { businessMetrics } from '../functions/manifest.ts';
import type { Deployment } from './deployment.ts';
import type { DeployedFunction } from './service-function.ts';

/** Returns the metrics namespace of a stage. Each stage has its own, because two stages can share an account. */
export function metricsNamespaceOf({ stageName }: Pick<Deployment, 'stageName'>): string {
  return `VolumeActivation/${stageName}`;
}

const period = Duration.minutes(5);

/** The metrics of the alarms and the dashboard, in periods of five minutes unless a method says otherwise. */
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

  /** Returns the faults of one function: those that it reported as a metric, and those that failed the invocation. */
  faults({ name, construct }: DeployedFunction): IMetric {
    return new MathExpression({
      label: name,
      period,
      // A graph can show several functions, so the IDs of the metrics must be unique for each function.
      expression: `FILL(${name}Errors, 0) + FILL(${name}Faults, 0)`,
      usingMetrics: {
        [`${name}Errors`]: construct.function.metricErrors({ period, statistic: Stats.SUM }),
        [`${name}Faults`]: this.serviceMetric('faults', { service: name }),
      },
    });
  }

  throttles({ name, construct }: DeployedFunction): IMetric {
    return construct.function.metricThrottles({ label: name, period, statistic: Stats.SUM });
  }

  duration({ name, construct }: DeployedFunction): IMetric {
    return construct.function.metricDuration({ label: name, period, statistic: Stats.p(99) });
  }

  /** Returns the completed runs of a scheduled function. */
  completedRuns({ name, construct }: DeployedFunction, window: Duration): IMetric {
    return new MathExpression({
      label: name,
      period: window,
      expression: 'FILL(invocations, 0) - FILL(errors, 0)',
      usingMetrics: {
        invocations: construct.function.metricInvocations({ period: window, statistic: Stats.SUM }),
        errors: construct.function.metricErrors({ period: window, statistic: Stats.SUM }),
      },
    });
  }

  deadLetters({ name, construct }: DeployedFunction): IMetric | undefined {
    return construct.deadLetterQueue?.metricApproximateNumberOfMessagesVisible({
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

  /** Returns the percentage of refused calls, or 0 for fewer calls than the minimum. */
  refusalPercent(minimumCalls: number): IMetric {
    return new MathExpression({
      label: 'refused (%)',
      period,
      expression: `IF(calls >= ${minimumCalls}, 100 * refused / calls, 0)`,
      usingMetrics: { calls: this.calls(), refused: this.refusedCalls() },
    });
  }

  /** Returns the refused calls of these routes, with any refusal code. */
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
    const terms = Object.keys(perRoute).map((id) => `FILL(${id}, 0)`);
    return new MathExpression({ label: 'refused', period, expression: terms.join(' + '), usingMetrics: perRoute });
  }

  /** Returns the refusals with one code by one function. */
  refusals(name: string, code: string): IMetric {
    return this.serviceMetric('refusals', { service: name, code });
  }

  /** Returns the sent emails of one kind. */
  notificationsSent(kind: string): IMetric {
    return this.serviceMetric('notifications', { [businessMetrics.notifications]: kind });
  }

  /** Returns the bounce or complaint rate of this stage as SES measures it, from 0 to 1, per hour. */
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

  /** Returns one series for each value of a business metric's dimension. A search finds values that appear later. */
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
