import { existsSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Server } from 'node:http';

// Preloaded into the process of a local system (`node --import`): its SES answers 503 while the file SES_OUTAGE_FILE
// exists.
const file = process.env.SES_OUTAGE_FILE ?? '';
const emit = Server.prototype.emit;

const emitUnlessDown = function (this: Server, ...args: Parameters<typeof emit>): boolean {
  const [event, request, response] = args as unknown as [string, IncomingMessage, ServerResponse];
  const isEmail = event === 'request' && request.url === '/v2/email/outbound-emails';
  if (!isEmail || !existsSync(file)) return emit.apply(this, args);
  request.resume();
  response.writeHead(503, { 'content-type': 'application/json' }).end('{"message":"Service unavailable"}');
  return true;
};
Object.assign(Server.prototype, { emit: emitUnlessDown });
