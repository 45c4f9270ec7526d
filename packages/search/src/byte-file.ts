// Bytes that are appended once and read anywhere: on disk, or in memory with the same behaviour.
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { IntegrityError, UnavailableError } from '@masksearch/core';

export interface ByteFile {
  readonly name: string;
  /** Bytes appended so far, or found on opening. */
  readonly size: number;
  append(bytes: Uint8Array): void;
  /**
   * A fresh, 8-byte-aligned copy of `length` bytes.
   * @throws {IntegrityError} the file ends before.
   * @throws {UnavailableError} the file was closed.
   */
  read(offset: number, length: number): Uint8Array<ArrayBuffer>;
  /** Forces what was appended to disk. */
  sync(): void;
  close(): void;
}

const WRITE_BUFFER_BYTES = 1 << 20;

/** A file on disk; appends are buffered. */
export class DiskFile implements ByteFile {
  readonly name: string;
  readonly #descriptor: number;
  readonly #pending = new Uint8Array(WRITE_BUFFER_BYTES);
  #pendingLength = 0;
  #flushed: number;
  #closed = false;

  /** @param mode `create` refuses a file that is already there; `read` refuses one that is not. */
  constructor(path: string, mode: 'create' | 'read') {
    this.name = path;
    this.#descriptor = openSync(path, mode === 'create' ? 'wx+' : 'r');
    this.#flushed = fstatSync(this.#descriptor).size;
  }

  get size(): number {
    return this.#flushed + this.#pendingLength;
  }

  append(bytes: Uint8Array): void {
    if (this.#pendingLength + bytes.length > this.#pending.length) this.#flush();
    if (bytes.length > this.#pending.length) {
      this.#write(bytes);
    } else {
      this.#pending.set(bytes, this.#pendingLength);
      this.#pendingLength += bytes.length;
    }
  }

  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    if (this.#closed) {
      throw new UnavailableError(`${this.name}: expected an open file, received a closed one.`);
    }
    if (this.#pendingLength > 0) this.#flush();
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer); // not zeroed first
    let done = 0;
    while (done < length) {
      const count = readSync(this.#descriptor, bytes, done, length - done, offset + done);
      if (count === 0) throw endOfFile(this.name, offset, length, this.size);
      done += count;
    }
    return bytes;
  }

  sync(): void {
    this.#flush();
    fsyncSync(this.#descriptor);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#descriptor);
  }

  #flush(): void {
    const length = this.#pendingLength;
    this.#pendingLength = 0;
    this.#write(this.#pending.subarray(0, length));
  }

  #write(bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) {
      done += writeSync(this.#descriptor, bytes, done, bytes.length - done);
    }
    this.#flushed += bytes.length;
  }
}

/** The same in memory. */
export class MemoryFile implements ByteFile {
  readonly name: string;
  #bytes = new Uint8Array(1 << 12);
  #size = 0;
  #closed = false;

  constructor(name: string) {
    this.name = name;
  }

  get size(): number {
    return this.#size;
  }

  append(bytes: Uint8Array): void {
    const needed = this.#size + bytes.length;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, this.#size));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#size);
    this.#size = needed;
  }

  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    if (this.#closed) {
      throw new UnavailableError(`${this.name}: expected an open file, received a closed one.`);
    }
    if (offset + length > this.#size) throw endOfFile(this.name, offset, length, this.#size);
    return this.#bytes.slice(offset, offset + length);
  }

  sync(): void {}

  close(): void {
    this.#closed = true;
    this.#bytes = new Uint8Array(0);
  }
}

function endOfFile(name: string, offset: number, length: number, size: number): IntegrityError {
  return new IntegrityError(
    `${name}: expected ${length} bytes at offset ${offset}, received a file of ${size} bytes; build the index again.`,
    { data: { file: name, offset, length, size } },
  );
}
