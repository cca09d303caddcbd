import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { refuse } from '../../domain/refusal.ts';
import type { IdempotencyKey } from '../../store/idempotency.ts';
import {
  claimIdempotencyKey,
  completeIdempotencyKey,
  operationIdOf,
  releaseIdempotencyKey,
} from '../../store/idempotency.ts';
import { fingerprintOf } from '../../store/vault.ts';
import { logger } from '../runtime/observability.ts';
import { getStore } from '../runtime/store.ts';
import type { ParsedRequest } from './parse-request.ts';
import type { RawResponse } from './response.ts';
import { toRawRefusal } from './response.ts';

/**
 * Runs a request once for each idempotency key, and answers a repetition with the first response. Refuses a key that
 * came with another request, and a repetition while the first request runs. On a fault it releases the key and rethrows,
 * so that the caller can retry.
 */
export async function runOnce(
  event: APIGatewayProxyEventV2,
  apiRequest: ParsedRequest,
  idempotencyKey: string,
  run: (apiRequest: ParsedRequest) => Promise<RawResponse>,
): Promise<RawResponse> {
  const { route, caller, now, rawBody } = apiRequest;
  const { requestId } = event.requestContext;
  const fingerprint = fingerprintOf(JSON.stringify([route, event.rawPath, event.rawQueryString, rawBody.text]));
  const key: IdempotencyKey = { caller: caller.email, key: idempotencyKey, fingerprint };
  const claim = await claimIdempotencyKey(getStore(), key, now);
  switch (claim.kind) {
    case 'completed': {
      const { status, headers, body } = claim.response;
      return { statusCode: status, headers, body, logFields: { caller: caller.email } };
    }
    case 'reused':
      return toRawRefusal(
        refuse('idempotency-key-reused', 'This idempotency key was sent with another request. Send a new key.'),
      );
    case 'in-progress':
      return toRawRefusal(
        refuse(
          'request-in-progress',
          'The same request is still running. Send it again in a moment, with the same key.',
        ),
      );
    case 'claimed':
      try {
        const response = await run({ ...apiRequest, operationId: operationIdOf(key) });
        await storeResponse(key, response, requestId);
        return response;
      } catch (error) {
        await releaseIdempotencyKey(getStore(), key).catch((cause: unknown) =>
          logger.error('idempotency key not released', { requestId, cause }),
        );
        throw error;
      }
  }
}

/**
 * Stores the response for repetitions. The request has taken effect whether or not this succeeds: a repetition is
 * recognized by its operation ID, and gets the same answer.
 */
async function storeResponse(key: IdempotencyKey, response: RawResponse, requestId: string): Promise<void> {
  const { statusCode: status, headers, body } = response;
  await completeIdempotencyKey(getStore(), key, { status, headers, body }).catch((error: unknown) =>
    logger.error('idempotent response not stored', { requestId, error: error as Error }),
  );
}
