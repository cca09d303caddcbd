import { Duration } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { type IMetric, MathExpression, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { ITable, Table } from 'aws-cdk-lib/aws-dynamodb';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { counted } from '../functions/manifest.ts';
import type { Deployment } from './deployment.ts';
import type { Standing } from './service-function.ts';

/** Each stage counts for itself, also where two share an account. */
export function metricsNamespaceOf({ stageName }: Pick<Deployment, 'stageName'>): string {
  return `VolumeActivation/${stageName}`;
}

const period = Duration.minutes(5);

/** Everything that is measured, by what it tells: five minutes at a time. Alarms and dashboard are made of these. */
export class Meters {
  private readonly deployment: Deployment;
  private readonly watched: {
    readonly standing: readonly Standing[];
    readonly api: HttpApi;
    readonly stateMachine: StateMachine;
    readonly table: Table | ITable;
  };

  constructor(deployment: Deployment, watched: Meters['watched']) {
    this.deployment = deployment;
    this.watched = watched;
  }

  /** Faults of one function: those that it told of, and those that ended it. */
  faults({ name, made }: Standing): IMetric {
    return new MathExpression({
      label: name,
      period,
      // A graph may show several: what is added up is named for its function.
      expression: `FILL(${name}Ended, 0) + FILL(${name}Told, 0)`,
      usingMetrics: {
        [`${name}Ended`]: made.function.metricErrors({ period, statistic: Stats.SUM }),
        [`${name}Told`]: this.own('faults', { service: name }),
      },
    });
  }

  throttles({ name, made }: Standing): IMetric {
    return made.function.metricThrottles({ label: name, period, statistic: Stats.SUM });
  }

  duration({ name, made }: Standing): IMetric {
    return made.function.metricDuration({ label: name, period, statistic: Stats.p(99) });
  }

  /** Runs that came to their end, for what runs by the clock. */
  runsDone({ name, made }: Standing, over: Duration): IMetric {
    return new MathExpression({
      label: name,
      period: over,
      expression: 'FILL(begun, 0) - FILL(ended, 0)',
      usingMetrics: {
        begun: made.function.metricInvocations({ period: over, statistic: Stats.SUM }),
        ended: made.function.metricErrors({ period: over, statistic: Stats.SUM }),
      },
    });
  }

  deadLetters({ name, made }: Standing): IMetric | undefined {
    return made.deadLetters?.metricApproximateNumberOfMessagesVisible({
      label: name,
      period,
      statistic: Stats.MAXIMUM,
    });
  }

  executionsStarted(): IMetric {
    return this.watched.stateMachine.metricStarted({ label: 'started', period });
  }

  executionsFailed(): IMetric {
    const { stateMachine } = this.watched;
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
    return this.watched.api.metricCount({ label: 'calls', period, statistic: Stats.SUM });
  }

  callsRefused(): IMetric {
    return this.watched.api.metricClientError({ label: 'refused (4xx)', period, statistic: Stats.SUM });
  }

  callsFailed(): IMetric {
    return this.watched.api.metricServerError({ label: 'failed (5xx)', period, statistic: Stats.SUM });
  }

  latency(percentile: number): IMetric {
    return this.watched.api.metricLatency({ label: `p${percentile}`, period, statistic: Stats.p(percentile) });
  }

  /** How many calls of a hundred were refused, told only where there are enough of them to tell. */
  percentRefused(atLeastCalls: number): IMetric {
    return new MathExpression({
      label: 'refused of a hundred',
      period,
      expression: `IF(calls >= ${atLeastCalls}, 100 * refused / calls, 0)`,
      usingMetrics: { calls: this.calls(), refused: this.callsRefused() },
    });
  }

  /** Calls of these routes that were refused, whatever the answer said. */
  refusedOn(routes: readonly string[]): IMetric {
    const perRoute = Object.fromEntries(
      routes.map((route, index) => {
        const [method = '', path = ''] = route.split(' ');
        return [
          `route${index}`,
          this.watched.api.metricClientError({
            period,
            statistic: Stats.SUM,
            dimensionsMap: { ApiId: this.watched.api.apiId, Stage: '$default', Method: method, Resource: path },
          }),
        ];
      }),
    );
    const sum = Object.keys(perRoute).map((each) => `FILL(${each}, 0)`);
    return new MathExpression({ label: 'refused', period, expression: sum.join(' + '), usingMetrics: perRoute });
  }

  /** Refusals of one code by one function. */
  refusals(name: string, code: string): IMetric {
    return this.own('refusals', { service: name, code });
  }

  /** Letters of one kind that went out. */
  letters(letter: string): IMetric {
    return this.own('letters', { [counted.letters]: letter });
  }

  /** The share of this stage’s mails that bounced or were complained of, from 0 to 1, as SES judges a sender by it. */
  mailRate(of: 'BounceRate' | 'ComplaintRate'): IMetric {
    return new Metric({
      label: of,
      namespace: 'AWS/SES',
      metricName: `Reputation.${of}`,
      dimensionsMap: { 'ses:configuration-set': this.deployment.prefix },
      period: Duration.hours(1),
      statistic: Stats.MAXIMUM,
    });
  }

  tableBusy(): readonly IMetric[] {
    return (['ConsumedReadCapacityUnits', 'ConsumedWriteCapacityUnits'] as const).map((metricName) =>
      this.watched.table.metric(metricName, { label: metricName, period, statistic: Stats.SUM }),
    );
  }

  /** Every value that something is counted by, each a line of its own, whichever there turn out to be. */
  each(what: keyof typeof counted, statistic: string, over: Duration): IMetric {
    const dimensions = what === 'refusals' ? `service,${counted[what]}` : counted[what];
    const namespace = metricsNamespaceOf(this.deployment);
    return new MathExpression({
      label: '',
      period: over,
      expression: `SEARCH('{"${namespace}",${dimensions}} MetricName="${what}"', '${statistic}', ${over.toSeconds()})`,
      usingMetrics: {},
    });
  }

  private own(metricName: string, dimensionsMap: Record<string, string>): Metric {
    const namespace = metricsNamespaceOf(this.deployment);
    return new Metric({ namespace, metricName, dimensionsMap, period, statistic: Stats.SUM });
  }
}
