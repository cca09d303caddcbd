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
import type { Meters } from './metrics.ts';
import type { Standing } from './service-function.ts';

/** One page: is anything wrong, how the business goes, and how the machinery does. */
export class Dashboard extends Construct {
  constructor(
    scope: Construct,
    id: string,
    props: {
      readonly prefix: string;
      readonly standing: readonly Standing[];
      readonly meters: Meters;
      readonly alarms: readonly Alarm[];
    },
  ) {
    super(scope, id);
    const { meters, standing } = props;
    const hour = Duration.hours(1);
    const dashboard = new CloudWatchDashboard(this, 'Dashboard', {
      dashboardName: props.prefix,
      defaultInterval: Duration.days(1),
    });
    dashboard.addWidgets(new AlarmStatusWidget({ title: 'Alarms', width: 24, height: 5, alarms: [...props.alarms] }));
    dashboard.addWidgets(heading('How the business goes'));
    dashboard.addWidgets(
      graph('Activations an hour, by kind of key', meters.each('activations', 'Sum', hour)),
      graph('Refusals an hour, by code', meters.each('refusals', 'Sum', hour)),
      graph('Requests an hour that came into a state', meters.each('requests', 'Sum', hour)),
    );
    dashboard.addWidgets(
      graph('Approvals a day, by outcome', meters.each('approvals', 'Sum', Duration.days(1))),
      graph(
        'Business minutes to an answer, by who had the ball',
        meters.each('answerMinutes', 'Average', Duration.days(1)),
      ),
      graph('Letters an hour, by kind', meters.each('letters', 'Sum', hour)),
    );
    dashboard.addWidgets(heading('How the machinery does'));
    dashboard.addWidgets(
      graph('Calls', meters.calls(), meters.callsRefused(), meters.callsFailed()),
      graph('Milliseconds to an answer', meters.latency(50), meters.latency(95), meters.latency(99)),
      graph('Faults', ...standing.map((each) => meters.faults(each))),
    );
    dashboard.addWidgets(
      graph('Milliseconds that functions run (p99)', ...standing.map((each) => meters.duration(each))),
      graph('Throttled', ...standing.map((each) => meters.throttles(each))),
      graph('Dead letters', ...standing.flatMap((each) => meters.deadLetters(each) ?? [])),
    );
    dashboard.addWidgets(
      graph('Workflows', meters.executionsStarted(), meters.executionsFailed()),
      graph('Units of the table', ...meters.tableBusy()),
      graph(
        'Share of mails that bounced or were complained of',
        meters.mailRate('BounceRate'),
        meters.mailRate('ComplaintRate'),
      ),
      graph('Mails that did not arrive or were not wanted, an hour', meters.each('mailEvents', 'Sum', hour)),
    );
    const { region } = Stack.of(this);
    new CfnOutput(this, 'Address', {
      key: 'DashboardAddress',
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
