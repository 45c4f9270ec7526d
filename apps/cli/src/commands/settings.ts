// What stage commands have in common: the shared options, and the configuration and run they resolve to.
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { stringify } from 'yaml';
import { applyFlags, type Flag } from '../config/flags.ts';
import { jsonSchemaOf } from '../config/leaves.ts';
import { lineOfKey, parseConfig, readConfigFile } from '../config/load.ts';
import { findFrom, shippedConfig, withPathsFrom, type PresetName } from '../config/paths.ts';
import { runConfigSchema, type RunConfig } from '../config/run-config.ts';
import type { RunContext } from '../run/run-folder.ts';

export interface SharedOptions {
  readonly config?: string;
  readonly run?: string;
  readonly fresh?: boolean;
  readonly json?: boolean;
  readonly printSchema?: boolean;
  readonly printConfig?: boolean;
}

/** The resolved configuration of a run, in its folder. */
export const CONFIG_FILE = 'config.yaml';

/** @param preset Configuration that comes with the package and is used unless another is given. */
export function addSharedOptions(command: Command, preset?: PresetName): Command {
  const about = 'YAML file with the configuration of the run';
  const config =
    preset === undefined
      ? new Option('--config <file>', `${about} (default: what the run folder remembers)`)
      : new Option('--config <file>', about).default(
          shippedConfig(preset),
          `runs/configs/${preset}.yaml`,
        );
  return command
    .addOption(config)
    .option('--run <folder>', 'run folder (default: runs/<name of the configuration>)')
    .option('--fresh', 'do it again although nothing changed')
    .option('--json', 'print the result as one JSON value on standard output')
    .option('--print-config', 'print the resolved configuration and stop')
    .option('--print-schema', 'print the JSON Schema of the configuration file and stop');
}

export interface ResolvedRun {
  readonly run: RunContext;
  readonly config: RunConfig;
}

/**
 * A run and its configuration, or undefined when only printing was asked for. The configuration is the file given,
 * else the one that the run folder remembers, with the flags set in it.
 */
export function resolveRun(
  options: SharedOptions & Readonly<Record<string, unknown>>,
  flags: readonly Flag[],
  signal: AbortSignal,
): ResolvedRun | undefined {
  if (options.printSchema) {
    process.stdout.write(`${JSON.stringify(jsonSchemaOf(runConfigSchema), null, 2)}\n`);
    return undefined;
  }
  const values = withPathsFrom('.', applyFlags(readValues(options), flags, options));
  const config = parseConfig(runConfigSchema, values, 'flags');
  if (options.printConfig) {
    process.stdout.write(stringify(config));
    return undefined;
  }
  const folder = resolve(options.run ?? `runs/${config.name}`);
  const say = (line: string): unknown => process.stderr.write(`${line}\n`);
  return { run: { folder, seed: config.seed, fresh: options.fresh ?? false, signal, say }, config };
}

/** What the file says that was given or that the run folder remembers, if there is one. */
function readValues({ config, run }: SharedOptions): Readonly<Record<string, unknown>> {
  const path = config === undefined ? rememberedConfig(run) : findFrom('.', config);
  if (path === undefined) return {};
  const values = readConfigFile(path);
  // The file is checked alone first, so that a wrong key is looked for in the right place.
  parseConfig(runConfigSchema, values, (key) => placeOf(path, key));
  return withPathsFrom(dirname(path), values);
}

function placeOf(path: string, key: string): string {
  const line = lineOfKey(path, key);
  return line === undefined ? path : `${path}:${line}`;
}

/** The configuration that earlier commands left in a run folder, if there is one. */
function rememberedConfig(folder: string | undefined): string | undefined {
  if (folder === undefined) return undefined;
  const path = join(folder, CONFIG_FILE);
  return existsSync(path) ? path : undefined;
}
