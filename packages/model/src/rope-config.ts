// Rotary positions in a config.json: theta and Llama 3's scaling, as transformers 4 and 5 write them.
import { ConfigError } from '@masksearch/core';
import { describe, integer, isAbsent, isOff, number, type Json } from './config-fields.ts';
import type { DecoderConfig, Llama3RopeScaling } from './decoder-config.ts';

type Rope = Pick<DecoderConfig, 'ropeTheta' | 'ropeScaling'>;

const scalingFields = [
  ['factor', 'factor'],
  ['lowFrequencyFactor', 'low_freq_factor'],
  ['highFrequencyFactor', 'high_freq_factor'],
  ['originalMaxPositions', 'original_max_position_embeddings'],
] as const;

/**
 * Reads `rope_theta` and `rope_scaling` (transformers 4), or `rope_parameters` (5), or both if they agree.
 * @throws {ConfigError} Neither or contradictory ones are given, or a type of scaling other than
 *   `default` and `llama3`, or a field that is not known.
 */
export function readRope(source: Json, where: string): Rope {
  const old = ropeObject(source, 'rope_scaling', where);
  const now = ropeObject(source, 'rope_parameters', where);
  const thetas = [
    isAbsent(source['rope_theta']) ? undefined : number(source, 'rope_theta', where),
    thetaOf(old, `${where}: rope_scaling`),
    thetaOf(now, `${where}: rope_parameters`),
  ].filter((theta) => theta !== undefined);
  const [ropeTheta] = thetas;
  if (ropeTheta === undefined) {
    throw new ConfigError(`${where}: expected rope_theta or rope_parameters, received neither.`);
  }
  if (thetas.some((theta) => theta !== ropeTheta)) {
    throw new ConfigError(
      `${where}: expected rope_theta and rope_parameters.rope_theta to agree, received ${thetas.join(' and ')}.`,
    );
  }
  const scalings = [
    readScaling(old, `${where}: rope_scaling`),
    readScaling(now, `${where}: rope_parameters`),
  ];
  const ropeScaling = scalings[0] ?? scalings[1];
  const bothGiven = old !== undefined && now !== undefined;
  if (bothGiven && JSON.stringify(scalings[0]) !== JSON.stringify(scalings[1])) {
    throw new ConfigError(
      `${where}: expected rope_scaling and rope_parameters to agree, received ${describe(old)} and ${describe(now)}.`,
    );
  }
  return { ropeTheta, ...(ropeScaling === undefined ? {} : { ropeScaling }) };
}

/** The same in both spellings. */
export function writeRope({ ropeTheta, ropeScaling }: Rope): Record<string, unknown> {
  if (ropeScaling === undefined) {
    return {
      rope_parameters: { rope_theta: ropeTheta, rope_type: 'default' },
      rope_theta: ropeTheta,
    };
  }
  const scaling = {
    rope_type: ropeScaling.type,
    ...Object.fromEntries(scalingFields.map(([ours, theirs]) => [theirs, ropeScaling[ours]])),
  };
  return {
    rope_parameters: { ...scaling, rope_theta: ropeTheta },
    // Some readers take rope_scaling for the whole of it, so theta is said here too.
    rope_scaling: { ...scaling, rope_theta: ropeTheta },
    rope_theta: ropeTheta,
  };
}

/** An object of rope settings of a known type without fields of other types. */
function ropeObject(source: Json, key: string, where: string): Json | undefined {
  const value = source[key];
  if (isAbsent(value)) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new ConfigError(
      `${where}: expected ${key} to be an object, received ${describe(value)}.`,
    );
  }
  const rope = value as Json;
  const type = typeOf(rope);
  for (const name of ['rope_type', 'type']) {
    const given = rope[name];
    if (!isAbsent(given) && !(given === type && (type === 'default' || type === 'llama3'))) {
      throw new ConfigError(
        `${where}: expected rope scaling of type "default" or "llama3", received ${key}.${name} = ${describe(given)}.`,
      );
    }
  }
  const known: readonly string[] = [
    'rope_theta',
    'rope_type',
    'type',
    ...(type === 'llama3' ? scalingFields.map(([, theirs]) => theirs) : []),
  ];
  for (const [name, setting] of Object.entries(rope)) {
    const isWhole = name === 'partial_rotary_factor' && setting === 1;
    if (!known.includes(name) && !isWhole && !isOff(setting)) {
      throw new ConfigError(
        `${where}: expected no other rope scaling, received ${key}.${name} = ${describe(setting)}.`,
      );
    }
  }
  return rope;
}

function typeOf(rope: Json): unknown {
  return rope['rope_type'] ?? rope['type'] ?? 'default';
}

function thetaOf(rope: Json | undefined, where: string): number | undefined {
  if (rope === undefined || isAbsent(rope['rope_theta'])) return undefined;
  return number(rope, 'rope_theta', where);
}

function readScaling(rope: Json | undefined, where: string): Llama3RopeScaling | undefined {
  if (rope === undefined || typeOf(rope) !== 'llama3') return undefined;
  return {
    type: 'llama3',
    factor: number(rope, 'factor', where),
    lowFrequencyFactor: number(rope, 'low_freq_factor', where),
    highFrequencyFactor: number(rope, 'high_freq_factor', where),
    originalMaxPositions: integer(rope, 'original_max_position_embeddings', where),
  };
}
