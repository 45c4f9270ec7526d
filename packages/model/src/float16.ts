// Conversions between 32-bit floats and the two 16-bit formats of checkpoints, on raw bits.

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
  const b = bits[0] as number;
  if (Number.isNaN(value)) return (b >>> 16) | 0x40;
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
