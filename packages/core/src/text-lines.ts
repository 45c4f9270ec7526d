// The lines of a UTF-8 byte stream; a line that is not UTF-8 is named by its own number.
import { InputError } from './errors.ts';

const NEWLINE = 0x0a;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A line without its line break. */
export interface TextLine {
  readonly line: string;
  /** From 1. */
  readonly lineNumber: number;
}

/**
 * Splits bytes at line feeds, before they are decoded; a carriage return before one goes with it. Whether the last
 * line has a line feed makes no difference.
 * @param where Name of the source, for messages.
 * @throws {InputError} `where:line: …` for the first line that is not UTF-8.
 */
export async function* textLines(
  bytes: AsyncIterable<Uint8Array>,
  where: string,
): AsyncGenerator<TextLine> {
  let parts: Uint8Array[] = []; // a line in the making; joined once, so that very long lines stay linear
  let lineNumber = 0;
  const finish = (last: Uint8Array): TextLine => {
    lineNumber++;
    const whole = parts.length === 0 ? last : Buffer.concat([...parts, last]);
    parts = [];
    const line = decodeLine(whole, `${where}:${lineNumber}`);
    return { line: line.endsWith('\r') ? line.slice(0, -1) : line, lineNumber };
  };
  for await (const chunk of bytes) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      yield finish(chunk.subarray(start, end));
      start = end + 1;
    }
    if (start < chunk.length) parts.push(Uint8Array.from(chunk.subarray(start))); // the source may use its buffer again
  }
  if (parts.length > 0) yield finish(new Uint8Array());
}

function decodeLine(bytes: Uint8Array, where: string): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new InputError(`${where}: expected UTF-8 text, received other bytes.`, {
      data: { where },
      cause,
    });
  }
}
