// `masksearch serve`: a model behind the OpenAI API, and with --agent the whole search loop.
import { secretIfSet } from '@masksearch/core';
import { Command, Option } from 'commander';
import { naturalNumber } from './natural-number.ts';
import { SERVER_KEY, serverOptions, serveUntil, type ServerOptions } from './server-options.ts';

interface ServeOptions extends ServerOptions {
  readonly model: string;
  readonly name?: string;
  readonly agent?: boolean;
  readonly chatTemplate: 'auto' | 'none';
  readonly toolCalls: 'tags' | 'hermes' | 'llama';
  readonly index?: string;
  readonly retrieve?: readonly string[];
  readonly device: 'cpu' | 'cuda';
  readonly dtype?: 'float32' | 'bfloat16';
  readonly threads: string;
  readonly maxSequences: string;
  readonly maxContextTokens: string;
  readonly maxTokens: string;
  readonly queue: string;
  readonly maxBodyBytes: string;
}

export function serveCommand(signal: AbortSignal): Command {
  const command = new Command('serve')
    .description('serve a model over the OpenAI API, with --agent the whole search agent too')
    .requiredOption('--model <folder>', 'Hugging Face folder of the model, with its tokenizer.json')
    .option('--name <name>', 'what clients call it (default: the name of the folder)')
    .option('--agent', 'offer <name>-agent, which searches before it answers and shows its steps')
    .addOption(
      new Option(
        '--chatTemplate <use>',
        'none: the plain rendering, although the folder has a template',
      )
        .choices(['auto', 'none'])
        .default('auto'),
    )
    .addOption(
      new Option(
        '--toolCalls <format>',
        'how the agent was trained to write searches under a template',
      )
        .choices(['tags', 'hermes', 'llama'])
        .default('tags'),
    )
    .option('--index <folder>', 'search index of the agent, e.g. runs/wiki/index/train')
    .option('--retrieve <url...>', 'retrieval servers of the agent, in place of an index')
    .addOption(
      new Option('--device <device>', 'where the engine runs')
        .choices(['cpu', 'cuda'])
        .default('cpu'),
    )
    .addOption(
      new Option(
        '--dtype <dtype>',
        'of packed matrices and activations; that of its training gives equal log-probabilities (default: float32 on the CPU, bfloat16 on cuda)',
      ).choices(['float32', 'bfloat16']),
    )
    .option('--threads <integer>', 'threads of the engine; 0 takes one per core', '0')
    .option('--maxSequences <integer>', 'sequences decoded together', '32')
    .option('--queue <integer>', 'requests that wait; more get 503', '256')
    .option('--maxContextTokens <integer>', 'tokens of prompt and answer together', '4096')
    .option('--maxTokens <integer>', 'tokens of one answer', '4096')
    .option('--maxBodyBytes <integer>', 'bytes of one request', '1048576');
  return serverOptions(command, { port: 8080 })
    .addHelpText(
      'after',
      `
/v1/chat/completions (streaming, tools, n, stop, seed, logprobs), /v1/models and /health; docs/serving.md has the rest.

Examples:
  $ masksearch serve --model models/base
  $ masksearch serve --model runs/quickstart/rl/model --agent --index runs/quickstart/index/train`,
    )
    .action(async (options: ServeOptions) => {
      const { openServedModel } = await import('../serving/served-model.ts');
      const { startChatServer } = await import('@masksearch/serve');
      const served = await openServedModel({
        ...options,
        threads: naturalNumber('--threads', options.threads, { least: 0, most: 1024 }),
      });
      try {
        await serveUntil(signal, options, (address) =>
          startChatServer({
            ...address,
            ...served.server,
            key: secretIfSet(SERVER_KEY),
            limits: limitsOf(options),
          }),
        );
      } finally {
        await served.close();
      }
    });
}

function limitsOf(options: ServeOptions) {
  return {
    maxSequences: naturalNumber('--maxSequences', options.maxSequences, { most: 4096 }),
    queue: naturalNumber('--queue', options.queue, { least: 0 }),
    maxContextTokens: naturalNumber('--maxContextTokens', options.maxContextTokens, { least: 2 }),
    maxTokens: naturalNumber('--maxTokens', options.maxTokens),
    maxBodyBytes: naturalNumber('--maxBodyBytes', options.maxBodyBytes),
  };
}
