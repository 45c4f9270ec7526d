// JSON values of a schema as a pattern. What it lets through fits the schema, or it says what it does not hold to.
import { InputError } from '@masksearch/core';
import {
  ANY_DEPTH,
  anyValue,
  boolean,
  integer,
  LARGEST_INTEGER,
  LARGEST_NUMBER,
  listOf,
  mapOf,
  nothing,
  number,
  objectOf,
  string,
  stringOf,
} from './json-values.ts';
import { choice, literal, type Pattern, reference } from './pattern.ts';

/** A schema as `readJsonSchema` has checked it. */
export type SchemaNode = Readonly<Record<string, unknown>>;

export interface JsonPattern {
  readonly pattern: Pattern;
  /** True where every text of the pattern fits the schema; else some limit on values is left to a check. */
  readonly isWhole: boolean;
}

/** Longer strings are held to no length: each length is a state of its own. */
const LONGEST_COUNTED = 128;
/** Of one object; a grammar for so many takes a quarter of a second to make, and the time grows faster than they do. */
const MOST_PROPERTIES = 5000;

/** Any JSON object. */
export const anyObject: JsonPattern = { pattern: mapOf(anyValue(ANY_DEPTH)), isWhole: true };

/**
 * The values of a schema. Members of an object stand in the order of its properties, and no others are written.
 * @throws {InputError} no value could fit, or a reference leads nowhere.
 */
export function jsonPatternOf(schema: SchemaNode): JsonPattern {
  const reader = new SchemaReader(schema);
  const pattern = reader.readAll();
  return { pattern, isWhole: reader.isWhole };
}

class SchemaReader {
  isWhole = true;
  readonly #root: SchemaNode;
  readonly #known = new Map<SchemaNode, Pattern>();
  readonly #referredTo = new Set<SchemaNode>();

  constructor(root: SchemaNode) {
    this.#root = root;
  }

  readAll(): Pattern {
    const pattern = this.#read(this.#root);
    for (const node of this.#referredTo) this.#read(node); // what these refer to comes after them
    return pattern;
  }

  #read(node: SchemaNode): Pattern {
    const known = this.#known.get(node);
    if (known !== undefined) return known;
    const pattern = this.#patternOf(node);
    this.#known.set(node, pattern);
    return pattern;
  }

