// JSON Schemas of clients as checks of what a model wrote. Only what is checked in full is taken; the rest is refused by name.
import { z, type ZodType } from 'zod';
import { HttpError } from '../http/http-error.ts';

/** Say something about a value, but nothing that could fail. */
const ANNOTATIONS = [
  '$comment',
  '$schema',
  'default',
  'deprecated',
  'description',
  'examples',
  'title',
];
/** One of these says which values there are. */
const KINDS = ['$ref', 'allOf', 'anyOf', 'const', 'enum', 'oneOf', 'type'];
/** No patterns: a client's regular expression could take forever. */
const CHECKS = [
  ...KINDS,
  '$defs',
  'additionalProperties',
  'definitions',
  'exclusiveMaximum',
  'exclusiveMinimum',
  'format',
  'items',
  'maxItems',
  'maxLength',
  'maximum',
  'minItems',
  'minLength',
  'minimum',
  'multipleOf',
  'properties',
  'required',
  'uniqueItems',
];
const FORMATS = ['date', 'date-time', 'email', 'ipv4', 'ipv6', 'time', 'uri', 'uuid'];
const DEEPEST = 64;

const nodeSchema = z.record(z.string(), z.unknown());
type Node = z.infer<typeof nodeSchema>;

/** A schema of which everything can be checked, and its check. */
export interface JsonSchema {
  /** Without what says nothing about values. */
  readonly node: Readonly<Record<string, unknown>>;
  readonly check: ZodType;
}

/** @throws {HttpError} 400: the schema says something that could not be checked. */
export function readJsonSchema(schema: unknown): JsonSchema {
  try {
    const node = checked(schema, '', 0);
    return { node, check: z.fromJSONSchema(node) };
  } catch (error) {
    if (error instanceof HttpError) throw error;
    throw refused('', error instanceof Error ? error.message : String(error));
  }
}

/** The schema without annotations: a default would stand in for what the model did not write. */
function checked(value: unknown, path: string, depth: number): Node {
  const parsed = nodeSchema.safeParse(value);
  if (!parsed.success || Array.isArray(value)) throw refused(path, 'expected an object');
  if (depth > DEEPEST) throw refused(path, `expected at most ${DEEPEST} levels`);
  const node = Object.fromEntries(
    Object.entries(parsed.data).filter(([key]) => !ANNOTATIONS.includes(key)),
  );
  const stranger = Object.keys(node).find((key) => !CHECKS.includes(key));
  if (stranger !== undefined) throw refused(path, `${stranger} cannot be checked here`);
  checkNode(node, path);
  const inner = (child: unknown, key: string): Node => checked(child, `${path}/${key}`, depth + 1);
  return Object.fromEntries(
    Object.entries(node).map(([key, child]) => {
      switch (key) {
        case 'allOf':
        case 'anyOf':
        case 'oneOf':
          return [key, listOf(child, `${path}/${key}`).map((one, i) => inner(one, `${key}/${i}`))];
        case '$defs':
        case 'definitions':
        case 'properties':
          return [key, mapOf(child, (one, name) => inner(one, `${key}/${name}`))];
        case 'additionalProperties':
          return [key, typeof child === 'boolean' ? child : inner(child, key)];
        case 'items':
          return [key, inner(child, key)];
        default:
          return [key, child];
      }
    }),
  );
}

function checkNode(node: Node, path: string): void {
  const has = (key: string): boolean => Object.hasOwn(node, key);
  if (!KINDS.some(has)) throw refused(path, `expected one of ${KINDS.join(', ')}`);
  if (
    has('$ref') &&
    Object.keys(node).some((key) => !['$ref', '$defs', 'definitions'].includes(key))
  ) {
    throw refused(path, 'expected nothing beside $ref');
  }
  const values = [...(Array.isArray(node['enum']) ? node['enum'] : []), node['const']];
  if (values.some((value) => typeof value === 'object' && value !== null)) {
    throw refused(path, 'expected enum and const of simple values');
  }
  if (has('format') && !FORMATS.includes(String(node['format']))) {
    throw refused(path, `expected a format of ${FORMATS.join(', ')}`);
  }
  const declared = Object.keys(nodeSchema.safeParse(node['properties']).data ?? {});
  const required = listOf(node['required'] ?? [], `${path}/required`);
  const missing = required.find((name) => !declared.includes(String(name)));
  if (missing !== undefined) {
    throw refused(path, `expected the required ${JSON.stringify(missing)} among its properties`);
  }
}

function listOf(value: unknown, path: string): unknown[] {
  if (Array.isArray(value)) return value as unknown[];
  throw refused(path, 'expected a list');
}

function mapOf<T>(value: unknown, read: (child: unknown, name: string) => T): Record<string, T> {
  const map = nodeSchema.safeParse(value).data ?? {};
  return Object.fromEntries(Object.entries(map).map(([name, child]) => [name, read(child, name)]));
}

function refused(path: string, what: string): HttpError {
  return new HttpError(400, `response_format: schema${path === '' ? '' : ` at ${path}`}: ${what}`);
}
