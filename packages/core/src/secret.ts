// A key that cannot be printed by accident: it comes from the environment and leaves only in requests.
import { inspect } from 'node:util';
import { ConfigError } from './errors.ts';

const REDACTED = '[redacted]';

export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself; for requests only. */
  reveal(): string {
    return this.#value;
  }

  /** `text` without the secret, as it is and as it stands in a URL: servers quote what they were sent in their errors. */
  redact(text: string): string {
    if (this.#value === '') return text;
    return [this.#value, encodeURIComponent(this.#value)].reduce(
      (clean, shown) => clean.replaceAll(shown, REDACTED),
      text,
    );
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

/** What the environment variable holds, or undefined where it is not set or empty. */
export function secretIfSet(
  variable: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Secret | undefined {
  const value = environment[variable]?.trim() ?? '';
  return value === '' ? undefined : new Secret(value);
}

/**
 * @param variable Name of the environment variable.
 * @throws {ConfigError} it is not set, is empty, or holds what cannot stand in a header; the message names it.
 */
export function secretFromEnvironment(
  variable: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Secret {
  const secret = secretIfSet(variable, environment);
  if (secret === undefined) {
    throw new ConfigError(
      `API key: expected the environment variable ${variable}, found none; keys are read from the environment only.`,
    );
  }
  if (!/^[\x21-\x7e]+$/.test(secret.reveal())) {
    throw new ConfigError(
      `API key: expected printable ASCII without spaces in ${variable}, received something else.`,
    );
  }
  return secret;
}
