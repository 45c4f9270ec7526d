// What a configuration key is besides its zod type: a sentence, a unit, where its default comes from.
import { z, type ZodType } from 'zod';

export interface SettingFacts {
  /** One sentence for help texts. */
  readonly about: string;
  /** Unit of the value: tokens, steps, passages, seconds, … */
  readonly unit?: string;
  /** Where the default comes from: a paper and section, or why it was chosen. */
  readonly source?: string;
}

/** Attaches the facts to a schema; they reach `--help` and the JSON Schema. */
export function setting<S extends ZodType>(schema: S, facts: SettingFacts): S {
  return schema.meta({
    description: facts.about,
    ...(facts.unit === undefined ? {} : { unit: facts.unit }),
    ...(facts.source === undefined ? {} : { source: facts.source }),
  });
}

/** A section of the configuration: all its keys have defaults, unknown keys are refused. */
export function section<Shape extends z.ZodRawShape>(shape: Shape, about: string) {
  return z.strictObject(shape).meta({ description: about });
}
