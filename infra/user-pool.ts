import { Aws, Duration, type RemovalPolicy } from 'aws-cdk-lib';
import {
  AccountRecovery,
  ClientAttributes,
  FeaturePlan,
  Mfa,
  OAuthScope,
  StandardThreatProtectionMode,
  UserPool,
  type UserPoolClient,
} from 'aws-cdk-lib/aws-cognito';
import { Construct } from 'constructs';
import { staffRoles } from '../functions/manifest.ts';
import type { Stage } from './stage.ts';

/**
 * The user pool, with a group for each staff role and one client for browsers. Access depends on the email address, so
 * Cognito verifies an address before first use. A new address replaces the old one only after it is verified.
 */
export class ServiceUserPool extends Construct {
  readonly userPool: UserPool;
  readonly client: UserPoolClient;
  readonly signInUrl: string;

  constructor(
    scope: Construct,
    id: string,
    props: {
      readonly prefix: string;
      readonly signIn: Stage['signIn'];
      readonly removalPolicy: RemovalPolicy;
      readonly deletionProtection: boolean;
    },
  ) {
    super(scope, id);
    this.userPool = new UserPool(this, 'UserPool', {
      userPoolName: props.prefix,
      selfSignUpEnabled: props.signIn.selfSignUp,
      signInAliases: { email: true },
      signInCaseSensitive: false,
      autoVerify: { email: true },
      keepOriginal: { email: true },
      standardAttributes: { email: { required: true, mutable: true } },
      mfa: Mfa.REQUIRED,
      mfaSecondFactor: { otp: true, sms: false },
      accountRecovery: AccountRecovery.EMAIL_ONLY,
      passwordPolicy: {
        minLength: 12,
        requireLowercase: true,
        requireUppercase: true,
        requireDigits: true,
        requireSymbols: true,
        tempPasswordValidity: Duration.days(3),
      },
      featurePlan: FeaturePlan.PLUS,
      standardThreatProtectionMode: StandardThreatProtectionMode.FULL_FUNCTION,
      deletionProtection: props.deletionProtection,
      removalPolicy: props.removalPolicy,
    });
    for (const groupName of staffRoles) this.userPool.addGroup(groupName, { groupName });
    this.client = this.userPool.addClient('Client', {
      userPoolClientName: 'console',
      generateSecret: false,
      preventUserExistenceErrors: true,
      // The second flow requires AWS credentials. Operators use it to get a token on the command line.
      authFlows: { userSrp: true, adminUserPassword: true },
      oAuth: {
        flows: { authorizationCodeGrant: true },
        scopes: [OAuthScope.OPENID, OAuthScope.EMAIL, OAuthScope.PROFILE],
        callbackUrls: [...props.signIn.callbackUrls],
        logoutUrls: [...props.signIn.callbackUrls],
      },
      idTokenValidity: Duration.hours(1),
      accessTokenValidity: Duration.hours(1),
      refreshTokenValidity: Duration.days(1),
      enableTokenRevocation: true,
      // Without this restriction, users could change the email address that their access depends on.
      readAttributes: new ClientAttributes().withStandardAttributes({
        email: true,
        emailVerified: true,
        fullname: true,
      }),
      writeAttributes: new ClientAttributes().withStandardAttributes({ fullname: true }),
    });
    const domain = this.userPool.addDomain('SignIn', {
      cognitoDomain: { domainPrefix: `${props.prefix}-${Aws.ACCOUNT_ID}` },
    });
    this.signInUrl = domain.baseUrl();
  }
}
