// Keys of web services: taken from the environment, never shown.
import { UnavailableError } from '@masksearch/core';

const HIDDEN = '[redacted]';

/** A key that no log, record or error shows: only `reveal` gives its text. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  /** `text` without the key, as it is and as it stands in a URL. */
  redact(text: string): string {
    return text.replaceAll(this.#text, HIDDEN).replaceAll(encodeURIComponent(this.#text), HIDDEN);
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }
}

/** @throws {UnavailableError} the variable is not set; the message names it. */
export function secretFromEnvironment(variable: string): Secret {
  const text = process.env[variable]?.trim() ?? '';
  if (text !== '') return new Secret(text);
  throw new UnavailableError(
    `search: expected a key in the environment variable ${variable}, found none; keys are read from the environment only.`,
    { data: { variable } },
  );
}
