// The byte alphabet of GPT-2: every byte is shown as one printable character inside tokenizer.json.
// Printable Latin-1 bytes stand for themselves, the other 68 for the characters from U+0100 on.

function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
}

function makeSymbols(): string[] {
  const symbols: string[] = [];
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    symbols.push(String.fromCharCode(isPrintable(byte) ? byte : next++));
  }
  return symbols;
}

/** (256) The character that stands for each byte. */
export const BYTE_SYMBOLS: readonly string[] = makeSymbols();

const byteOfSymbol = new Map(BYTE_SYMBOLS.map((symbol, byte) => [symbol, byte]));

/** The bytes that a vocabulary entry stands for, or null if a character is not of the byte alphabet. */
export function bytesOfToken(token: string): Uint8Array | null {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfSymbol.get(token.charAt(i));
    if (byte === undefined) return null;
    bytes[i] = byte;
  }
  return bytes;
}
