import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics } from '@aws-lambda-powertools/metrics';

/** The log and the metrics of every function: structured, and never told a secret, a body, or the path of an approval link. */
export const logger = new Logger({ serviceName: 'volume-activation' });
export const metrics = new Metrics({ namespace: 'VolumeActivation', serviceName: 'volume-activation' });
