// An answer in parts, as server-sent events; what goes wrong after the first part is told in the stream.
import { toHttpError } from '../http/http-error.ts';
import type { EventStream } from '../http/server.ts';

export type SendPart = (part: object) => Promise<void>;

/**
 * @param write Sends the parts, in order.
 * @throws what `write` throws; the status has been sent by then, so the client gets the error as the last part.
 */
export async function sendParts(
  events: EventStream,
  write: (send: SendPart) => Promise<void>,
): Promise<void> {
  const send: SendPart = (part) => events.write(JSON.stringify(part));
  try {
    await write(send);
  } catch (error) {
    const { message, status } = toHttpError(error);
    await send({ error: { message, type: 'server_error', code: status } }).catch(() => {});
    events.end();
    throw error;
  }
  await events.write('[DONE]');
  events.end();
}