  #patternOf(node: SchemaNode): Pattern {
    const { $ref, anyOf, oneOf, allOf } = node;
    if (typeof $ref === 'string') return this.#referenceTo($ref);
    if ('const' in node) return this.#holding(node, ['const', 'type'], valueOf(node['const']));
    if (Array.isArray(node['enum'])) {
      if (node['enum'].length === 0) throw refused('at least one value in enum');
      return this.#holding(node, ['enum', 'type'], choice(...node['enum'].map(valueOf)));
    }
    if (Array.isArray(anyOf)) {
      return this.#holding(
        node,
        ['anyOf'],
        choice(...nodesIn(anyOf).map((one) => this.#read(one))),
      );
    }
    if (Array.isArray(oneOf)) {
      // That no two fit at once is left to the check.
      const held = oneOf.length === 1 ? ['oneOf'] : [];
      return this.#holding(node, held, choice(...nodesIn(oneOf).map((one) => this.#read(one))));
    }
    if (Array.isArray(allOf)) {
      const [only, ...others] = nodesIn(allOf);
      if (only !== undefined && others.length === 0) {
        return this.#holding(node, ['allOf'], this.#read(only));
      }
      return this.#holding(node, [], anyValue(ANY_DEPTH));
    }
    const { type } = node;
    const types = Array.isArray(type) ? type : [type];
    if (types.length === 0) throw refused('at least one type');
    return choice(...types.map((one) => this.#ofType(node, String(one), types.length)));
  }

  #ofType(node: SchemaNode, type: string, types: number): Pattern {
    const of = (held: readonly string[], pattern: Pattern) =>
      this.#holding(node, [...held, 'type'], pattern, types > 1);
    switch (type) {
      case 'string':
        return of(...stringPattern(node));
      case 'integer':
        return of(roomyBounds(node, LARGEST_INTEGER), integer);
      case 'number':
        return of(roomyBounds(node, LARGEST_NUMBER), number);
      case 'boolean':
        return of([], boolean);
      case 'null':
        return of([], nothing);
      case 'array':
        return of(['items', 'minItems', 'maxItems'], this.#array(node));
      case 'object':
        return of(['properties', 'required', 'additionalProperties'], this.#object(node));
      default:
        return of([], anyValue(ANY_DEPTH));
    }
  }

  /** @param isOneOfMany Other keys belong to the other types of the same node. */
  #holding(
    node: SchemaNode,
    held: readonly string[],
    pattern: Pattern,
    isOneOfMany = false,
  ): Pattern {
    const aside = ['$defs', 'definitions', ...held, ...(isOneOfMany ? SHAPES : [])];
    if (Object.keys(node).some((key) => !aside.includes(key))) this.isWhole = false;
    return pattern;
  }

  #array(node: SchemaNode): Pattern {
    const { items } = node;
    const item = isNode(items) ? this.#read(items) : anyValue(ANY_DEPTH - 1);
    const [least, most] = [countOf(node, 'minItems') ?? 0, countOf(node, 'maxItems') ?? Infinity];
    if (least > most) throw refused('minItems to be at most maxItems');
    return listOf(item, least, most);
  }

  #object({ properties, required, additionalProperties: more }: SchemaNode): Pattern {
    const members = isNode(properties) ? Object.entries(properties) : [];
    if (members.length > MOST_PROPERTIES) {
      throw refused(
        `at most ${MOST_PROPERTIES} properties of an object, received ${members.length}`,
      );
    }
    if (members.length > 0) {
      const needed = new Set(Array.isArray(required) ? required : []);
      return objectOf(
        members.map(([name, node]) => ({
          name,
          value: isNode(node) ? this.#read(node) : anyValue(ANY_DEPTH - 1),
          isNeeded: needed.has(name),
        })),
      );
    }
    if (more === false) return objectOf([]);
    return mapOf(isNode(more) ? this.#read(more) : anyValue(ANY_DEPTH - 1));
  }

  #referenceTo(ref: string): Pattern {
    const target = ref
      .split('/')
      .slice(1)
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
      .reduce<unknown>((node, key) => (isNode(node) ? node[key] : undefined), this.#root);
    if (!isNode(target)) throw refused(`$ref ${JSON.stringify(ref)} to a schema of this document`);
    this.#referredTo.add(target);
    return reference(() => this.#read(target));
  }
}

/** Keys that speak of one type only. */
const SHAPES = ['additionalProperties', 'items', 'maxItems', 'minItems', 'properties', 'required'];

function stringPattern(node: SchemaNode): [held: readonly string[], Pattern] {
  const least = countOf(node, 'minLength') ?? 0;
  const most = countOf(node, 'maxLength') ?? Infinity;
  if (least > most) throw refused('minLength to be at most maxLength');
  if (least > LONGEST_COUNTED) return [[], string];
  if (most > LONGEST_COUNTED) {
    return [['minLength', ...(most === Infinity ? ['maxLength'] : [])], stringOf(least, Infinity)];
  }
  return [['minLength', 'maxLength'], stringOf(least, most)];
}

/** The bounds that no number of a pattern passes. */
function roomyBounds(node: SchemaNode, largest: number): string[] {
  const lower = ['minimum', 'exclusiveMinimum'].filter((key) => Number(node[key]) < -largest);
  const upper = ['maximum', 'exclusiveMaximum'].filter((key) => Number(node[key]) > largest);
  return [...lower, ...upper];
}

function refused(what: string): InputError {
  return new InputError(`schema: expected ${what}.`);
}

function valueOf(value: unknown): Pattern {
  return literal(JSON.stringify(value));
}

/** @throws {InputError} It is there and no count. */
function countOf(node: SchemaNode, key: string): number | undefined {
  const value = node[key];
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  throw refused(`${key} to be an integer >= 0`);
}

function isNode(value: unknown): value is SchemaNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws {InputError} There is none, so that no value would fit. */
function nodesIn(values: readonly unknown[]): SchemaNode[] {
  if (values.length === 0) throw refused('at least one schema to choose from');
  return values.filter(isNode);
}
