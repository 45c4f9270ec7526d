// How elements are stored in GGUF: 32- and 16-bit floats, and blocks of 8-bit integers with a scale.
import { narrow, toFloat16 } from '../float16.ts';

export const ggufDtypes = ['F32', 'F16', 'BF16', 'Q8_0'] as const;
export type GgufDtype = (typeof ggufDtypes)[number];

/** Elements that share a scale in Q8_0. */
const Q8_BLOCK = 32;
/** A half-precision scale and a byte for each element. */
const Q8_BLOCK_BYTES = 2 + Q8_BLOCK;

/** Elements that are encoded together. */
export function blockElements(dtype: GgufDtype): number {
  return dtype === 'Q8_0' ? Q8_BLOCK : 1;
}

export function encodedBytes(dtype: GgufDtype, elements: number): number {
  if (dtype === 'Q8_0') return (elements / Q8_BLOCK) * Q8_BLOCK_BYTES;
  return elements * (dtype === 'F32' ? 4 : 2);
}

/** @param values Whole blocks. For F32 the bytes share their memory. */
export function encodeGguf(dtype: GgufDtype, values: Float32Array): Uint8Array {
  return dtype === 'Q8_0' ? quantizeQ8(values) : narrow(dtype, values);
}

/** Block by block: scale d = max |x| / 127 in half precision, then round(x / d), halves away from 0. */
function quantizeQ8(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(encodedBytes('Q8_0', values.length));
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < values.length / Q8_BLOCK; block++) {
    const first = block * Q8_BLOCK;
    let largest = 0;
    for (let i = first; i < first + Q8_BLOCK; i++) {
      largest = Math.max(largest, Math.abs(values[i] as number));
    }
    const scale = Math.fround(largest / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    const at = block * Q8_BLOCK_BYTES;
    view.setUint16(at, toFloat16(scale), true);
    for (let i = 0; i < Q8_BLOCK; i++) {
      const scaled = Math.fround((values[first + i] as number) * inverse);
      view.setInt8(at + 2 + i, Math.sign(scaled) * Math.round(Math.abs(scaled)));
    }
  }
  return bytes;
}
