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

/** The definition of one alarm. */
type AlarmDefinition = {
  readonly id: string;
  /** The symptom. It is part of the alarm's name. */
  readonly title: string;
  /** The impact on people. */
  readonly impact: string;
  /** The anchor of the alarm's section in the runbook. */
  readonly runbookAnchor: string;
  readonly metric: IMetric;
  /** The alarm goes off at or above this value. */
  readonly threshold: number;
  /** The number of periods at the threshold that set off the alarm. The default is one of one. */
  readonly periods?: { readonly evaluationPeriods: number; readonly datapointsToAlarm: number };
  /** Inverts the alarm: it goes off below the threshold, and when there is no data. */
  readonly alarmsBelow?: true;
};

/** One fault is not urgent. Three within five minutes are a failure. */
const faultsThreshold = 3;
/** SES suspends a sender at a bounce rate of 10 % or a complaint rate of 0.1 %. These alarms go off earlier. */
const bounceRateThreshold = 0.05;
const complaintRateThreshold = 0.0008;

/** The alarms of a stage. Each description states the impact on people and links to a section of the runbook. */
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
      const alarm = new Alarm(this, definition.id, {
        alarmName: `${prefix}: ${definition.title}`,
        alarmDescription: `${definition.impact} What to do: ${stage.runbook}#${definition.runbookAnchor}`,
        metric: definition.metric,
        threshold: definition.threshold,
        ...(definition.periods ?? { evaluationPeriods: 1, datapointsToAlarm: 1 }),
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

/** Defines the alarms of one function. */
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
    // Throttling is expected for a function with a maximum concurrency.
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

/** Defines the alarms of the service. */
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
        'Somebody is trying keys that were never issued. They could find a customer’s key and use it up. Or a customer is entering a miscopied key.',
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
            impact: 'Somebody is trying wrong links or codes. An unauthorized person could approve an increase.',
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
