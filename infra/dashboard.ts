import { CfnOutput, Duration, Stack } from 'aws-cdk-lib';
import {
  type Alarm,
  AlarmStatusWidget,
  Dashboard as CloudWatchDashboard,
  GraphWidget,
  type IMetric,
  TextWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { Metrics } from './metrics.ts';
import type { DeployedFunction } from './service-function.ts';

/** One page: is anything wrong, how the business goes, and how the machinery does. */
export class Dashboard extends Construct {
  constructor(
    scope: Construct,
    id: string,
    props: {
      readonly prefix: string;
      readonly functions: readonly DeployedFunction[];
      readonly metrics: Metrics;
      readonly alarms: readonly Alarm[];
    },
  ) {
    super(scope, id);
    const { metrics, functions } = props;
    const hour = Duration.hours(1);
    const dashboard = new CloudWatchDashboard(this, 'Dashboard', {
      dashboardName: props.prefix,
      defaultInterval: Duration.days(1),
    });
    dashboard.addWidgets(new AlarmStatusWidget({ title: 'Alarms', width: 24, height: 5, alarms: [...props.alarms] }));
    dashboard.addWidgets(heading('How the business goes'));
    dashboard.addWidgets(
      graph('Activations an hour, by kind of key', metrics.byDimension('activations', 'Sum', hour)),
      graph('Refusals an hour, by code', metrics.byDimension('refusals', 'Sum', hour)),
      graph('Requests an hour that came into a state', metrics.byDimension('requests', 'Sum', hour)),
    );
    dashboard.addWidgets(
      graph('Approvals a day, by outcome', metrics.byDimension('approvals', 'Sum', Duration.days(1))),
      graph(
        'Business minutes to an answer, by who had the ball',
        metrics.byDimension('elapsedMinutes', 'Average', Duration.days(1)),
      ),
      graph('Letters an hour, by kind', metrics.byDimension('notifications', 'Sum', hour)),
    );
    dashboard.addWidgets(heading('How the machinery does'));
    dashboard.addWidgets(
      graph('Calls', metrics.calls(), metrics.refusedCalls(), metrics.failedCalls()),
      graph('Milliseconds to an answer', metrics.latency(50), metrics.latency(95), metrics.latency(99)),
      graph('Faults', ...functions.map((deployed) => metrics.faults(deployed))),
    );
    dashboard.addWidgets(
      graph('Milliseconds that functions run (p99)', ...functions.map((deployed) => metrics.duration(deployed))),
      graph('Throttled', ...functions.map((deployed) => metrics.throttles(deployed))),
      graph('Dead letters', ...functions.flatMap((deployed) => metrics.deadLetters(deployed) ?? [])),
    );
    dashboard.addWidgets(
      graph('Workflows', metrics.executionsStarted(), metrics.executionsFailed()),
      graph('Units of the table', ...metrics.consumedCapacity()),
      graph(
        'Share of mails that bounced or were complained of',
        metrics.mailRate('BounceRate'),
        metrics.mailRate('ComplaintRate'),
      ),
      graph(
        'Mails that did not arrive or were not wanted, an hour',
        metrics.byDimension('deliveryEvents', 'Sum', hour),
      ),
    );
    const { region } = Stack.of(this);
    new CfnOutput(this, 'Url', {
      key: 'DashboardUrl',
      value: `https://${region}.console.aws.amazon.com/cloudwatch/home?region=${region}#dashboards/dashboard/${props.prefix}`,
    });
  }
}

function heading(text: string): TextWidget {
  return new TextWidget({ markdown: `# ${text}`, width: 24, height: 1 });
}

function graph(title: string, ...left: readonly IMetric[]): GraphWidget {
  return new GraphWidget({ title, width: 8, height: 6, left: [...left] });
}
