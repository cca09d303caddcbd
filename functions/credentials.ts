import { credentialsEnvironment } from './environment.ts';

/**
 * Where a bundled function has its credentials from, in place of the SDK's search through files, sign-ins and other
 * services (`infra/bundle.ts`): Lambda gives them in the environment and nowhere else, and the search is two fifths of the
 * SDK, which every start would pay for.
 */
export function defaultProvider() {
  return async () => {
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = credentialsEnvironment();
    return {
      accessKeyId: AWS_ACCESS_KEY_ID,
      secretAccessKey: AWS_SECRET_ACCESS_KEY,
      ...(AWS_SESSION_TOKEN === undefined ? {} : { sessionToken: AWS_SESSION_TOKEN }),
    };
  };
}
