// The normalizer of a tokenizer.json: none or NFC.
import { allowOnly } from './json-checks.ts';
import { identity, nfc, type Normalized } from './normalization.ts';

export type Normalizer = (text: string) => Normalized;

/** @throws {InputError} naming any component but NFC. */
export function readNormalizer(value: unknown, where: string): Normalizer {
  const components = allowOnly(value, 'normalizers', where, ['NFC']);
  return components.length > 0 ? nfc : identity;
}
