// Reads the golden files of this package: JSON, and safetensors with float64 in them.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../golden/', import.meta.url));

/** Path of a file or folder of golden/. */
export const goldenPath = (name: string): string => `${folder}${name}`;

/** A JSON file; the caller says what is in it. */
export function readGoldenJson<T>(name: string): T {
  return JSON.parse(readFileSync(goldenPath(name), 'utf8')) as T;
}

/** F32 and F64 tensors of a safetensors file, by name, as float64. */
export function readGoldenTensors(name: string): Map<string, Float64Array> {
  const bytes = readFileSync(goldenPath(name));
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<
    string,
    { dtype: 'F32' | 'F64'; data_offsets: [number, number] }
  >;
  delete header['__metadata__'];
  return new Map(
    Object.entries(header).map(
      ([
        tensor,
        {
          dtype,
          data_offsets: [begin, end],
        },
      ]) => {
        const data = new Uint8Array(bytes.subarray(start + begin, start + end)).buffer;
        const values = dtype === 'F64' ? new Float64Array(data) : new Float32Array(data);
        return [tensor, Float64Array.from(values)];
      },
    ),
  );
}
