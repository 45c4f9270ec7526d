// A file's bytes in chunks, decompressed if it is bzip2 or gzip, whatever its name says.
// oxlint-disable-next-line typescript/triple-slash-reference -- packages that compile this source need the types too
/// <reference path="./unbzip2-stream.d.ts" />
import { closeSync, createReadStream, openSync, readSync, statSync } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { InputError, textLines, type TextLine } from '@masksearch/core';
import unbzip2Stream from 'unbzip2-stream';

/** The first `length` bytes of a file, fewer if it is shorter. @throws {InputError} it is no readable file. */
export function fileStart(path: string, length: number): Buffer {
  requireFile(path);
  const buffer = Buffer.alloc(length);
  const descriptor = openSync(path, 'r');
  try {
    return buffer.subarray(0, readSync(descriptor, buffer, 0, length, 0));
  } finally {
    closeSync(descriptor);
  }
}

/** @throws {InputError} `path` is not a file. */
export function requireFile(path: string): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isFile()) {
    throw new InputError(
      `${path}: expected a file, found ${stat ? 'something else' : 'nothing'} there.`,
      { data: { file: path } },
    );
  }
}

/**
 * The file's content in chunks; several bzip2 or gzip streams one after the other are read as one.
 * @throws {InputError} the compressed data is damaged or cut off; the message names file and byte.
 */
export async function* readFileBytes(path: string): AsyncGenerator<Uint8Array> {
  const start = fileStart(path, 3).toString('latin1');
  if (start === 'BZh') yield* readBzip2(path);
  else if (start.startsWith('\x1f\x8b')) yield* readGzip(path);
  else for await (const chunk of createReadStream(path)) yield chunk as Uint8Array;
}

/** The decoder emits while it is written to, so one chunk's output is all that is ever held. */
async function* readBzip2(path: string): AsyncGenerator<Uint8Array> {
  const decoder = unbzip2Stream();
  let output: Uint8Array[] = [];
  let failure: unknown;
  let read = 0;
  decoder.on('data', (chunk: Uint8Array) => output.push(chunk));
  decoder.on('error', (error: unknown) => (failure ??= error));
  const takeOutput = (): Uint8Array[] => {
    if (failure !== undefined) throw damaged(path, 'bzip2', read, failure);
    const taken = output;
    output = [];
    return taken;
  };
  for await (const chunk of createReadStream(path)) {
    const bytes = chunk as Buffer;
    read += bytes.length;
    decoder.write(bytes);
    yield* takeOutput();
  }
  decoder.end();
  yield* takeOutput();
}

async function* readGzip(path: string): AsyncGenerator<Uint8Array> {
  const source = createReadStream(path);
  const gunzip = createGunzip();
  source.on('error', (error) => gunzip.destroy(error));
  try {
    for await (const chunk of source.pipe(gunzip)) yield chunk as Uint8Array;
  } catch (error) {
    throw damaged(path, 'gzip', source.bytesRead, error);
  } finally {
    source.destroy();
  }
}

/** The decoders' own reasons ("Boom.") go into the cause: they would help nobody. */
function damaged(path: string, format: string, byte: number, cause: unknown): InputError {
  return new InputError(
    `${path}: expected intact ${format} data, received damaged or cut-off data before byte ${byte}; download or copy the file again.`,
    { data: { file: path, byte }, cause },
  );
}

/**
 * The file's content as text, decompressed as `readFileBytes` does.
 * @throws {InputError} the bytes are not UTF-8, or as `readFileBytes`.
 */
export async function* readFileText(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let decoded = 0;
  const decode = (chunk?: Uint8Array): string => {
    try {
      return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
    } catch (error) {
      throw new InputError(
        `${path}: expected UTF-8 text, received other bytes at or after byte ${decoded} of the (decompressed) content.`,
        { data: { file: path, byte: decoded }, cause: error },
      );
    }
  };
  for await (const chunk of readFileBytes(path)) {
    yield decode(chunk);
    decoded += chunk.length;
  }
  yield decode();
}

/** The lines of a text file with their numbers, from 1. @throws {InputError} as `readFileBytes`, or a line is not UTF-8. */
export function readFileLines(path: string): AsyncGenerator<TextLine> {
  return textLines(readFileBytes(path), path);
}
