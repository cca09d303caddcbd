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

/** The dashboard of a stage: alarms, business metrics, and technical metrics. */
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
    dashboard.addWidgets(heading('Business metrics'));
    dashboard.addWidgets(
      graph('Activations per hour, by key type', metrics.byDimension('activations', 'Sum', hour)),
      graph('Refusals per hour, by code', metrics.byDimension('refusals', 'Sum', hour)),
      graph('Exception requests per hour, by new status', metrics.byDimension('requests', 'Sum', hour)),
    );
    dashboard.addWidgets(
      graph('Approvals per day, by outcome', metrics.byDimension('approvals', 'Sum', Duration.days(1))),
      graph(
        'Elapsed business minutes per request, by assignee',
        metrics.byDimension('elapsedMinutes', 'Average', Duration.days(1)),
      ),
      graph('Emails sent per hour, by kind', metrics.byDimension('notifications', 'Sum', hour)),
    );
    dashboard.addWidgets(heading('Technical metrics'));
    dashboard.addWidgets(
      graph('API calls', metrics.calls(), metrics.refusedCalls(), metrics.failedCalls()),
      graph('API latency (milliseconds)', metrics.latency(50), metrics.latency(95), metrics.latency(99)),
      graph('Faults', ...functions.map((deployed) => metrics.faults(deployed))),
    );
    dashboard.addWidgets(
      graph('Function duration (p99, milliseconds)', ...functions.map((deployed) => metrics.duration(deployed))),
      graph('Throttles', ...functions.map((deployed) => metrics.throttles(deployed))),
      graph('Dead letters', ...functions.flatMap((deployed) => metrics.deadLetters(deployed) ?? [])),
    );
    dashboard.addWidgets(
      graph('Workflow executions', metrics.executionsStarted(), metrics.executionsFailed()),
      graph('Consumed capacity units of the table', ...metrics.consumedCapacity()),
      graph('Bounce and complaint rates', metrics.mailRate('BounceRate'), metrics.mailRate('ComplaintRate')),
      graph(
        'Delivery failures and complaints per hour, by event type',
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
