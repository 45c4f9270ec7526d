// Reads a response body up to a limit; what is larger is refused before it fills the memory.
import { InputError } from './errors.ts';

/** @throws {InputError} the body is larger than `maxBytes`. */
export async function readLimited(
  body: AsyncIterable<Uint8Array> | null,
  { where, maxBytes }: { readonly where: string; readonly maxBytes: number },
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      throw new InputError(
        `${where}: expected a body of at most ${maxBytes} bytes, received more.`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
