import { serviceVersion } from './environment.ts';
import { http } from './http.ts';

export const handler = http('service', {
  'GET /health': async () => ({ status: 200, body: { status: 'ok', version: serviceVersion() } }),
});
