// What the server commands have in common: address, key, and serving until Ctrl-C.
import { once } from 'node:events';
import type { RunningServer } from '@masksearch/serve';
import type { Command } from 'commander';
import { naturalNumber } from './natural-number.ts';

/** Callers must send it as a bearer token when it is set. */
export const SERVER_KEY = 'MASKSEARCH_SERVER_KEY';

export interface ServerOptions {
  readonly host: string;
  readonly port: string;
  readonly json?: boolean;
}

export function serverOptions(command: Command, defaults: { readonly port: number }): Command {
  return command
    .option(
      '--host <address>',
      `address to listen on; beyond this machine ${SERVER_KEY} must be set`,
      '127.0.0.1',
    )
    .option('--port <integer>', 'port to listen on; 0 takes a free one', `${defaults.port}`)
    .option('--json', 'print {"url": …} on standard output when ready');
}

/** Starts a server and resolves when it has ended in good order after Ctrl-C. */
export async function serveUntil(
  signal: AbortSignal,
  options: ServerOptions,
  start: (address: { readonly host: string; readonly port: number }) => Promise<RunningServer>,
): Promise<void> {
  const port = naturalNumber('--port', options.port, { least: 0, most: 65_535 });
  const server = await start({ host: options.host, port });
  process.stderr.write(`listening on ${server.url}; Ctrl-C ends it\n`);
  if (options.json) process.stdout.write(`${JSON.stringify({ url: server.url })}\n`);
  if (!signal.aborted) await once(signal, 'abort');
  await server.close();
}
