// Types of the unbzip2-stream package, which has none: a classic stream that emits synchronously.
declare module 'unbzip2-stream' {
  interface Bzip2Decoder {
    on(event: 'data', listener: (chunk: Uint8Array) => void): this;
    on(event: 'error', listener: (error: unknown) => void): this;
    write(chunk: Uint8Array): void;
    end(): void;
  }
  export default function unbzip2Stream(): Bzip2Decoder;
}
