// Conversions between 32-bit floats and the two 16-bit formats of checkpoints, on raw bits, one by one and in bulk.

/** How weights are stored: F32 exactly, the others rounded to nearest, ties to even. */
export type StoredDtype = 'F32' | 'F16' | 'BF16';

const word = new Float32Array(1);
const bits = new Uint32Array(word.buffer);

/** bfloat16 bits → float32, exact. */
export function fromBfloat16(half: number): number {
  bits[0] = half << 16;
  return word[0] as number;
}

/** float32 → bfloat16 bits, to nearest, ties to even; NaN stays NaN. */
export function toBfloat16(value: number): number {
  word[0] = value;
  return roundToBfloat16(bits[0] as number);
}

function roundToBfloat16(b: number): number {
  if ((b & 0x7fffffff) > 0x7f800000) return (b >>> 16) | 0x40;
  return ((b + 0x7fff + ((b >>> 16) & 1)) >>> 16) & 0xffff;
}

/** IEEE binary16 bits → float32, exact. */
export function fromFloat16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** float32 → IEEE binary16 bits, to nearest, ties to even; beyond 65,504 infinite, NaN stays NaN. */
export function toFloat16(value: number): number {
  word[0] = value;
  return roundToFloat16(bits[0] as number);
}

function roundToFloat16(b: number): number {
  const sign = (b >>> 16) & 0x8000;
  const magnitude = b & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00; // 2^16 and more
  if (magnitude >= 0x38800000) {
    // Normal: 13 bits fewer and a smaller bias; a carry moves into the exponent, up to infinity.
    const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
    return sign | ((rounded - 0x38000000) >>> 13);
  }
  if (magnitude < 0x33000000) return sign; // below half of the least subnormal
  const shift = 126 - (magnitude >>> 23);
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const half = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const tie = 1 << (shift - 1);
  return sign | (half + (rest > tie || (rest === tie && (half & 1) === 1) ? 1 : 0));
}

let float16Values: Float32Array | undefined;

/** Stored little-endian bytes → float32. The result may share memory with bytes that fill their buffer. */
export function widen(dtype: StoredDtype, bytes: Uint8Array): Float32Array {
  const isWhole = bytes.byteLength === bytes.buffer.byteLength;
  const aligned = isWhole ? bytes.buffer : bytes.slice().buffer;
  if (dtype === 'F32') return new Float32Array(aligned);
  const halves = new Uint16Array(aligned);
  const values = new Float32Array(halves.length);
  if (dtype === 'BF16') {
    const words = new Uint32Array(values.buffer);
    for (let i = 0; i < halves.length; i++) words[i] = (halves[i] as number) << 16;
    return values;
  }
  float16Values ??= Float32Array.from({ length: 65_536 }, (_, half) => fromFloat16(half));
  for (let i = 0; i < halves.length; i++) {
    values[i] = float16Values[halves[i] as number] as number;
  }
  return values;
}

/** float32 → stored little-endian bytes. For F32 they share the memory of `values`. */
export function narrow(dtype: StoredDtype, values: Float32Array): Uint8Array {
  if (dtype === 'F32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  const round = dtype === 'BF16' ? roundToBfloat16 : roundToFloat16;
  for (let i = 0; i < words.length; i++) halves[i] = round(words[i] as number);
  return new Uint8Array(halves.buffer);
}
