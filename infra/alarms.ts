import { Duration, Stack } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, type IMetric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import type { Audience, ManifestEntry } from '../functions/manifest.ts';
import type { Deployment } from './deployment.ts';
import type { Metrics } from './metrics.ts';
import type { DeployedFunction } from './service-function.ts';

/** One thing to be woken for. */
type AlarmDefinition = {
  readonly id: string;
  /** What happened, as the alarm's name says it. */
  readonly title: string;
  /** What it costs people. */
  readonly impact: string;
  /** The paragraph of the runbook: the anchor of its heading. */
  readonly runbookAnchor: string;
  readonly metric: IMetric;
  /** It goes off from this value on, in so many of the last so many periods. */
  readonly threshold: number;
  readonly periods?: { readonly evaluationPeriods: number; readonly datapointsToAlarm: number };
  /** For what should happen: it goes off where less than `from` is counted, or nothing at all. */
  readonly alarmsBelow?: true;
};

/** One fault is looked up in the log when there is time; three within five minutes are a failure. */
const faultsThreshold = 3;
/** A sender with more than a tenth of bounces, or a thousandth of complaints, is stopped by SES; we want to hear before. */
const bounceRateThreshold = 0.05;
const complaintRateThreshold = 0.0008;

/** The alarms of a stage. Each says in people's terms what it costs, and links the paragraph that says what to do. */
export class Alarms extends Construct {
  readonly all: readonly Alarm[];

  constructor(
    scope: Construct,
    id: string,
    {
      prefix,
      stage,
      key,
      functions,
      metrics,
    }: Pick<Deployment, 'prefix' | 'stage'> & {
      readonly key: IKey;
      readonly functions: readonly DeployedFunction[];
      readonly metrics: Metrics;
    },
  ) {
    super(scope, id);
    const topic = new Topic(this, 'Topic', { displayName: prefix, masterKey: key, enforceSSL: true });
    topic.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [topic.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    );
    topic.addSubscription(new EmailSubscription(stage.alarmEmail));
    const action = new SnsAction(topic);

    this.all = alarmDefinitions(functions, metrics).map((definition) => {
      const { evaluationPeriods: of, datapointsToAlarm: bad } = definition.periods ?? {
        evaluationPeriods: 1,
        datapointsToAlarm: 1,
      };
      const alarm = new Alarm(this, definition.id, {
        alarmName: `${prefix}: ${definition.title}`,
        alarmDescription: `${definition.impact} What to do: ${stage.runbook}#${definition.runbookAnchor}`,
        metric: definition.metric,
        threshold: definition.threshold,
        evaluationPeriods: of,
        datapointsToAlarm: bad,
        comparisonOperator: definition.alarmsBelow
          ? ComparisonOperator.LESS_THAN_THRESHOLD
          : ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        treatMissingData: definition.alarmsBelow ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
      });
      alarm.addAlarmAction(action);
      alarm.addOkAction(action);
      return alarm;
    });
  }
}

function alarmDefinitions(functions: readonly DeployedFunction[], metrics: Metrics): readonly AlarmDefinition[] {
  return [...functions.flatMap((deployed) => functionAlarms(deployed, metrics)), ...serviceAlarms(functions, metrics)];
}

/** What can go wrong with one function. */
function functionAlarms(deployed: DeployedFunction, metrics: Metrics): readonly AlarmDefinition[] {
  const { name, entry } = deployed;
  const impact = entry.failureImpact;
  const deadLettersMetric = metrics.deadLetters(deployed);
  return [
    {
      id: `${name}Faults`,
      title: `${name} fails`,
      impact,
      runbookAnchor: 'a-function-fails',
      metric: metrics.faults(deployed),
      threshold: faultsThreshold,
    },
    // Where only so many may run at once, others wait as they should.
    ...(entry.maxConcurrency === undefined
      ? [
          {
            id: `${name}Throttles`,
            title: `${name} is throttled`,
            impact,
            runbookAnchor: 'a-function-is-throttled',
            metric: metrics.throttles(deployed),
            threshold: 1,
          },
        ]
      : []),
    ...(deadLettersMetric === undefined
      ? []
      : [
          {
            id: `${name}DeadLetters`,
            title: `${name} has dead letters`,
            impact,
            runbookAnchor: 'dead-letters',
            metric: deadLettersMetric,
            threshold: 1,
          },
        ]),
    ...(entry.kind === 'schedule' ? [missedRunAlarm(deployed, entry, metrics)] : []),
  ];
}

