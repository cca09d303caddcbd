import { Duration, Stack } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, type IMetric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import type { Entry, Who } from '../functions/manifest.ts';
import type { Deployment } from './deployment.ts';
import type { Meters } from './metrics.ts';
import type { Standing } from './service-function.ts';

/** One thing to be woken for. */
type Watch = {
  readonly id: string;
  /** What happened, as the alarm's name says it. */
  readonly title: string;
  /** What it costs people. */
  readonly cost: string;
  /** The paragraph of the runbook: the anchor of its heading. */
  readonly paragraph: string;
  readonly metric: IMetric;
  /** It goes off from this value on, in so many of the last so many periods. */
  readonly from: number;
  readonly periods?: { readonly of: number; readonly bad: number };
  /** For what should happen: it goes off where less than `from` is counted, or nothing at all. */
  readonly whenLess?: true;
};

/** One fault is looked up in the log when there is time; three within five minutes are a failure. */
const faultsThatAreAFailure = 3;
/** A sender with more than a tenth of bounces, or a thousandth of complaints, is stopped by SES; we want to hear before. */
const bounceRate = 0.05;
const complaintRate = 0.0008;

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
      standing,
      meters,
    }: Pick<Deployment, 'prefix' | 'stage'> & {
      readonly key: IKey;
      readonly standing: readonly Standing[];
      readonly meters: Meters;
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
    topic.addSubscription(new EmailSubscription(stage.alarmsTo));
    const action = new SnsAction(topic);

    this.all = watches(standing, meters).map((watch) => {
      const { of, bad } = watch.periods ?? { of: 1, bad: 1 };
      const alarm = new Alarm(this, watch.id, {
        alarmName: `${prefix}: ${watch.title}`,
        alarmDescription: `${watch.cost} What to do: ${stage.runbook}#${watch.paragraph}`,
        metric: watch.metric,
        threshold: watch.from,
        evaluationPeriods: of,
        datapointsToAlarm: bad,
        comparisonOperator: watch.whenLess
          ? ComparisonOperator.LESS_THAN_THRESHOLD
          : ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        treatMissingData: watch.whenLess ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
      });
      alarm.addAlarmAction(action);
      alarm.addOkAction(action);
      return alarm;
    });
  }
}

function watches(standing: readonly Standing[], meters: Meters): readonly Watch[] {
  return [...standing.flatMap((each) => watchesOver(each, meters)), ...watchesOverAll(standing, meters)];
}

/** What can go wrong with one function. */
function watchesOver(each: Standing, meters: Meters): readonly Watch[] {
  const { name, entry } = each;
  const cost = entry.whenItFails;
  const deadLetters = meters.deadLetters(each);
  return [
    {
      id: `${name}Faults`,
      title: `${name} fails`,
      cost,
      paragraph: 'a-function-fails',
      metric: meters.faults(each),
      from: faultsThatAreAFailure,
    },
    // Where only so many may run at once, others wait as they should.
    ...(entry.atOnce === undefined
      ? [
          {
            id: `${name}Throttles`,
            title: `${name} is throttled`,
            cost,
            paragraph: 'a-function-is-throttled',
            metric: meters.throttles(each),
            from: 1,
          },
        ]
      : []),
    ...(deadLetters === undefined
      ? []
      : [
          {
            id: `${name}DeadLetters`,
            title: `${name} gave up on something`,
            cost,
            paragraph: 'dead-letters',
            metric: deadLetters,
            from: 1,
          },
        ]),
    ...(entry.is === 'schedule' ? [notRun(each, entry, meters)] : []),
  ];
}

function notRun(each: Standing, entry: Entry & { readonly is: 'schedule' }, meters: Meters): Watch {
  const fiveRuns = Duration.seconds(Math.max(300, 5 * Duration.parse(entry.every).toSeconds()));
  return {
    id: `${each.name}NotRun`,
    title: `${each.name} has not run`,
    cost: entry.whenItFails,
    paragraph: 'the-sweep-has-not-run',
    metric: meters.runsDone(each, fiveRuns),
    from: 1,
    whenLess: true,
  };
}

/** What can go wrong with the service as a whole. */
function watchesOverAll(standing: readonly Standing[], meters: Meters): readonly Watch[] {
  const linkRoutes = routesOpenTo('link-holder', standing).map(({ route }) => route);
  const forDevices = new Set(routesOpenTo('device', standing).map(({ name }) => name));
  return [
    {
      id: 'ExecutionsFailed',
      title: 'workflows fail',
      cost: 'Exception requests are not driven on until the sweep starts them again; their five business days run.',
      paragraph: 'workflow-executions-fail',
      metric: meters.executionsFailed(),
      from: 1,
    },
    {
      id: 'RequestsComeDue',
      title: 'requests come due',
      cost: 'Customers were promised an answer within five business days, and some are without one shortly before.',
      paragraph: 'requests-are-due-soon',
      metric: meters.letters('due-soon'),
      from: 1,
    },
    {
      id: 'RequestsLate',
      title: 'requests are late',
      cost: 'Customers have had no answer within the five business days that they were promised.',
      paragraph: 'requests-are-overdue',
      metric: meters.letters('overdue'),
      from: 1,
    },
    {
      id: 'MailBounces',
      title: 'mails bounce',
      cost: 'People do not get our mails, and SES stops a sender whose mails bounce: then nobody gets any, and no request can be approved.',
      paragraph: 'emails-bounce',
      metric: meters.mailRate('BounceRate'),
      from: bounceRate,
    },
    {
      id: 'MailComplaints',
      title: 'mails are complained of',
      cost: 'People call our mails unwanted, and SES stops a sender of whom too many do: then no request can be approved.',
      paragraph: 'emails-bounce',
      metric: meters.mailRate('ComplaintRate'),
      from: complaintRate,
    },
    {
      id: 'UnusualRefusals',
      title: 'most calls are refused',
      cost: 'More than half of all calls are refused: people or machines ask in vain, through a mistake of theirs or of ours.',
      paragraph: 'the-refusal-rate-is-high',
      metric: meters.percentRefused(100),
      from: 50,
      periods: { of: 3, bad: 3 },
    },
    ...[...forDevices].map((name) => ({
      id: `${name}GuessedKeys`,
      title: 'somebody guesses product keys',
      cost: 'Somebody tries keys that were never issued: a customer’s key could be found and spent, or a customer typed theirs from a bad copy.',
      paragraph: 'product-keys-are-guessed',
      metric: meters.refusals(name, 'unknown-key'),
      from: 100,
    })),
    ...(linkRoutes.length === 0
      ? []
      : [
          {
            id: 'GuessedLinks',
            title: 'somebody guesses approval links or codes',
            cost: 'Somebody tries links or codes that are not right: a customer’s increase could be approved by who may not.',
            paragraph: 'approval-links-or-codes-are-guessed',
            metric: meters.refusedOn(linkRoutes),
            from: 20,
          },
        ]),
  ];
}

function routesOpenTo(
  who: Who,
  standing: readonly Standing[],
): readonly { readonly name: string; readonly route: string }[] {
  return standing.flatMap(({ name, entry }) =>
    entry.is === 'api'
      ? Object.entries(entry.routes).flatMap(([route, open]) => (open.includes(who) ? [{ name, route }] : []))
      : [],
  );
}
