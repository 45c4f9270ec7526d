// Every key of a configuration schema as a flat list with dotted paths: what flags, help and suggestions need.
import { z, type ZodType } from 'zod';

export interface Leaf {
  /** `learningRate`, `world.articles`, … */
  readonly path: string;
  readonly about: string;
  readonly unit: string | undefined;
  readonly source: string | undefined;
  /** `integer`, `number`, `true|false`, `a|b|c`, `text`, `list`. */
  readonly type: string;
  /** `1..4`, `> 0`, or empty. */
  readonly range: string;
  readonly defaultValue: unknown;
}

/** The part of JSON Schema that zod emits for our settings. */
interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly unit?: string;
  readonly source?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
}

/** JSON Schema (draft 2020-12) of a configuration file, for editors. */
export function jsonSchemaOf(schema: ZodType): unknown {
  return z.toJSONSchema(schema, { io: 'input' });
}

/** The leaves of `schema` in the order in which they are declared. */
export function leavesOf(schema: ZodType): Leaf[] {
  const found: Leaf[] = [];
  visit(jsonSchemaOf(schema) as JsonSchema, '', undefined, found);
  return found;
}

function visit(node: JsonSchema, path: string, inherited: unknown, found: Leaf[]): void {
  const defaultValue = inherited ?? node.default;
  if (node.properties !== undefined) {
    for (const [key, child] of Object.entries(node.properties)) {
      const childDefault = isRecord(defaultValue) ? defaultValue[key] : undefined;
      visit(child, path === '' ? key : `${path}.${key}`, childDefault, found);
    }
    return;
  }
  found.push({
    path,
    about: node.description ?? '',
    unit: node.unit,
    source: node.source,
    type: typeOf(node),
    range: rangeOf(node),
    defaultValue,
  });
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  boolean: 'true|false',
  array: 'list',
  string: 'text',
};

function typeOf(node: JsonSchema): string {
  if (node.enum !== undefined) return node.enum.map(String).join('|');
  if (node.const !== undefined) return JSON.stringify(node.const);
  if (node.anyOf !== undefined) return [...new Set(node.anyOf.map(typeOf))].join('|');
  const types = [node.type ?? 'value'].flat();
  return types.map((type) => TYPE_NAMES[type] ?? type).join('|');
}

function rangeOf(node: JsonSchema): string {
  const numeric = node.anyOf?.find(
    (option) => option.type === 'number' || option.type === 'integer',
  );
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = numeric ?? node;
  // zod writes the safe-integer range on every z.int(); it says nothing.
  const low = minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER ? `≥ ${minimum}` : '';
  const high = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER ? `≤ ${maximum}` : '';
  const above = exclusiveMinimum !== undefined ? `> ${exclusiveMinimum}` : '';
  const below = exclusiveMaximum !== undefined ? `< ${exclusiveMaximum}` : '';
  return [low, above, high, below].filter((text) => text !== '').join(', ');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
