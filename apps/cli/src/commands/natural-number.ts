// Flags that are whole numbers, of commands whose flags are not made from the configuration.
import { ConfigError } from '@masksearch/core';

/** @throws {ConfigError} the text of a flag is no whole number of the range. */
export function naturalNumber(
  flag: string,
  text: string,
  {
    least = 1,
    most = Number.MAX_SAFE_INTEGER,
  }: { readonly least?: number; readonly most?: number } = {},
): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isSafeInteger(value) && value >= least && value <= most) {
    return value;
  }
  const range = most === Number.MAX_SAFE_INTEGER ? `>= ${least}` : `in ${least}..${most}`;
  throw new ConfigError(`${flag}: expected a whole number ${range}, received ${text}.`);
}
