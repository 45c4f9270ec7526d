// `masksearch export`: trajectories and tasks of a run as other trainers read them.
import { basename, dirname, extname, join, resolve } from 'node:path';
import { ConfigError, writeFileAtomic } from '@masksearch/core';
import { Command, Option } from 'commander';
import { resolveRun } from './settings.ts';

const FORMATS = ['records', 'chatml', 'sharegpt', 'search-r1', 'verl'] as const;

interface ExportOptions {
  readonly run: string;
  readonly format: (typeof FORMATS)[number];
  readonly output: string;
  readonly side: 'train' | 'heldout';
  readonly rejected?: boolean;
}

export function exportCommand(signal: AbortSignal): Command {
  return new Command('export')
    .description('write trajectories or tasks of a run in the format of another trainer')
    .requiredOption('--run <folder>', 'run folder')
    .addOption(
      new Option(
        '--format <format>',
        'records and chatml, sharegpt hold trajectories; search-r1 and verl hold tasks',
      )
        .choices(FORMATS)
        .makeOptionMandatory(),
    )
    .requiredOption('--output <file>', 'file to write')
    .addOption(
      new Option('--side <side>', 'which tasks, for search-r1 and verl')
        .choices(['train', 'heldout'])
        .default('train'),
    )
    .option('--rejected', 'rejected trajectories too (records and chatml say which)')
    .addHelpText(
      'after',
      `
records    JSON lines of this project
chatml     JSON lines, ChatML with function calls
sharegpt   JSON as LLaMA-Factory reads it, with its dataset_info.json beside
search-r1  JSON lines with prompt, targets and reward model
verl       the same rows as Parquet

Examples:
  $ masksearch export --run runs/wiki --format sharegpt --output data/wiki.json
  $ masksearch export --run runs/wiki --format verl --side heldout --output data/test.parquet`,
    )
    .action(async (options: ExportOptions) => {
      const output = resolve(options.output);
      if (options.format === 'verl' && extname(output) !== '.parquet') {
        throw new ConfigError(
          `${output}: expected a name that ends in .parquet for verl, received another.`,
        );
      }
      const resolved = resolveRun({ run: options.run }, [], signal);
      if (resolved === undefined) return;
      const { exportRun } = await import('../stages/export-run.ts');
      const { bytes, records } = await exportRun(resolved.run, options);
      writeFileAtomic(output, bytes);
      if (options.format === 'sharegpt') {
        const { datasetInfo } = await import('@masksearch/agent');
        const info = datasetInfo('masksearch', basename(output));
        writeFileAtomic(
          join(dirname(output), 'dataset_info.json'),
          `${JSON.stringify(info, null, 2)}\n`,
        );
      }
      resolved.run.say(`${output}: ${records} records`);
    });
}
