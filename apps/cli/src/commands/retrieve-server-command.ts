// `masksearch retrieve-server`: a search index behind Search-R1's /retrieve.
import { secretIfSet } from '@masksearch/core';
import { Command } from 'commander';
import { naturalNumber } from './natural-number.ts';
import { SERVER_KEY, serverOptions, serveUntil, type ServerOptions } from './server-options.ts';

export function retrieveServerCommand(signal: AbortSignal): Command {
  const command = new Command('retrieve-server')
    .description('serve a search index over HTTP, in the wire format of Search-R1')
    .requiredOption('--index <folder>', 'index to serve, e.g. runs/wiki/index/train')
    .option('--topK <integer>', 'passages per query where a request does not say', '3');
  return serverOptions(command, { port: 8000 })
    .addHelpText(
      'after',
      `
POST /retrieve takes {"queries": [...], "topk": 3, "return_scores": true}. Several servers, each with a part of a corpus,
answer as one index when search.urls names them all.

Examples:
  $ masksearch retrieve-server --index runs/wiki/index/train
  $ masksearch retrieve-server --index shards/1 --port 8001`,
    )
    .action(async (options: ServerOptions & { index: string; topK: string }) => {
      const { openIndex } = await import('@masksearch/search');
      const { startRetrieveServer } = await import('@masksearch/serve');
      const index = openIndex(options.index);
      try {
        await serveUntil(signal, options, (address) =>
          startRetrieveServer({
            ...address,
            key: secretIfSet(SERVER_KEY),
            tool: index,
            topK: naturalNumber('--topK', options.topK),
          }),
        );
      } finally {
        index.close();
      }
    });
}
