import { CfnOutput, Stack } from 'aws-cdk-lib';
import { CfnRecordSet } from 'aws-cdk-lib/aws-route53';
import { EmailIdentity, Identity } from 'aws-cdk-lib/aws-ses';
import { Construct } from 'constructs';
import { domainOf, type Stage } from './stage.ts';

/**
 * The SES identity of the domain that sends and receives email, with DKIM. If the domain is in the stage's hosted zone,
 * the deployment creates the DNS records. Otherwise it prints them for the operator.
 */
export class MailIdentity extends Construct {
  readonly identity: EmailIdentity;

  constructor(scope: Construct, id: string, props: Pick<Stage, 'domain' | 'mail'> & { readonly emulated: boolean }) {
    super(scope, id);
    const domain = domainOf(props.mail.from);
    const bounceDomain = `bounces.${domain}`;
    const { region } = Stack.of(this);
    this.identity = new EmailIdentity(this, 'Identity', {
      identity: Identity.domain(domain),
      mailFromDomain: bounceDomain,
    });
    // An emulator has neither DNS nor DKIM keys.
    if (props.emulated) return;

    const records = [
      ...this.identity.dkimRecords.map(({ name, value }) => ({ type: 'CNAME', name, value })),
      { type: 'MX', name: bounceDomain, value: `10 feedback-smtp.${region}.amazonses.com` },
      { type: 'TXT', name: bounceDomain, value: '"v=spf1 include:amazonses.com ~all"' },
      { type: 'TXT', name: `_dmarc.${domain}`, value: '"v=DMARC1; p=quarantine"' },
      { type: 'MX', name: domain, value: `10 inbound-smtp.${region}.amazonaws.com` },
    ];
    const zone = props.domain;
    const inZone = zone !== null && (domain === zone.zoneName || domain.endsWith(`.${zone.zoneName}`));
    for (const [index, { type, name, value }] of records.entries()) {
      if (inZone) {
        new CfnRecordSet(this, `Record${index + 1}`, {
          hostedZoneId: zone.zoneId,
          type,
          name,
          ttl: '1800',
          resourceRecords: [value],
        });
      } else {
        new CfnOutput(this, `Dns${index + 1}`, { key: `DnsRecord${index + 1}`, value: `${name} ${type} ${value}` });
      }
    }
  }
}
