// `masksearch plan`: what training a model folder takes, before anything is loaded.
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { ConfigError, readJsonFile } from '@masksearch/core';
import { Command, Option } from 'commander';
import { naturalNumber } from './natural-number.ts';

interface PlanOptions {
  readonly model: string;
  readonly sequence: string;
  readonly microBatchTokens: string;
  readonly concurrency: string;
  readonly rank: string;
  readonly device: 'cpu' | 'cuda';
  readonly dtype?: 'float32' | 'bfloat16';
  readonly threads?: string;
  readonly memory?: string;
  readonly json?: boolean;
}

export function planCommand(): Command {
  return new Command('plan')
    .description('say what training a model takes in memory, in full and with an adapter')
    .requiredOption('--model <folder>', 'Hugging Face folder; only its config.json is read')
    .addOption(
      new Option('--device <device>', 'where it would run; planning for a GPU needs none')
        .choices(['cpu', 'cuda'])
        .default('cpu'),
    )
    .option('--sequence <tokens>', 'longest episodes to answer for', '512,1024,2048,4096')
    .option('--microBatchTokens <tokens>', 'of one forward and backward pass', '8192')
    .option('--concurrency <episodes>', 'sampled at once', '64')
    .option('--rank <rank>', 'of the adapter', '16')
    .addOption(
      new Option(
        '--dtype <dtype>',
        'of packed matrices and activations (default: float32 on the CPU, bfloat16 on cuda)',
      ).choices(['float32', 'bfloat16']),
    )
    .option('--threads <threads>', 'of the engine (default: one per core)')
    .option(
      '--memory <GiB>',
      'that may be used (default: what the machine has); with cuda, of the GPU, of which a model takes 85 %',
    )
    .option('--json', 'print the answers as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  $ masksearch plan --model models/qwen2.5-0.5b --sequence 1024,4096 --memory 16\n  $ masksearch plan --model models/qwen2.5-1.5b --device cuda --memory 80',
    )
    .action(async (options: PlanOptions) => {
      const [{ parseDecoderConfig }, { memoryNeeds }, { formatNeeds }] = await Promise.all([
        import('@masksearch/model'),
        import('../plan/memory-needs.ts'),
        import('../plan/format-needs.ts'),
      ]);
      const path = join(options.model, 'config.json');
      const config = parseDecoderConfig(readJsonFile(path), path);
      const sequenceTokens = options.sequence
        .split(',')
        .map((text) => naturalNumber('--sequence', text))
        .filter((tokens) => tokens <= config.maxPositions);
      if (sequenceTokens.length === 0) {
        throw new ConfigError(
          `--sequence: expected a length of at most ${config.maxPositions} tokens, which is all that ${path} allows, received ${options.sequence}.`,
        );
      }
      const memoryBytes = usableMemory(options);
      const needs = memoryNeeds({
        config,
        sequenceTokens,
        microBatchTokens: naturalNumber('--microBatchTokens', options.microBatchTokens),
        concurrency: naturalNumber('--concurrency', options.concurrency),
        rank: naturalNumber('--rank', options.rank),
        ...deviceAndDtype(options),
        threads:
          options.threads === undefined
            ? availableParallelism()
            : naturalNumber('--threads', options.threads),
        memoryBytes,
      });
      const text = options.json
        ? JSON.stringify({ memoryBytes, needs }, null, 2)
        : formatNeeds(needs, memoryBytes);
      process.stdout.write(`${text}\n`);
    });
}

// What is left beside a model on a GPU: graphs, libraries and other programs. As `cuda.memoryBytes` by default.
const GPU_SHARE = 0.85;

function usableMemory({ device, memory }: PlanOptions): number {
  if (memory !== undefined) {
    const bytes = naturalNumber('--memory', memory) * 2 ** 30;
    return device === 'cuda' ? Math.floor(bytes * GPU_SHARE) : bytes;
  }
  if (device === 'cpu') return totalmem();
  throw new ConfigError('--memory: expected the GiB of the GPU with --device cuda, received none.');
}

function deviceAndDtype({ device, dtype }: PlanOptions) {
  if (device === 'cuda' && dtype === 'float32') {
    throw new ConfigError(
      '--dtype: expected bfloat16 with --device cuda, which knows no other, received float32.',
    );
  }
  return { device, dtype: dtype ?? (device === 'cuda' ? 'bfloat16' : 'float32') } as const;
}
