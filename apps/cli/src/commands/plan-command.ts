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
  readonly dtype: 'float32' | 'bfloat16';
  readonly threads?: string;
  readonly memory?: string;
  readonly json?: boolean;
}

export function planCommand(): Command {
  return new Command('plan')
    .description('say what training a model takes in memory, in full and with an adapter')
    .requiredOption('--model <folder>', 'Hugging Face folder; only its config.json is read')
    .addOption(
      new Option('--device <device>', 'where it would run; a GPU takes what it is given')
        .choices(['cpu'])
        .default('cpu'),
    )
    .option('--sequence <tokens>', 'longest episodes to answer for', '512,1024,2048,4096')
    .option('--microBatchTokens <tokens>', 'of one forward and backward pass', '8192')
    .option('--concurrency <episodes>', 'sampled at once', '64')
    .option('--rank <rank>', 'of the adapter', '16')
    .addOption(
      new Option('--dtype <dtype>', 'of packed matrices and activations')
        .choices(['float32', 'bfloat16'])
        .default('float32'),
    )
    .option('--threads <threads>', 'of the engine (default: one per core)')
    .option('--memory <GiB>', 'that may be used (default: what the machine has)')
    .option('--json', 'print the answers as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  $ masksearch plan --model models/qwen2.5-0.5b --sequence 1024,4096 --memory 16',
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
      const memoryBytes =
        options.memory === undefined
          ? totalmem()
          : naturalNumber('--memory', options.memory) * 2 ** 30;
      const needs = memoryNeeds({
        config,
        sequenceTokens,
        microBatchTokens: naturalNumber('--microBatchTokens', options.microBatchTokens),
        concurrency: naturalNumber('--concurrency', options.concurrency),
        rank: naturalNumber('--rank', options.rank),
        dtype: options.dtype,
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
