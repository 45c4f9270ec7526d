// A key that cannot be printed by accident: it comes from the environment and leaves only in a request's header.
import { inspect } from 'node:util';
import { ConfigError } from '@masksearch/core';

const REDACTED = '[redacted]';

export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself; for headers only. */
  reveal(): string {
    return this.#value;
  }

  /** `text` without the secret, should it hold it: servers quote headers in their errors. */
  redact(text: string): string {
    return this.#value === '' ? text : text.replaceAll(this.#value, REDACTED);
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}

/** @throws {ConfigError} the variable is not set, is empty, or holds what cannot stand in a header. */
export function secretFromEnvironment(
  variable: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Secret {
  const value = environment[variable]?.trim();
  if (value === undefined || value === '') {
    throw new ConfigError(
      `API key: expected the environment variable ${variable}, found none; set it, or leave apiKeyVariable out for an endpoint without a key.`,
    );
  }
  if (!/^[\x21-\x7e]+$/.test(value)) {
    throw new ConfigError(
      `API key: expected printable ASCII without spaces in ${variable}, received something else.`,
    );
  }
  return new Secret(value);
}
