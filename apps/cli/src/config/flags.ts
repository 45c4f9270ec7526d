// Command-line flags from a configuration schema, and their values back into a configuration.
import { ConfigError } from '@masksearch/core';
import { Option } from 'commander';
import { parse } from 'yaml';
import type { ZodType } from 'zod';
import { leavesOf, type Leaf } from './leaves.ts';
import { withSetting } from './load.ts';

/** A flag and the dotted key of the run configuration that it sets. */
export interface Flag {
  readonly option: Option;
  readonly name: string;
  readonly key: string;
}

/**
 * One flag per key of a section.
 * @param own True for the section of the command itself, whose keys need no prefix.
 */
export function flagsOf(sectionName: string, schema: ZodType, own: boolean): Flag[] {
  const about = schema.meta()?.description;
  return leavesOf(schema).map((leaf) => {
    const key = leaf.path === '' ? sectionName : `${sectionName}.${leaf.path}`;
    const name = own && leaf.path !== '' ? leaf.path : key;
    const option = new Option(`--${name} <${valueName(leaf)}>`, describe(leaf));
    if (leaf.path !== '') option.helpGroup(groupHeading(sectionName, about));
    return { name, key, option };
  });
}

/** `--record` and `--replay`, short for the keys of the search section. */
export function cassetteFlags(): Flag[] {
  return (['record', 'replay'] as const).map((name) =>
    shortFlag(name, '<folder>', `search.${name}`),
  );
}

/** `--model`, `--backend` and `--device`, short for the keys of the model section that are given most. */
export function modelFlags(): Flag[] {
  return [
    shortFlag('model', '<folder>', 'model.from'),
    shortFlag('backend', '<name>', 'model.backend'),
    shortFlag('device', '<name>', 'model.device'),
  ];
}

function shortFlag(name: string, value: string, key: string): Flag {
  return { name, key, option: new Option(`--${name} ${value}`, `short for --${key}`) };
}

/** Options of one section stand together in help texts. */
function groupHeading(section: string, about = ''): string {
  return `${about.charAt(0).toUpperCase()}${about.slice(1)} (${section}):`;
}

// Longer names of values push all descriptions of a help text to the right.
const LONGEST_VALUE_NAME = 16;

function valueName({ type }: Leaf): string {
  return type.length > LONGEST_VALUE_NAME ? 'choice' : type;
}

/** `Sentence [choices; unit; range; default X; source]` */
function describe(leaf: Leaf): string {
  const facts = [
    valueName(leaf) === leaf.type ? undefined : `one of ${leaf.type.replaceAll('|', ', ')}`,
    leaf.unit,
    leaf.range === '' ? undefined : leaf.range,
    leaf.defaultValue === undefined ? undefined : `default ${JSON.stringify(leaf.defaultValue)}`,
    leaf.source,
  ].filter((fact) => fact !== undefined);
  return facts.length === 0 ? leaf.about : `${leaf.about} [${facts.join('; ')}]`;
}

/** `base` with the flags that were given set in it. Values are YAML: numbers, true, null, [a, b]. */
export function applyFlags(
  base: Readonly<Record<string, unknown>>,
  flags: readonly Flag[],
  given: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  let config: Record<string, unknown> = { ...base };
  for (const { option, name, key } of flags) {
    const text = given[option.attributeName()];
    if (typeof text === 'string') config = withSetting(config, key, parseValue(name, text));
  }
  return config;
}

function parseValue(name: string, text: string): unknown {
  try {
    return parse(text) as unknown;
  } catch (error) {
    throw new ConfigError(`--${name}: expected a value, received ${JSON.stringify(text)}.`, {
      cause: error,
    });
  }
}