function missedRunAlarm(
  deployed: DeployedFunction,
  entry: ManifestEntry & { readonly kind: 'schedule' },
  metrics: Metrics,
): AlarmDefinition {
  const fiveRuns = Duration.seconds(Math.max(300, 5 * Duration.parse(entry.every).toSeconds()));
  return {
    id: `${deployed.name}NotRun`,
    title: `${deployed.name} has not run`,
    impact: entry.failureImpact,
    runbookAnchor: 'the-sweep-has-not-run',
    metric: metrics.completedRuns(deployed, fiveRuns),
    threshold: 1,
    alarmsBelow: true,
  };
}

/** What can go wrong with the service as a whole. */
function serviceAlarms(functions: readonly DeployedFunction[], metrics: Metrics): readonly AlarmDefinition[] {
  const linkRoutes = routesOpenTo('link-holder', functions).map(({ route }) => route);
  const deviceFunctions = new Set(routesOpenTo('device', functions).map(({ name }) => name));
  return [
    {
      id: 'ExecutionsFailed',
      title: 'workflow executions fail',
      impact: 'Exception requests do not move until the sweep restarts them, while their five business days elapse.',
      runbookAnchor: 'workflow-executions-fail',
      metric: metrics.executionsFailed(),
      threshold: 1,
    },
    {
      id: 'RequestsDueSoon',
      title: 'requests are due soon',
      impact:
        'Customers were promised an answer within five business days, and that time is almost over for some requests.',
      runbookAnchor: 'requests-are-due-soon',
      metric: metrics.notificationsSent('due-soon'),
      threshold: 1,
    },
    {
      id: 'RequestsOverdue',
      title: 'requests are overdue',
      impact: 'Some customers did not get an answer within the five business days that they were promised.',
      runbookAnchor: 'requests-are-overdue',
      metric: metrics.notificationsSent('overdue'),
      threshold: 1,
    },
    {
      id: 'MailBounces',
      title: 'emails bounce',
      impact:
        'Recipients do not get our emails. SES suspends a sender whose emails bounce; after that no email is sent and no request can be approved.',
      runbookAnchor: 'emails-bounce',
      metric: metrics.mailRate('BounceRate'),
      threshold: bounceRateThreshold,
    },
    {
      id: 'MailComplaints',
      title: 'recipients report emails as spam',
      impact:
        'Recipients mark our emails as spam. SES suspends a sender with too many complaints; after that no request can be approved.',
      runbookAnchor: 'emails-bounce',
      metric: metrics.mailRate('ComplaintRate'),
      threshold: complaintRateThreshold,
    },
    {
      id: 'HighRefusalRate',
      title: 'most API calls are refused',
      impact: 'More than half of all API calls are refused, because of a mistake in a client or in the service.',
      runbookAnchor: 'the-refusal-rate-is-high',
      metric: metrics.refusalPercent(100),
      threshold: 50,
      periods: { evaluationPeriods: 3, datapointsToAlarm: 3 },
    },
    ...[...deviceFunctions].map((name) => ({
      id: `${name}KeyGuessing`,
      title: 'product keys are being guessed',
      impact:
        'Somebody tries keys that were never issued. A customer’s key could be found and used up, or a customer enters a key from a bad copy.',
      runbookAnchor: 'product-keys-are-guessed',
      metric: metrics.refusals(name, 'unknown-key'),
      threshold: 100,
    })),
    ...(linkRoutes.length === 0
      ? []
      : [
          {
            id: 'ApprovalLinkGuessing',
            title: 'approval links or codes are being guessed',
            impact:
              'Somebody tries wrong links or codes. An increase could be approved by a person who is not allowed to.',
            runbookAnchor: 'approval-links-or-codes-are-guessed',
            metric: metrics.refusalsOnRoutes(linkRoutes),
            threshold: 20,
          },
        ]),
  ];
}

function routesOpenTo(
  audience: Audience,
  functions: readonly DeployedFunction[],
): readonly { readonly name: string; readonly route: string }[] {
  return functions.flatMap(({ name, entry }) =>
    entry.kind === 'api'
      ? Object.entries(entry.routes).flatMap(([route, audiences]) =>
          audiences.includes(audience) ? [{ name, route }] : [],
        )
      : [],
  );
}
